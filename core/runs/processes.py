"""Starting a run as a process of its own, finding it again, stopping it.

The process survives the app that started it. It is known by PID *and* start time, because PIDs are used again; a run
whose process is gone while its state says otherwise is `lost`, and can be resumed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from core.errors import UserError, explain_os_error
from core.files import write_atomic
from core.runs.folder import RunFolder, RunState

PROJECT = Path(__file__).resolve().parents[2]
# A worker on another machine (a shared disk) cannot be asked: it counts as alive while it wrote within this time.
FOREIGN_SILENCE = 600.0  # seconds
LOST = "The worker ended without a word (killed, out of memory, or the machine restarted): resume it."


def is_alive(state: RunState) -> bool:
    """Whether the process that the state names still runs; a zombie does not."""
    if state.pid is None or state.process_started is None:
        return False
    if state.host not in (None, socket.gethostname()):
        return time.time() - state.updated < FOREIGN_SILENCE
    try:
        process = psutil.Process(state.pid)
        # The start time is counted from the boot time, which a clock adjustment moves a little.
        same = abs(process.create_time() - state.process_started) < 2.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def create_run(runs_dir: str | Path, config: dict[str, Any], *, name: str | None = None) -> RunFolder:
    """Make a run folder with `config` (what `core.training.RunConfig` writes), queued and not yet started.

    Raises:
        UserError: the folder cannot be written.
    """
    name = name or str(config.get("name") or "run")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}"
    for number in range(1, 1000):
        path = Path(runs_dir) / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise explain_os_error(error, path) from error
    run = RunFolder(path)
    text = yaml.safe_dump({**config, "name": name}, sort_keys=False, allow_unicode=True)
    write_atomic(path / "config.yaml", text)
    run.write_state(RunState(created=time.time(), message="Waiting to be started."))
    return run


def start_run(run: RunFolder, *, command: list[str] | None = None) -> int:
    """Start the worker as a detached process, its output going to `log.txt`; returns its PID.

    Several processes per machine (`processes` in the config) are started through torchrun.

    Raises:
        UserError: it runs already, it is over (resume it), or the process cannot be started.
    """
    with run.lock():
        state = run.read_state()
        if is_alive(state):
            raise UserError(f"Run {run.id} is already running as process {state.pid}.")
        if state.status != "queued":
            raise UserError(f"Run {run.id} is {state.status}: resume it or make a new run.")
        return _spawn(run, state, command)


def resume_run(run: RunFolder, *, command: list[str] | None = None) -> int:
    """Go on from the last checkpoint of a run that was stopped, failed or lost; returns the new worker's PID.

    Raises:
        UserError: it is running, finished, or of another version.
    """
    with run.lock():
        state = _with_lost(run.read_state())
        if not state.is_over:
            raise UserError(f"Run {run.id} is {state.status}: it needs no resuming.")
        if state.status == "finished":
            raise UserError(f"Run {run.id} is finished: make a new run with the same settings.")
        queued = replace(state, status="queued", pid=None, process_started=None, message="Resuming.", ended=None)
        return _spawn(run, queued, command)


def stop_run(run: RunFolder) -> None:
    """Ask the worker to save a checkpoint and end (within 15 s); a run that has not begun is taken back."""
    with run.lock():
        state = _with_lost(run.read_state())
        if state.is_over:
            return
        if state.status == "queued":
            _kill(state)
            run.write_state(replace(state, status="stopped", ended=time.time(), message="Taken back before it began."))
            return
    if state.host not in (None, socket.gethostname()):
        raise UserError(f"Run {run.id} works on {state.host}: stop it there.")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(state.pid or 0), signal.SIGTERM)


def cancel_run(run: RunFolder) -> None:
    """End the worker at once, without saving; what the last checkpoint holds stays and can be resumed."""
    with run.lock():
        state = _with_lost(run.read_state())
        if state.is_over:
            return
        if state.host not in (None, socket.gethostname()):
            raise UserError(f"Run {run.id} works on {state.host}: stop it there.")
        _kill(state)
        run.write_state(replace(run.read_state(), status="stopped", ended=time.time(), eta=None, message="Cancelled."))


def delete_run(run: RunFolder) -> None:
    """Remove the folder.

    Raises:
        UserError: its process still runs.
    """
    with run.lock():
        if is_alive(run.state()):
            raise UserError(f"Run {run.id} is still running: stop it before you delete it.")
        # Out of sight in one step, then removed: a crash in between leaves no half run in the list.
        grave = run.path.with_name(f".deleted-{run.id}-{os.getpid()}")
        try:
            run.path.rename(grave)
        except OSError as error:
            raise explain_os_error(error, run.path) from error
    shutil.rmtree(grave, ignore_errors=True)


def list_runs(runs_dir: str | Path) -> list[RunFolder]:
    """All runs, newest first; those whose process is gone are marked lost."""
    folder = Path(runs_dir)
    if not folder.is_dir():
        return []
    runs = [RunFolder(path) for path in folder.iterdir() if (path / "config.yaml").is_file() and path.name[0] != "."]
    for run in runs:
        mark_lost(run)
    return sorted(runs, key=lambda run: (run.state().created, run.id), reverse=True)


def mark_lost(run: RunFolder) -> RunState:
    """Mark the run lost if its process is gone, and give its state."""
    state = run.state()
    if _with_lost(state) is state:
        return state
    with contextlib.suppress(UserError), run.lock():
        state = run.read_state()
        lost = _with_lost(state)
        if lost is not state:
            run.write_state(lost)
        return lost
    return state


def _with_lost(state: RunState) -> RunState:
    begun = state.status == "running" or (state.status == "queued" and state.pid is not None)
    if not begun or is_alive(state):
        return state
    return replace(state, status="lost", ended=time.time(), eta=None, message=LOST)


def _spawn(run: RunFolder, state: RunState, command: list[str] | None) -> int:
    arguments = command or _command(run)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    try:
        with open(run.path / "log.txt", "ab") as log:
            # A session of its own: closing the app, or Ctrl+C in its terminal, does not reach the worker.
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )
    except OSError as error:
        raise explain_os_error(error, run.path) from error
    # Reaped as soon as it ends, so that no zombie keeps the PID while the app lives.
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()
    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.Error:
        started = time.time()
    run.write_state(
        replace(state, pid=process.pid, process_started=started, host=socket.gethostname(), message="Starting.")
    )
    return process.pid


def _command(run: RunFolder) -> list[str]:
    processes = run.config().get("processes", 1)
    worker = ["-m", "core.training", str(run.path.resolve())]
    if isinstance(processes, int) and processes > 1:
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *worker]
    return [sys.executable, *worker]


def _kill(state: RunState) -> None:
    """End the worker and its children for good, and wait until it is gone."""
    if not is_alive(state) or state.host not in (None, socket.gethostname()):
        return
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(state.pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(family, timeout=5)
