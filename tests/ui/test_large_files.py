"""Files of two gigabytes: refused with a sentence before they are sent, and by the server when somebody sends them anyway."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SIZE = 2 * 1024**3 + 1024


@pytest.fixture
def huge(tmp_path):
    """A file of more than 2 GB that takes no room on the disk."""

    def make(name):
        path = tmp_path / name
        with open(path, "wb") as file:
            file.truncate(SIZE)
        return path

    return make


def test_a_zip_of_two_gigabytes_is_refused_and_the_way_without_is_named(studio, open_page, huge):
    page = open_page(f"{studio.url}/product", errors_expected=True)
    page.get_by_label("Name of the product").fill("kept")
    page.locator("#product-zip input[type=file]").set_input_files(huge("line.zip"))
    expect(page.locator(".toast-body")).to_contain_text(re.compile("2.*GB", re.I))
    expect(page.locator("#product-zip")).not_to_contain_text("line.zip")
    expect(page.get_by_label("Name of the product")).to_have_value("kept")
    expect(page.get_by_text("Larger than 2 GB: name its folder instead")).to_be_visible()


def test_a_picture_of_two_gigabytes_is_refused(studio, open_page, huge):
    page = open_page(f"{studio.url}/inspect", errors_expected=True)
    page.locator("#pictures-in input[type=file]").first.set_input_files(huge("large.png"))
    expect(page.locator(".toast-body")).to_contain_text(re.compile("2.*GB", re.I))
