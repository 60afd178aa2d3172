"""What the Train page says about runs."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pandas as pd
import pytest

from core.runs import create_run
from studio.views.runs import Reader, completions, duration, ending, run_head, run_list


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path, {"name": "<b>mine</b>", "preset": "smoke"})


def with_state(run, **changes):
    run.write_state(replace(run.state(), **changes))
    return run.state()


def test_the_list_links_to_every_run_and_never_runs_a_name(run):
    html = run_list([Reader().row(run)], run.id, "en")
    assert f'data-pick="{run.id}"' in html and "aria-current" in html
    assert "<b>mine" not in html and "&lt;b&gt;mine" in html
    assert "No runs yet" in run_list([], None, "en")


def test_a_running_run_shows_stage_step_and_time_left(run):
    with_state(run, status="running", stage="grpo", step=3, steps=10, eta=65.0, started=time.time() - 5)
    html = run_head(Reader().row(run), 2_000_000_000, "en")
    assert "GRPO 3 / 10" in html and "1 min 5 s left" in html and "2.0 GB" in html


def test_who_ended_a_run_is_told_apart(run):
    (run.path / "log.txt").write_text("\n".join(f"line {i}" for i in range(100)) + "\n<script>")
    stopped = ending(run, with_state(run, status="stopped", started=1.0, message="Stopped at step 3."), "en")
    cancelled = ending(run, with_state(run, status="stopped", started=1.0, message="Cancelled."), "en")
    failed = ending(run, with_state(run, status="failed", message="It broke."), "en")
    lost = ending(run, with_state(run, status="lost", message="Gone."), "en")
    assert "You stopped this run" in stopped and "You cancelled" in cancelled
    assert "ended with an error" in failed and "It broke." in failed and "process is gone" in lost
    assert "line 99" in failed and "line 60" not in failed and "<script>" not in failed
    assert ending(run, with_state(run, status="finished"), "en") == ""


def test_the_log_decides_which_advice_is_given(run):
    (run.path / "log.txt").write_text("torch.OutOfMemoryError: CUDA out of memory\n")
    assert "fewer answers per question" in ending(run, with_state(run, status="failed"), "en")


def test_a_broken_config_is_said_and_does_not_hide_the_others(run):
    (run.path / "config.yaml").write_text("a: [")
    row = Reader().row(run)
    assert row.problem and row.name == run.id


def test_a_file_is_read_again_only_when_it_has_changed(run, monkeypatch):
    reader = Reader()
    path = run.path / "metrics.jsonl"
    path.write_text(json.dumps({"stage": "sft", "step": 1, "loss": 1.0}) + "\n")
    first = reader.metrics(run)
    assert reader.metrics(run) is first
    path.write_text(path.read_text() + json.dumps({"stage": "sft", "step": 2, "loss": 0.5}) + "\n")
    assert len(reader.metrics(run)) == 2


def test_the_last_steps_answers_are_shown_with_rewards_and_advantages():
    rows = [
        {"step": step, "image": "d/p/bad/0.png", "index": 0, "solution": "A", "completion": f"<i>{letter}</i>",
         "accuracy_reward": float(letter == "A"), "advantage": 1.0 if letter == "A" else -1.0}
        for step in (1, 2) for letter in "AB"
    ]  # fmt: skip
    html = completions(pd.DataFrame(rows), "en")
    assert "Step 2" in html and html.count('class="completion"') == 2
    assert "accuracy" in html and "+1.00" in html and "-1.00" in html and "<i>" not in html


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (65, "1 min 5 s"), (7300, "2 h 1 min"), (None, "")])
def test_durations(seconds, text):
    assert duration(seconds, "en") == text
