"""The worker's pen: it claims a run folder, and from then on writes its state and metrics.

A background thread writes the state every two seconds, so that a person sees a sign of life (and a time left) even while
one step takes a minute.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import psutil

from core.errors import UserError, explain_os_error
from core.files import write_atomic
from core.runs.folder import RunFolder, RunState
from core.runs.processes import is_alive

HEARTBEAT = 2.0  # seconds


class Journal:
    """Made by `Journal.claim`; `close` writes the last state."""

    def __init__(self, run: RunFolder, state: RunState) -> None:
        self.run = run
        self.state = state
        self._stage_began = (time.monotonic(), 0)  # time and step at which this process began the stage
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, daemon=True, name="run-heartbeat")
        self._beat.start()

    @classmethod
    def claim(cls, run: RunFolder) -> Journal:
        """Become the run's worker.

        Raises:
            UserError: another living process is its worker, or the folder is of another version.
        """
        with run.lock():
            state = run.read_state()
            # Under torchrun the process that was started is our parent.
            if state.pid not in (None, os.getpid(), os.getppid()) and is_alive(state):
                raise UserError(
                    f"{run.path} is already worked on by process {state.pid}: wait for it or stop it first."
                )
            now = time.time()
            state = replace(
                state, status="running", pid=os.getpid(), process_started=psutil.Process().create_time(),
                host=socket.gethostname(), started=state.started or now, ended=None, message="Starting.", eta=None,
            )  # fmt: skip
            run.write_state(state)
        return cls(run, state)

    def stage(self, name: str, steps: int, *, step: int = 0, message: str = "") -> None:
        """Begin a stage at `step` of `steps`."""
        with self._lock:
            self._stage_began = (time.monotonic(), step)
            self.state = replace(self.state, stage=name, step=step, steps=steps, eta=None, message=message)
        self._write()

    def progress(self, step: int, steps: int | None = None, message: str | None = None) -> None:
        """Tell how far the stage is; cheap, the heartbeat writes it."""
        with self._lock:
            began, first = self._stage_began
            total = self.state.steps if steps is None else steps
            pace = (time.monotonic() - began) / (step - first) if step > first else None
            self.state = replace(
                self.state, step=step, steps=total, eta=None if pace is None else max(0.0, (total - step) * pace),
                message=self.state.message if message is None else message,
            )  # fmt: skip

    def stage_done(self, name: str) -> None:
        """Note that a stage is complete: resuming will not repeat it."""
        with self._lock:
            self.state = replace(self.state, done=(*self.state.done, name), eta=None)
        self._write()

    def metrics(self, **row: Any) -> None:
        """Append a row to `metrics.jsonl`; numbers that are not finite become null.

        Raises:
            UserError: the disk is full.
        """
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
        line = json.dumps({"time": round(time.time(), 3), **clean}, ensure_ascii=False) + "\n"
        path = self.run.path / "metrics.jsonl"
        try:
            with open(path, "ab") as file:
                file.write(line.encode("utf-8"))  # one write: a reader sees the whole line or none of it
        except OSError as error:
            raise explain_os_error(error, path) from error

    def forget_after(self, stage: str, step: int) -> None:
        """Drop what a killed process had written of `stage` beyond the checkpoint at `step`: it will be done again."""
        rows = self.run.metric_rows()
        kept = [row for row in rows if row.get("stage") != stage or row.get("step", 0) <= step]
        if len(kept) != len(rows) or rows:
            write_atomic(
                self.run.path / "metrics.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
            )
        if stage == "grpo":
            for folder in (self.run.path / "difficulty", self.run.path / "grpo" / "completions"):
                for part in folder.glob("part-*.parquet"):
                    if int(part.stem.split("-")[1]) > step:
                        part.unlink(missing_ok=True)

    def close(self, status: str, message: str) -> None:
        """Write the last state: finished, stopped or failed."""
        self._closed.set()
        self._beat.join(timeout=10)
        self.state = replace(self.state, status=status, message=message, ended=time.time(), eta=None)
        with contextlib.suppress(UserError):  # with a full disk nothing can be noted; the log has it
            self.run.write_state(self.state)

    def _heartbeat(self) -> None:
        while not self._closed.wait(HEARTBEAT):
            self._write()

    def _write(self) -> None:
        with self._lock, contextlib.suppress(UserError):
            if not self._closed.is_set():
                self.run.write_state(self.state)
