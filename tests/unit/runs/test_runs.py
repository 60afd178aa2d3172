"""Scenarios of a run folder: started, watched, stopped, killed, resumed, deleted; the worker is a small script."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from core.errors import UserError
from core.runs import (
    Journal,
    RunFolder,
    cancel_run,
    create_run,
    delete_run,
    is_alive,
    list_runs,
    resume_run,
    start_run,
    stop_run,
)

WORKER = """
import signal, sys, time
from core.runs import Journal, RunFolder
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
journal = Journal.claim(RunFolder(sys.argv[1]))
journal.stage("sft", 1000, message="learning")
for step in range(1, 1001):
    if stop:
        journal.close("stopped", "saved at step %d" % step)
        sys.exit(0)
    journal.metrics(stage="sft", step=step, loss=1 / step)
    journal.progress(step)
    time.sleep(0.02)
journal.close("finished", "done")
"""


def worker(run: RunFolder) -> list[str]:
    return [sys.executable, "-c", WORKER, str(run.path)]


def wait(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path):
    run = create_run(tmp_path / "runs", {"name": "Smoke test", "seed": 3})
    yield run
    with contextlib.suppress(UserError):
        cancel_run(run)


def test_a_new_run_is_queued_and_holds_its_config(run):
    assert run.id.endswith("-smoke-test")
    assert run.config() == {"name": "Smoke test", "seed": 3}
    assert run.state().status == "queued" and run.state().pid is None
    assert run.metrics().empty and run.difficulty().empty and run.log_tail() == "" and run.table() is None


def test_started_watched_and_stopped(run):
    pid = start_run(run, command=worker(run))
    wait(lambda: run.state().status == "running" and len(run.metrics()) > 3)
    assert run.state().pid == pid and run.state().stage == "sft" and is_alive(run.state())
    with pytest.raises(UserError, match="already running"):
        start_run(run, command=worker(run))
    with pytest.raises(UserError, match="still running"):
        delete_run(run)
    with pytest.raises(UserError, match="needs no resuming"):
        resume_run(run, command=worker(run))
    stop_run(run)
    wait(lambda: run.state().status == "stopped")
    assert run.state().message.startswith("saved at step")
    assert list(run.metrics()["step"]) == list(range(1, len(run.metrics()) + 1))
    wait(lambda: not psutil.pid_exists(pid))  # reaped, no zombie


def test_the_heartbeat_shows_progress_and_time_left(run):
    start_run(run, command=worker(run))
    wait(lambda: run.state().eta is not None)
    first = run.state()
    wait(lambda: run.state().step > first.step)
    assert 0 < first.eta < 60 and first.steps == 1000


def test_a_killed_worker_is_lost_and_can_be_resumed(run, tmp_path):
    pid = start_run(run, command=worker(run))
    wait(lambda: run.state().status == "running")
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not is_alive(run.state()))
    assert [r.state().status for r in list_runs(tmp_path / "runs")] == ["lost"]
    assert "resume" in run.state().message
    resume_run(run, command=worker(run))
    wait(lambda: run.state().status == "running")


def test_a_pid_that_is_used_again_is_not_the_worker(run):
    state = replace(run.state(), status="running", pid=os.getpid(), process_started=time.time() - 5000)
    run.write_state(state)
    assert not is_alive(state)
    assert list_runs(run.path.parent)[0].state().status == "lost"


def test_a_worker_on_another_machine_is_alive_while_it_writes(run):
    state = replace(run.state(), status="running", pid=1, process_started=1.0, host="elsewhere")
    run.write_state(state)
    assert list_runs(run.path.parent)[0].state().status == "running"
    assert not is_alive(replace(state, updated=time.time() - 3600))
    with pytest.raises(UserError, match="elsewhere"):
        stop_run(run)


def test_two_workers_on_one_folder(run):
    start_run(run, command=worker(run))
    wait(lambda: run.state().status == "running")
    with pytest.raises(UserError, match="already worked on by process"):
        Journal.claim(run)


def test_cancel_ends_at_once(run):
    pid = start_run(run, command=worker(run))
    wait(lambda: run.state().status == "running")
    cancel_run(run)
    assert run.state().status == "stopped" and run.state().message == "Cancelled."
    wait(lambda: not psutil.pid_exists(pid))
    assert not is_alive(run.state())
    delete_run(run)
    assert not run.path.exists()


def test_taking_back_a_run_that_never_began(run):
    stop_run(run)
    assert run.state().status == "stopped"
    with pytest.raises(UserError, match="resume it or make a new run"):
        start_run(run, command=worker(run))


def test_the_process_survives_the_app(run, tmp_path):
    code = (
        "import sys; from core.runs import *; run = RunFolder(sys.argv[1]);"
        "print(start_run(run, command=[sys.executable, '-c', sys.argv[2], sys.argv[1]]))"
    )
    app = subprocess.run(
        [sys.executable, "-c", code, str(run.path), WORKER], capture_output=True, text=True, check=True
    )
    wait(lambda: run.state().status == "running")
    assert run.state().pid == int(app.stdout)


def test_a_worker_that_dies_before_it_claims_is_lost_with_its_log(run):
    start_run(run, command=[sys.executable, "-c", "print('no such module'); raise SystemExit(1)"])
    wait(lambda: list_runs(run.path.parent)[0].state().status == "lost")
    assert "no such module" in run.log_tail()


def test_a_half_written_line_is_not_there_yet(run):
    (run.path / "metrics.jsonl").write_text('{"stage": "sft", "step": 1, "loss": 2.0}\n{"stage": "sf')
    assert run.metrics()["step"].tolist() == [1]


def test_what_was_lost_with_a_kill_is_forgotten_on_resume(run):
    journal = Journal.claim(run)
    for step in range(1, 6):
        journal.metrics(stage="sft", step=step, loss=float("nan"))
    for step in range(1, 6):
        journal.metrics(stage="grpo", step=step, reward=0.5)
    part = run.path / "difficulty" / "part-00005.parquet"
    part.parent.mkdir()
    pd.DataFrame({"step": [5]}).to_parquet(part)
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"half')
    journal.forget_after("grpo", 3)
    metrics = run.metrics()
    assert metrics.groupby("stage")["step"].max().to_dict() == {"sft": 5, "grpo": 3}
    assert metrics["loss"].isna().all() and not part.exists()
    journal.close("finished", "done")
    assert run.state().status == "finished" and run.state().ended


def test_a_folder_of_an_older_version(run):
    (run.path / "state.json").write_text(json.dumps({"version": 0, "status": "running"}))
    assert run.state().status == "failed" and "version" in run.state().message
    for action in (start_run, resume_run, Journal.claim):
        with pytest.raises(UserError, match="version"):
            action(run)


def test_newest_first_and_strangers_left_out(tmp_path):
    first = create_run(tmp_path, {}, name="a")
    second = create_run(tmp_path, {}, name="a")
    (tmp_path / "notes").mkdir()
    assert first.id != second.id
    assert [r.id for r in list_runs(tmp_path)] == [second.id, first.id]
    assert list_runs(tmp_path / "absent") == []


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1", "\x00"])
def test_a_config_that_is_no_mapping(run, text):
    (run.path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="config.yaml"):
        run.config()
