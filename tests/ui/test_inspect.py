"""The Inspect page in a browser, with a small random model: verdicts, threshold, exports, teaching, and bad files."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.mmad import read_mmad
from tests.ui.benchmark import write_benchmark
from tests.ui.conftest import serving, upload

ANSWER = 120_000  # the first verdict loads torch and the model


@pytest.fixture(scope="module")
def inspecting(tmp_path_factory):
    from core.model.tiny import build_tiny

    folder = tmp_path_factory.mktemp("inspect")
    write_benchmark(folder / "bolts", good=4, bad=2)
    build_tiny(folder / "tiny")
    with serving(folder / "workspace", folder / "bolts") as running:
        running.services.workspace.settings.set("model", str(folder / "tiny"))
        yield running


def give(page, name: str, *paths: Path) -> None:
    upload(page.locator(f"#{name} input[type=file]").first, *paths)


def washer(running) -> Path:
    return running.services.of(None).bench.root / "drawn" / "washer" / "image"


def test_verdicts_threshold_exports_and_teaching(inspecting, open_page):
    page = open_page(f"{inspecting.url}/inspect")
    root = washer(inspecting)
    give(page, "pictures-in", root / "dent" / "000.png", root / "good" / "001.png")
    give(page, "references-in", root / "good" / "000.png")
    expect(page.locator("#pictures-in img")).to_have_count(2)
    expect(page.locator("#references-in img").first).to_be_visible()
    page.click("#inspect-go")
    expect(page.locator("#inspect-said")).to_contain_text("2 inspected", timeout=ANSWER)
    expect(page.locator("#verdict")).to_contain_text("P(defect)")
    expect(page.locator("#heat img").first).to_be_visible()
    page.locator("#threshold input[type=number]").fill("0.01")
    page.locator("#threshold input[type=number]").press("Enter")
    page.locator("#verdicts [data-pick='1']").click()
    expect(page.locator("#verdict h3")).to_be_visible()
    with page.expect_download() as download:
        page.click("#verdicts-csv")
    assert Path(download.value.path()).read_text().count("\n") == 3

    before = len(read_mmad(inspecting.services.of(None).bench.root))
    page.get_by_text("Wrong verdict? Teach it").click()
    label = page.locator("#right-label input")
    label.fill("good")
    label.press("Enter")
    page.locator("#into-product input").click()
    page.get_by_role("option", name="drawn/washer").click()
    page.click("#add-picture")
    expect(page.locator("#inspect-said")).to_contain_text("Added to")
    after = read_mmad(inspecting.services.of(None).bench.root)
    assert len(after) == before + 1 and after.samples[-1].source == "inspected"


def test_no_picture_and_no_image_are_explained(inspecting, open_page, tmp_path):
    page = open_page(f"{inspecting.url}/inspect")
    page.click("#inspect-go")
    expect(page.get_by_text("Add at least one picture")).to_be_visible()
    broken = tmp_path / "broken <b>.png"
    broken.write_bytes(b"this is no picture")
    give(page, "pictures-in", broken)
    page.click("#inspect-go")
    expect(page.get_by_text("could not be opened")).to_be_visible()


def test_a_known_product_brings_its_defect_types(inspecting, open_page):
    page = open_page(f"{inspecting.url}/inspect")
    page.locator("#product input").click()
    page.get_by_role("option", name="drawn/washer").click()
    expect(page.locator("#kinds")).to_contain_text("dent")
