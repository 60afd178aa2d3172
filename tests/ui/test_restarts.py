"""The app is killed, the worker is killed, both are: what a browser finds afterwards is true, and can be gone on with."""

from __future__ import annotations

import os
import signal
import time

import psutil
from playwright.sync_api import expect

from core.runs import cancel_run, create_run
from core.training import preset
from tests.ui.conftest import serving
from tests.ui.pretend import resume_pretend, start_pretend
from tests.ui.test_frame import end, start


def badge(page):
    return page.locator("#run-head .badge")


def working(runs_dir, name):
    """A run whose worker has begun, a step a second."""
    run = create_run(runs_dir, preset("smoke").with_(name=name).to_dict(), name=name)
    start_pretend(run, 1)
    while run.state().status != "running" or run.state().step < 1:
        time.sleep(0.1)
    return run


def kill(run):
    pid = run.state().pid
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)


def test_a_killed_worker_is_said_and_the_run_goes_on(drawn, tmp_path, open_page):
    def prepare(services):
        services.queue._resume = lambda run: resume_pretend(run, 0.2)
        services.queue.watch()

    with serving(tmp_path / "w", drawn, prepare) as running:
        run = working(running.services.runs_dir, "killed")
        page = open_page(f"{running.url}/train?run={run.id}")
        expect(badge(page)).to_have_text("running")
        kill(run)
        expect(badge(page)).to_have_text("lost")
        expect(page.locator("#run-end")).to_contain_text("The worker process is gone")
        page.click("#resume-run")
        expect(badge(page)).to_have_text("running")
        expect(badge(page)).to_have_text("finished", timeout=120_000)


def test_the_app_is_killed_alone_and_then_together_with_the_worker(drawn, tmp_path, open_page):
    workspace = tmp_path / "w"
    run = working(workspace / "runs", "survivor")
    process, url = start("--workspace", workspace, "--mmad", drawn)
    try:
        page = open_page(f"{url}/train?run={run.id}", errors_expected=True)
        expect(badge(page)).to_have_text("running")
        end(process, signal.SIGKILL)
        before = run.state().step
        process, url = start("--workspace", workspace)
        page = open_page(f"{url}/train?run={run.id}", errors_expected=True)
        expect(badge(page)).to_have_text("running")
        while run.state().step <= before:  # it has worked on without the app
            time.sleep(0.2)
        end(process, signal.SIGKILL)
        kill(run)
        process, url = start("--workspace", workspace)
        page = open_page(f"{url}/train?run={run.id}", errors_expected=True)
        expect(badge(page)).to_have_text("lost")
        expect(page.locator("#resume-run")).to_be_visible()
        expect(page.locator("#curve-loss")).to_be_visible()
    finally:
        end(process, signal.SIGKILL)
        cancel_run(run)
