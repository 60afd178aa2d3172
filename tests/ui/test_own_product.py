"""Somebody brings their own pictures: a folder or a zip becomes a benchmark in three steps; wrong uploads are explained."""

import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.ui.benchmark import draw
from tests.ui.conftest import serving, upload


@pytest.fixture(scope="module")
def studio(drawn, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("own"), drawn) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder as people have it: OK, a defect, masks; a name with HTML in it."""
    root = tmp_path_factory.mktemp("line 3")
    for folder, kind, count in (("OK", None, 8), ("scratch <b>deep", "scratch", 5)):
        for i in range(count):
            picture, mask = draw("washer", kind, i, 160)
            (root / folder).mkdir(exist_ok=True)
            picture.save(root / folder / f"{i:03}.png")
            if kind:
                (root / "ground_truth" / folder).mkdir(parents=True, exist_ok=True)
                mask.save(root / "ground_truth" / folder / f"{i:03}_mask.png")
    return root


def look(page, folder, name):
    page.get_by_label("Folder on this machine").fill(str(folder))
    page.get_by_label("Name of the product").fill(name)
    page.get_by_role("button", name="Look inside").click()


def test_a_folder_becomes_a_benchmark_like_any_other(studio, open_page, pictures):
    page = open_page(f"{studio.url}/product")
    look(page, pictures, "Washer M8")
    expect(page.locator(".folders")).to_contain_text("scratch <b>deep")
    expect(page.locator("#product-good")).to_contain_text("OK (8)")
    expect(page.locator("#product-masks")).to_contain_text("ground_truth")
    page.get_by_role("button", name="Make benchmark").click()
    expect(page.locator(".notice.good").first).to_contain_text("13 pictures")
    page.get_by_role("link", name="Browse this product").click()
    expect(page.locator(".tally b")).to_have_text("13")
    expect(page.locator("select.chooser option:checked")).to_have_text("Washer M8")
    page.locator(".card", has_text="deep").first.click()
    expect(page.locator(".query .veil")).to_be_visible()


def test_a_zip_works_too(studio, open_page, pictures, tmp_path):
    archive = tmp_path / "line.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in pictures.rglob("*.png"):
            file.write(path, path.relative_to(pictures))
    page = open_page(f"{studio.url}/product")
    upload(page.locator("#product-zip input[type=file]"), archive)
    expect(page.locator("#product-zip")).to_contain_text(re.compile(r"line\s*\.zip"))
    page.get_by_role("button", name="Look inside").click()
    expect(page.get_by_label("Name of the product")).to_have_value("line")
    page.get_by_role("button", name="Make benchmark").click()
    expect(page.locator(".notice.good").first).to_contain_text("13 pictures")
    assert not list(studio.services.uploads_dir.iterdir()), "the upload is copied and gone"


def test_a_second_product_of_that_name_is_refused(studio, open_page, pictures):
    (studio.services.benchmarks_dir / "taken").mkdir(parents=True)
    page = open_page(f"{studio.url}/product", errors_expected=True)
    look(page, pictures, "taken")
    page.get_by_role("button", name="Make benchmark").click()
    expect(page.locator(".toast-body")).to_contain_text("choose another name")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.zip", b"this is no zip", "not a whole zip file"),
        ("climbs.zip", {"../../evil.png": b"x"}, "lies outside"),
        ("bomb.zip", {"good/a.png": bytes(300_000_000)}, "would grow"),
        ("texts.zip", {"good/readme.txt": b"no pictures here"}, "no pictures"),
    ],
)
def test_uploads_that_cannot_be_used_are_explained(studio, open_page, tmp_path, name, content, said):
    archive = tmp_path / name
    if isinstance(content, bytes):
        archive.write_bytes(content)
    else:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for inner, data in content.items():
                file.writestr(inner, data)
    page = open_page(f"{studio.url}/product", errors_expected=True)
    upload(page.locator("#product-zip input[type=file]"), archive)
    expect(page.locator("#product-zip")).to_contain_text(name.split(".")[0])
    page.get_by_role("button", name="Look inside").click()
    expect(page.locator(".toast-body")).to_contain_text(said)


def test_folders_of_a_public_server_cannot_be_named(studio, open_page, pictures):
    studio.services.local = False
    try:
        page = open_page(f"{studio.url}/product", errors_expected=True)
        look(page, pictures, "x")
        expect(page.locator(".toast-body")).to_contain_text("upload a zip instead")
    finally:
        studio.services.local = True
