"""The loop in the browser with the real worker: start the smoke run, see its curves, reload, stop, go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.runs import cancel_run
from core.synthesis.factory import write_demo
from tests.ui.conftest import Running, serving

pytestmark = pytest.mark.slow
WORKER = 120_000  # milliseconds: the worker's first step loads torch and the model


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("studio")
    lots, per_lot = {"train": 1, "val": 1, "test": 1}, {"train": 6, "val": 3, "test": 3}
    write_demo(folder / "bench", products=("hex_nut", "biscuit"), lots=lots, per_lot=per_lot)
    with serving(folder / "workspace", Path(folder / "bench"), lambda services: services.queue.watch()) as running:
        yield running
        for run in running.services.queue.runs():
            cancel_run(run)


def test_a_real_run_is_started_followed_reloaded_stopped_and_resumed(studio, open_page):
    page = open_page(f"{studio.url}/train?run=new")
    page.get_by_label(re.compile("Smoke")).check()
    expect(page.locator("#run-yaml")).to_contain_text("preset: smoke")
    page.click("#start-run")
    expect(page.locator("#run-head .badge")).to_have_text("running", timeout=WORKER)
    expect(page).to_have_url(re.compile(r"run=\d{8}-\d{6}-smoke"))
    expect(page.locator("#curve-loss")).to_be_visible(timeout=WORKER)

    run = studio.services.queue.runs()[0]
    assert run.metrics()["loss"].notna().sum() >= 2
    page.reload()
    expect(page.locator("#run-head h3")).to_contain_text("smoke")
    expect(page.locator("#curve-loss")).to_be_visible()

    page.click("#stop-run")
    expect(page.locator("#run-head .badge")).to_have_text("stopped", timeout=WORKER)
    expect(page.locator("#run-end")).to_contain_text("You stopped this run")
    state = run.state()
    assert state.step >= 2 or state.done, "what was learned before the stop counts, also where a stage has just begun"
    # At once, while the old process is still putting its things away.
    page.click("#resume-run")
    expect(page.locator("#run-head .badge")).to_have_text("running", timeout=WORKER)
    page.click("#cancel-run")
    expect(page.locator("#run-end")).to_contain_text("You cancelled")
