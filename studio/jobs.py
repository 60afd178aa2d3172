"""Background work inside the app: one thread a job, with progress and a stop button; pages ask for its state.

A job belongs to the app, not to a tab: closing the tab does not end it. Training is no job of this kind - it has a
process and a run folder of its own (core.runs) and outlives the app.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import NO_MEMORY, UserError, out_of_memory


class Stopped(Exception):
    """Raised inside a job when somebody stopped it."""


@dataclass
class Job:
    """One piece of background work.

    Attributes:
        state: "running", "done", "stopped" or "failed"; `message` says what it does or what went wrong.
        done, total: steps; total 0 when it is not known yet.
        result: what the work returned.
    """

    name: str
    state: Literal["running", "done", "stopped", "failed"] = "running"
    done: int = 0
    total: int = 0
    message: str = ""
    result: Any = None
    started: float = field(default_factory=time.time)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    def progress(self, done: int, total: int, message: str | None = None) -> None:
        """To be called by the work after each step; raises `Stopped` when it should end."""
        self.done, self.total = done, total
        if message is not None:
            self.message = message
        if self._stop.is_set():
            raise Stopped

    def asked_to_stop(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the work to end at its next step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until the work has ended."""
        if self._thread is not None:
            self._thread.join(seconds)


class Jobs:
    """The jobs of this app by name; a name runs once at a time."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, name: str, work: Callable[[Job], Any]) -> Job:
        """Start `work(job)` in a thread, or return the job of that name that is already running."""
        with self._lock:
            found = self._jobs.get(name)
            if found is not None and found.running:
                return found
            job = self._jobs[name] = Job(name)
            job._thread = threading.Thread(target=_carry_out, args=(job, work), name=name, daemon=True)
            job._thread.start()
        return job

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def stop_all(self) -> None:
        for job in list(self._jobs.values()):
            job.stop()


def _carry_out(job: Job, work: Callable[[Job], Any]) -> None:
    try:
        job.result = work(job)
        job.state = "done"
    except Stopped:
        job.state = "stopped"
    except UserError as error:
        job.message, job.state = str(error), "failed"
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it: the page shows it, the log keeps it
        traceback.print_exc()
        said = NO_MEMORY if out_of_memory(error) else f"{type(error).__name__}: {error}"
        job.message, job.state = said, "failed"
