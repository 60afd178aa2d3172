"""The Train page in a browser: start, follow, stop, resume, fail, queue, clone, delete; reload and restart lose nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.mmad import read_mmad
from core.runs import cancel_run
from tests.ui.conftest import serving
from tests.ui.pretend import pretend_run, resume_pretend, start_pretend


@pytest.fixture(scope="module")
def training(drawn: Path, tmp_path_factory):
    """A studio whose workers are small and quick, with one finished run."""

    def prepare(services):
        # A second a step: no run ends by itself before a slow browser has looked at it.
        services.queue._start = lambda run: start_pretend(run, 1)
        services.queue._resume = lambda run: resume_pretend(run, 1)
        pretend_run(services.runs_dir, read_mmad(drawn), name="first try")
        services.queue.watch()

    with serving(tmp_path_factory.mktemp("train"), drawn, prepare) as running:
        yield running
        for run in running.services.queue.runs():
            cancel_run(run)


def test_start_follow_reload_stop_resume(training, open_page):
    page = open_page(f"{training.url}/train?run=new")
    page.get_by_label("Smoke · 3 min on a CPU").check()
    expect(page.locator("#run-yaml")).to_contain_text("preset: smoke")
    page.locator("#run-name input, #run-name textarea").first.fill("my run")
    page.locator("#run-name input, #run-name textarea").first.blur()
    expect(page.locator("#run-yaml")).to_contain_text("name: my run")
    page.click("#start-run")
    expect(page.locator("#run-head h3")).to_contain_text("my run")
    expect(page).to_have_url(re.compile(r"run=\d{8}-\d{6}-my-run"))
    expect(page.locator("#curve-loss")).to_be_visible()
    page.reload()
    expect(page.locator("#run-head h3")).to_contain_text("my run")
    expect(page.locator("#curve-reward")).to_be_visible()
    page.click("#stop-run")
    expect(page.locator("#run-head .badge")).to_have_text("stopped")
    expect(page.locator("#run-end")).to_contain_text("You stopped this run")
    page.click("#resume-run")
    expect(page.locator("#run-head .badge")).to_have_text("running")
    page.click("#cancel-run")
    expect(page.locator("#run-end")).to_contain_text("You cancelled")


def test_a_second_run_waits_and_the_app_may_restart_meanwhile(training, open_page):
    queue = training.services.queue
    first, second = queue.add({"name": "long", "preset": "smoke"}), queue.add({"name": "next", "preset": "smoke"})
    page = open_page(f"{training.url}/train?run={second.id}")
    expect(page.locator("#run-head")).to_contain_text("number 1 in line")
    assert first.state().status in ("queued", "running")
    with serving(training.services.folder, None) as again:
        # It is closed with its page open, as by a restart: the browser is right to complain.
        other = open_page(f"{again.url}/train?run={first.id}", errors_expected=True)
        expect(other.locator("#run-head .badge")).to_have_text("running")
    cancel_run(first)
    expect(page.locator("#run-head .badge")).to_have_text("running")
    cancel_run(second)


def test_a_failed_run_explains_itself(training, open_page):
    run = training.services.queue.add({"name": "this fails", "preset": "smoke"})
    for _ in range(600):
        if run.state().is_over:
            break
        time.sleep(0.1)
    page = open_page(f"{training.url}/train?run={run.id}")
    notice = page.locator("#run-end")
    expect(notice).to_contain_text("ended with an error")
    expect(notice).to_contain_text("fewer answers per question")
    expect(notice).to_contain_text("CUDA out of memory")


def test_impossible_settings_are_named_and_cannot_be_started(training, open_page):
    page = open_page(f"{training.url}/train?run=new")
    page.get_by_text("All settings").click()
    size = page.locator("#field-grpo-group_size input")
    size.fill("1")
    size.blur()
    expect(page.locator("#run-note")).to_contain_text("group_size must be at least 2")
    expect(page.locator("#start-run")).to_be_disabled()
    size.fill("8")
    size.blur()
    expect(page.locator("#start-run")).to_be_enabled()


def test_an_answer_that_comes_late_overwrites_nothing(training, open_page, monkeypatch):
    from studio.pages import train_form

    choices = train_form.data_choices
    monkeypatch.setattr(train_form, "data_choices", lambda *given: (time.sleep(1.5), choices(*given))[1])
    page = open_page(f"{training.url}/train?run=new")
    page.get_by_text("All settings").click()
    size = page.locator("#field-grpo-group_size input")
    size.fill("1")
    size.blur()
    page.get_by_label("Smoke · 3 min on a CPU").check()  # without waiting: the last thing said counts
    expect(page.locator("#run-yaml")).to_contain_text("preset: smoke")
    size.fill("1")
    size.blur()
    expect(page.locator("#run-note")).to_contain_text("group_size must be at least 2")
    page.wait_for_timeout(2500)  # a late answer would be here by now
    expect(page.locator("#run-note")).to_contain_text("group_size must be at least 2")
    expect(size).to_have_value("1")


def test_every_part_of_the_method_can_be_switched_off(training, open_page):
    page = open_page(f"{training.url}/train?run=new")
    for part, setting in (
        ("Advantage reweighting", "reweighting: false"), ("Response resampling", "resampling: 0"),
        ("Heatmap embedding", "contrast: false"), ("Soft prompt", "soft_prompt: false"),
        ("Text samples", "text_samples: false"),
    ):  # fmt: skip
        page.get_by_label(part).uncheck()
        expect(page.locator("#run-yaml")).to_contain_text(setting)
    # The demo preset does without the descriptions already: here the switch goes the other way.
    page.get_by_label("Descriptions in the prompt").check()
    expect(page.locator("#run-yaml")).to_contain_text("knowledge: true")
    page.get_by_label("Descriptions in the prompt").uncheck()
    expect(page.locator("#run-yaml")).not_to_contain_text("knowledge")
    page.get_by_label("Response resampling").check()
    expect(page.locator("#run-yaml")).not_to_contain_text("resampling: 0")


def test_without_a_gpu_a_preset_for_one_says_so_before_it_is_started(training, open_page, monkeypatch):
    from studio.pages import train_form

    monkeypatch.setattr(train_form, "gpus", list)
    page = open_page(f"{training.url}/train?run=new")
    page.get_by_label("InternVL3 1B").check()
    expect(page.locator("#run-note")).to_contain_text("This machine has no GPU")
    page.locator("#preset input[value=demo]").check()
    expect(page.locator("#run-note")).to_contain_text("Memory needed")


def test_answers_log_and_settings_of_a_run(training, open_page):
    run = next(run for run in training.services.queue.runs() if "first-try" in run.id)
    page = open_page(f"{training.url}/train?run={run.id}")
    page.get_by_role("tab", name="Answers while training").click()
    expect(page.locator("#run-answers")).to_contain_text("advantage")
    page.get_by_role("tab", name="Log").click()
    expect(page.locator("#run-log textarea")).to_have_value(re.compile("grpo step 60"))
    page.get_by_role("tab", name="Settings of this run").click()
    expect(page.locator("#run-config")).to_contain_text("preset: smoke")


def test_curves_of_two_runs_are_laid_over_each_other(training, open_page, drawn):
    other = pretend_run(training.services.runs_dir, read_mmad(drawn), name="second try", seed=3)
    run = next(run for run in training.services.queue.runs() if "first-try" in run.id)
    page = open_page(f"{training.url}/train?run={run.id}")
    expect(page.locator("#curve-reward")).to_be_visible()
    page.locator("#overlay input").click()
    page.get_by_role("option", name=re.compile("second try")).click()
    expect(page.locator("#curve-reward")).to_contain_text("second try")
    assert other.state().status == "finished"


def test_clone_brings_the_settings_and_delete_asks_first(training, open_page, drawn):
    run = pretend_run(training.services.runs_dir, read_mmad(drawn), name="throw away")
    page = open_page(f"{training.url}/train?run={run.id}")
    page.click("#clone-run")
    expect(page.locator("#run-yaml")).to_contain_text("name: throw away")
    page.goto(f"{training.url}/train?run={run.id}")
    page.click("#delete-run")
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    page.click("#delete-no")
    assert run.path.is_dir()
    page.click("#delete-run")
    page.click("#delete-yes")
    expect(page.locator("#runs")).not_to_contain_text("throw away")
    assert not run.path.exists()


def test_an_unknown_run_in_the_address_is_said(training, open_page):
    page = open_page(f"{training.url}/train?run=../../etc")
    expect(page.locator("#run-head")).to_contain_text("not there any more")
