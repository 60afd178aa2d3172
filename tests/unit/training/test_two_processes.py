"""A run of two processes, started through torchrun as the app does it, ends as a whole when it is asked to."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from core.runs import RunFolder, create_run, start_run, stop_run
from tests.unit.training.conftest import quick


def wait(condition, place: RunFolder, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, place.log_tail()
        assert place.state().status != "failed", place.log_tail()
        time.sleep(0.1)


def at(place: RunFolder, stage: str, step: int) -> bool:
    state = place.state()
    return (state.stage, state.step >= step) == (stage, True)


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["the worker", "the launcher"])
def test_both_end_within_fifteen_seconds(base, snapshot, tmp_path, monkeypatch, asked):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    endless = {"sft": {"enabled": False}, "grpo": {"max_steps": 5000}, "evaluate": {"every": 0}}
    place = create_run(tmp_path, quick(base, snapshot, processes=2, save={"every": 1000}, **endless).to_dict())
    launcher = psutil.Process(start_run(place))
    wait(lambda: at(place, "grpo", 1), place)
    family = [launcher, *launcher.children(recursive=True)]
    assert sum("core.training" in " ".join(p.cmdline()) for p in family) >= 3  # torchrun and two workers
    began = time.monotonic()
    if asked == "the worker":
        stop_run(place)  # as the app asks: only the first worker is known to it
    else:
        os.kill(launcher.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=30)
    took = time.monotonic() - began
    for process in alive:
        process.kill()
    print(f"two processes ended {took:.1f} s after {asked} was asked")
    assert not alive and took < 15, f"{took:.1f} s\n{place.log_tail()}"
    state = place.state()
    assert state.status == "stopped", state.message
    assert (place.path / "grpo" / f"checkpoint-{state.step}" / "trained.safetensors").is_file()


def test_while_answering_the_second_follows_the_first(base, snapshot, tmp_path):
    """Nobody waits in evaluation, so the second process sees in the state file that the first was stopped."""
    from core.runs import RunState
    from core.training.stopping import StopRequested
    from core.training.worker import Work

    place = create_run(tmp_path, quick(base, snapshot).to_dict())
    work = Work(quick(base, snapshot), place, journal=None)
    work.snapshot = work._snapshot()
    place.write_state(RunState(status="stopped"))
    with pytest.raises(StopRequested):
        work.evaluation()
