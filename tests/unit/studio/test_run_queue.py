"""The line of waiting runs: one worker per device, and a restart forgets nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from core.errors import UserError
from core.runs import RunFolder
from studio.run_queue import Queue


def pretend_start(run: RunFolder) -> None:
    """This test's own process stands in for the worker: it is alive."""
    me = psutil.Process()
    run.write_state(replace(run.state(), status="running", pid=os.getpid(), process_started=me.create_time()))


def end(run: RunFolder, status: str = "finished") -> None:
    run.write_state(replace(run.state(), status=status, pid=None, process_started=None, ended=time.time()))


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path / "runs", start=pretend_start, resume=pretend_start)


def test_a_second_run_waits_until_the_first_has_ended(queue):
    first = queue.add({"device": "cpu"}, "one")
    second = queue.add({"device": "cpu"}, "two")
    third = queue.add({"device": "cpu"}, "three")
    assert [run.state().status for run in (first, second, third)] == ["running", "queued", "queued"]
    assert [queue.place(run) for run in (first, second, third)] == [0, 1, 2]
    end(first)
    assert queue.advance() == [second]
    assert queue.waiting() == [third.id]


def test_every_device_has_its_own_line(queue):
    queue.add({"device": "cpu"})
    other = queue.add({"device": "mps"})
    assert other.state().status == "running"


def test_the_order_survives_a_restart_of_the_studio(queue):
    first, second = queue.add({"device": "cpu"}, "a"), queue.add({"device": "cpu"}, "b")
    again = Queue(queue.runs_dir, start=pretend_start)
    assert again.waiting() == [second.id] and again.advance() == []
    end(first, "failed")
    assert again.advance() == [second]


def test_a_stopped_run_waits_for_its_device_before_it_goes_on(queue):
    stopped = queue.add({"device": "cpu"}, "a")
    end(stopped, "stopped")
    running = queue.add({"device": "cpu"}, "b")
    queue.resume(stopped)
    assert stopped.state().status == "stopped" and queue.place(stopped) == 1
    end(running)
    queue.advance()
    assert stopped.state().status == "running"


def test_a_run_is_resumed_once_its_old_process_is_gone(queue):
    run = queue.add({"device": "cpu"})
    run.write_state(replace(run.state(), status="stopped", ended=time.time()))  # it has saved, and is still alive
    queue.resume(run)
    assert queue.waiting() == [run.id] and run.state().status == "stopped"
    end(run, "stopped")
    assert queue.advance() == [run]


def test_what_ended_well_or_still_runs_is_not_resumed(queue):
    run = queue.add({"device": "cpu"})
    with pytest.raises(UserError, match="running"):
        queue.resume(run)
    end(run)
    with pytest.raises(UserError, match="clone"):
        queue.resume(run)


def test_taking_back_and_deleting_leaves_the_line(queue):
    queue.add({"device": "cpu"})
    waiting = queue.add({"device": "cpu"})
    queue.stop(waiting)
    assert queue.waiting() == [] and waiting.state().status == "stopped"


def test_a_worker_that_cannot_start_does_not_block_the_others(tmp_path):
    def refuse(run):
        if "bad" in run.id:
            raise UserError("no")
        pretend_start(run)

    queue = Queue(tmp_path, start=refuse)
    with pytest.raises(UserError):
        queue.add({"device": "cpu"}, "bad")
    assert queue.add({"device": "cpu"}, "good").state().status == "running"


def test_an_id_from_a_url_is_looked_up_not_joined(queue):
    queue.add({"device": "cpu"})
    assert queue.find("../../etc") is None and queue.find(None) is None


def test_a_run_whose_process_was_killed_frees_its_device(tmp_path):
    def spawn(run):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        started = psutil.Process(process.pid).create_time()
        run.write_state(replace(run.state(), status="running", pid=process.pid, process_started=started))
        workers.append(process)

    workers: list[subprocess.Popen] = []
    queue = Queue(tmp_path, start=spawn)
    first, second = queue.add({"device": "cpu"}, "a"), queue.add({"device": "cpu"}, "b")
    workers[0].kill()
    workers[0].wait()
    queue.advance()
    assert first.state().status == "lost" and second.state().status == "running"
    workers[1].kill()
    workers[1].wait()
