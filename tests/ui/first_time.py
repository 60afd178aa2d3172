"""The first visit of a quality engineer, as numbered pictures: from a fresh workspace to base and tuned answers on own pictures.

    python -m tests.ui.first_time FOLDER [--out build/first-time] [--preset smoke]

FOLDER holds the pictures of one product, a folder a kind. The app is started as people start it, and only what stands on the
pages is used. The pictures show what is in FOLDER: keep them out of the repository unless its licence lets them in.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from core.errors import UserError, command
from core.pictures import SUFFIXES
from tests.ui.conftest import CHROMIUM, free_port

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 40 * 60_000  # milliseconds a run may take on a busy machine


class Visit:
    """One browser at the studio; `shot(words)` takes the next numbered picture."""

    def __init__(self, page: Any, url: str, out: Path) -> None:
        self.page, self.url, self.out, self.number = page, url, out, 0
        self.began = time.monotonic()

    def shot(self, words: str) -> None:
        self.number += 1
        self.page.wait_for_timeout(1200)
        path = self.out / f"{self.number:02}-{words.replace(' ', '-')}.png"
        self.page.screenshot(path=str(path))
        print(f"{time.monotonic() - self.began:7.1f} s  {path}", flush=True)

    def ready(self) -> None:
        self.page.locator("#main[data-ready]").wait_for()


def add_product(visit: Visit, folder: Path) -> None:
    page = visit.page
    page.get_by_role("link", name="Add a product").first.click()
    visit.ready()
    page.get_by_label("Folder on this machine").fill(str(folder))
    visit.shot("bring the pictures")
    page.get_by_role("button", name="Look inside").click()
    page.locator(".folders li").first.wait_for()
    visit.shot("say what is what")
    page.get_by_role("button", name="Make benchmark").click()
    page.get_by_role("link", name="Browse this product").wait_for()
    page.get_by_role("link", name="Browse this product").scroll_into_view_if_needed()
    visit.shot("findings")


def look_at_samples(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Browse this product").click()
    visit.ready()
    page.locator(".card img").first.wait_for()
    visit.shot("browse")
    page.locator(".card:has(.badge.bad)").first.click()
    page.get_by_role("button", name="Compute heatmap").click()
    page.locator("#sample-heat-slider img").first.wait_for()
    visit.shot("one sample with its heatmap")


def describe(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Describe this product").click()
    visit.ready()
    visit.shot("describe")
    page.locator("#generate-all").click()
    page.locator("#generate-start").click()
    page.locator("#describe-side").locator(".notice.good, .notice.bad").first.wait_for(timeout=PATIENCE)
    page.locator("#generate-stop").wait_for(state="hidden")
    visit.shot("suggestions")
    suggested = page.locator("ul.entries .badge", has_text="suggested")
    if suggested.count():  # without masks, only what stands out can be described offline
        suggested.first.click()
        page.get_by_role("button", name="Use this text").click()
        page.locator("#describe[aria-busy]").wait_for(state="detached")
        page.get_by_role("button", name="Approve").click()
        page.locator("#describe[aria-busy]").wait_for(state="detached")
    visit.shot("approved and on to the next")


def train(visit: Visit, preset: str) -> None:
    page = visit.page
    page.get_by_role("link", name="Train", exact=True).click()
    visit.ready()
    page.locator(f"#preset input[value={preset}]").check()
    page.locator("#run-yaml", has_text=f"preset: {preset}").wait_for()
    visit.shot("the form of a run")
    page.click("#start-run")
    page.locator("#run-head .badge", has_text="running").wait_for(timeout=PATIENCE)
    page.locator("#curve-reward").wait_for(timeout=PATIENCE)
    visit.shot("curves while it runs")
    page.locator("#run-head .badge", has_text=re.compile("finished|failed|lost")).wait_for(timeout=PATIENCE)
    visit.shot("the run is over")


def compare(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Compare base and tuned answers").click()
    visit.ready()
    page.locator("#answer-right .verdict").wait_for()
    visit.shot("one question and both answers")
    page.get_by_role("tab", name="All tasks").click()
    page.locator("table.scores").wait_for()
    visit.shot("all tasks")


def inspect(visit: Visit, folder: Path) -> None:
    pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    good = [p for p in pictures if p.parent.name == "good"]
    bad = [p for p in pictures if p.parent.name != "good"]
    page = visit.page
    page.get_by_role("link", name="Inspect", exact=True).click()
    visit.ready()
    page.locator("#pictures-in input[type=file]").first.set_input_files([str(bad[0]), str(good[0])])
    page.locator("#pictures-in img").first.wait_for()
    page.locator("#references-in input[type=file]").first.set_input_files(str(good[-1]))
    page.locator("#references-in img").first.wait_for()
    page.click("#inspect-go")
    page.locator("#inspect-said .notice.good").wait_for()
    visit.shot("two pictures inspected")


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Walk through the studio with a folder of pictures, taking pictures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/first-time"))
    parser.add_argument("--preset", default="smoke")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} is not a folder on this machine: check the path.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    workspace, port = Path(tempfile.mkdtemp(prefix="first-time-")), free_port()
    app = subprocess.Popen([sys.executable, "app.py", "--port", str(port), "--workspace", str(workspace)], cwd=PROJECT)
    try:
        _walk(f"http://127.0.0.1:{port}", arguments)
    finally:
        app.terminate()
        app.wait(30)
        shutil.rmtree(workspace, ignore_errors=True)


def _walk(url: str, arguments: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    while True:
        try:
            urllib.request.urlopen(url, timeout=30).read()
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-US", reduced_motion="reduce")
        page.set_default_timeout(180_000)
        page.on("pageerror", lambda error: print(f"pageerror: {error}"))
        page.on("console", lambda message: message.type == "error" and print(f"console: {message.text}"))
        visit = Visit(page, url, arguments.out)
        page.goto(url)
        visit.ready()
        visit.shot("the first page")
        add_product(visit, arguments.folder.resolve())
        look_at_samples(visit)
        describe(visit)
        train(visit, arguments.preset)
        compare(visit)
        inspect(visit, arguments.folder)
        browser.close()


if __name__ == "__main__":
    main()
