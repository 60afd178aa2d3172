"""`make screenshots`: the pages on the embedded demo and a real smoke run, at two widths, light and dark.

    python -m tests.ui.screenshots [--out docs/screenshots] [--workspace build/screenshots] [name ...]

Only the demo's own pictures are shown, and curves and answers are those of a run that this command starts. A state is a
name, an address, and what a person does there first.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from core.errors import UserError, command
from tests.ui.conftest import CHROMIUM, serving

WIDTHS = (1440, 900)
SCHEMES = ("light", "dark")


@dataclass(frozen=True)
class State:
    """One picture: `act(page)` brings the page to what is shown."""

    name: str
    address: str
    act: Callable[[Any], object] = lambda page: None


# A product of the demo whose defect anybody sees.
PRODUCT = "Factory/hex_nut"
DEFECT = "dent"
PATIENCE = 300  # seconds a smoke run, or a first verdict, may take


def _first_defect(page: Any) -> None:
    page.locator(".card:has(.badge.bad)").first.click()
    page.locator(".query .veil").wait_for()


def _edited(page: Any) -> None:
    page.locator(".entries button", has_text="broken edge").click()
    page.locator("#describe-main h1", has_text="broken edge").wait_for()
    page.wait_for_timeout(700)  # the field is filled after the heading
    field = page.locator("#describe-text textarea")
    field.fill(field.input_value().replace("The ", "One ", 1) + " Seen best in light from the side.")
    page.locator("#describe-changes ins").first.wait_for()


def _curves(page: Any) -> None:
    page.locator("#curve-reward canvas, #curve-reward svg.marks").first.wait_for()


def _answers(page: Any) -> None:
    page.locator("#answer-right .verdict").wait_for()
    page.locator("#pictures img").nth(1).wait_for()


def _inspected(page: Any) -> None:
    """A demo picture with a defect, held against a good one of the same product and lot."""
    root = Path("benchmarks/demo") / PRODUCT
    query = sorted((WORKSPACE[0] / root / "test" / DEFECT).glob("*.*"))[0]
    normal = sorted((WORKSPACE[0] / root / "test" / "good").glob("*.*"))[0]
    page.locator("#pictures-in input[type=file]").first.set_input_files(str(query))
    page.locator("#references-in input[type=file]").first.set_input_files(str(normal))
    page.locator("#pictures-in img").first.wait_for()
    page.locator("#references-in img").first.wait_for()
    page.locator("#product input").click()
    page.get_by_role("option", name=PRODUCT).click()
    page.wait_for_timeout(500)
    page.click("#inspect-go")
    page.locator("#inspect-said .notice.good").wait_for(timeout=PATIENCE * 1000)
    page.locator("#heat img").first.wait_for()


WORKSPACE: list[Path] = []
STATES = (
    State("browse", "/", lambda page: page.locator(".card img").nth(11).wait_for()),
    State("sample", "/", _first_defect),
    State("describe", "/describe", _edited),
    State("train", "/train", _curves),
    State("compare", "/compare", _answers),
    State("inspect", "/inspect", _inspected),
)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Take the screenshots of the README.")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument(
        "--workspace", type=Path, default=Path("build/screenshots"), help="kept, so the demo is made once"
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(state.name for state in STATES)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {state.name for state in STATES}:
        raise UserError(f"There is no state {sorted(unknown)[0]!r}.")
    arguments.out.mkdir(parents=True, exist_ok=True)

    def make_demo(services: Any) -> None:
        services.start_background()
        if job := services.jobs.get("demo"):
            print("drawing the demo benchmark")
            job.wait()
        _smoke_run(services)

    WORKSPACE.append(arguments.workspace)
    from playwright.sync_api import sync_playwright

    with serving(arguments.workspace, None, make_demo) as studio, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for state in STATES:
            if arguments.names and state.name not in arguments.names:
                continue
            for width in WIDTHS:
                for scheme in SCHEMES:
                    _take(browser, studio.url, state, width, scheme, arguments.out)
        browser.close()


def _smoke_run(services: Any) -> None:
    """A finished smoke run in the workspace: the one of an earlier call, else a new one by the real worker."""
    from studio.pages.train_form import NOW, start_run_of

    if any(run.state().status == "finished" for run in services.queue.runs()):
        return
    print("a smoke run")
    run = start_run_of(services, services.of(None), "name: first try\npreset: smoke\n", NOW, None)
    until = time.monotonic() + PATIENCE
    while not run.state().is_over and time.monotonic() < until:
        time.sleep(1)
        services.queue.runs()  # notices a worker that is gone
    if run.state().status != "finished":
        raise UserError(f"The smoke run is {run.state().status}: see {run.path / 'log.txt'}.")


def _take(browser: Any, url: str, state: State, width: int, scheme: str, out: Path) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-US", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(url + state.address)
    page.locator("#header .side a").first.wait_for()
    page.wait_for_timeout(700)
    state.act(page)
    page.wait_for_timeout(1000)
    path = out / f"{state.name}-{width}-{scheme}.png"
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(200)
    _write_small(page.screenshot(), path)
    context.close()
    print(path)


def _write_small(png: bytes, path: Path) -> None:
    """A palette of 256: half the bytes. Median cut would lose small coloured things (badges, masks) among the greys."""
    with Image.open(io.BytesIO(png)) as shot:
        shot.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, optimize=True)


if __name__ == "__main__":
    main()
