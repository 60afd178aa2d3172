"""One line of waiting runs per device; at the head of each line a worker process of its own.

The run folders are the truth: what runs, what ended and why is read from them every time, so nothing has to be remembered
over a restart. The only thing kept here is the order of those who wait (`runs/queue.json`), held under a lock, so that two
studios on one workspace do not start the same run twice. While no studio is open nobody moves up; running ones go on.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError, explain_os_error
from core.files import read_json, write_json
from core.runs import RunFolder, cancel_run, create_run, is_alive, list_runs, resume_run, start_run, stop_run

log = logging.getLogger(__name__)
PATIENCE = 2.0  # seconds between two looks at the lines
NVIDIA = Path("/dev/nvidiactl")


def device_of(run: RunFolder) -> str:
    """The device a run works on; "auto" is the GPU where there is one (told without loading torch)."""
    try:
        name = str(run.config().get("device") or "auto").split(":")[0]
    except UserError:
        name = "auto"
    return name if name != "auto" else "cuda" if NVIDIA.exists() else "cpu"


class Queue:
    """The lines of one runs folder.

    Args:
        runs_dir: where the run folders lie.
        start, resume: how a worker is started; tests replace them.
    """

    def __init__(
        self,
        runs_dir: str | Path,
        *,
        start: Callable[[RunFolder], Any] = start_run,
        resume: Callable[[RunFolder], Any] = resume_run,
    ) -> None:
        self.runs_dir = Path(runs_dir)
        self._start, self._resume = start, resume
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def runs(self) -> list[RunFolder]:
        """All runs, newest first; those whose process is gone are marked lost."""
        return list_runs(self.runs_dir)

    def find(self, run_id: str | None) -> RunFolder | None:
        """The run with that id. The id is looked up, never joined to a path: it may come from a URL."""
        return next((run for run in self.runs() if run.id == run_id), None)

    def waiting(self) -> list[str]:
        """Ids of those who wait, first come first served."""
        try:
            ids = read_json(self._file)
        except UserError:
            return []
        return [str(item) for item in ids] if isinstance(ids, list) else []

    def add(self, config: dict[str, Any], name: str | None = None) -> RunFolder:
        """Make a run; it starts at once if its device is free, else it waits.

        Raises:
            UserError: the folder cannot be written, or the worker cannot be started.
        """
        run = create_run(self.runs_dir, config, name=name)
        self._join(run)
        return run

    def resume(self, run: RunFolder) -> None:
        """Let a run that ended before it was finished go on from its last checkpoint, when its device is free.

        Raises:
            UserError: it is running or finished.
        """
        state = run.state()
        if not state.is_over:
            raise UserError(f"Run {run.id} is {state.status}: it needs no resuming.")
        if state.status == "finished":
            raise UserError(f"Run {run.id} is finished: clone it to train again.")
        self._join(run)

    def stop(self, run: RunFolder) -> None:
        """Save and end; a waiting run is taken back."""
        self.leave(run)
        stop_run(run)

    def cancel(self, run: RunFolder) -> None:
        """End without saving; a waiting run is taken back."""
        self.leave(run)
        cancel_run(run)

    def leave(self, run: RunFolder) -> None:
        """Take a run out of the line."""
        with self._lock():
            self._write([item for item in self.waiting() if item != run.id])

    def advance(self) -> list[RunFolder]:
        """Start whoever is at the head of a line whose device is free; returns those started.

        Raises:
            UserError: a worker could not be started; it has left the line, the others wait on.
        """
        started, problem = [], None
        with self._lock():
            waiting = self.waiting()
            runs = {run.id: run for run in self.runs()} if waiting else {}
            busy = {device_of(run) for run in runs.values() if is_alive(run.state())}
            left = []
            for run_id in waiting:
                run = runs.get(run_id)
                if run is None or run.state().status == "finished":
                    continue
                if is_alive(run.state()):
                    # Its last worker has saved but not yet ended: it is resumed when that process is gone.
                    left += [run_id] if run.state().is_over else []
                    continue
                if device_of(run) in busy:
                    left.append(run_id)
                    continue
                try:
                    (self._start if run.state().status == "queued" else self._resume)(run)
                    busy.add(device_of(run))
                    started.append(run)
                except UserError as error:
                    problem = error
            if left != waiting:
                self._write(left)
        if problem:
            raise problem
        return started

    def watch(self) -> None:
        """Look at the lines every two seconds, in the background, until `close`."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, daemon=True, name="run-queue")
            self._watcher.start()

    def close(self) -> None:
        """Stop looking; running workers go on."""
        self._closed.set()

    def place(self, run: RunFolder) -> int:
        """How many of its device's line are served before or with this run, from 1; 0 when it does not wait."""
        waiting = self.waiting()
        if run.id not in waiting:
            return 0
        device = device_of(run)
        ahead = [RunFolder(self.runs_dir / item) for item in waiting[: waiting.index(run.id)]]
        return 1 + sum(device_of(other) == device for other in ahead)

    def _join(self, run: RunFolder) -> None:
        with self._lock():
            self._write([*(item for item in self.waiting() if item != run.id), run.id])
        self.advance()

    def _look(self) -> None:
        while not self._closed.wait(PATIENCE):
            if self.waiting():
                try:
                    self.advance()
                except (UserError, OSError) as error:
                    log.warning("%s", error)

    @property
    def _file(self) -> Path:
        return self.runs_dir / "queue.json"

    def _write(self, ids: list[str]) -> None:
        write_json(self._file, ids, indent=None)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.runs_dir.mkdir(parents=True, exist_ok=True)
            file = open(self.runs_dir / ".queue.lock", "w")  # noqa: SIM115 - closed below, after the yield
        except OSError as error:
            raise explain_os_error(error, self.runs_dir) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
