"""Ending a run between two steps, within seconds of being asked. No torch, so that it works from the first moment on.

SIGTERM or Ctrl+C asks. Where breaking off loses nothing (loading, generating, computing gradients) the question is answered
at once by an exception; where it would tear something apart (the optimizer's update, writing a checkpoint) it waits.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopRequested(BaseException):
    """Unwinds to the run's end; not an `Exception`, so that nobody swallows it."""


class Stopper:
    """Whether someone asked the run to end.

    Attributes:
        requested: someone did.
        interruptible: breaking off right now loses nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self.interruptible = True

    def install(self) -> Stopper:
        """Listen to SIGTERM and SIGINT (in a thread other than the main one: to nothing)."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._asked)
        return self

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self.check()

    def check(self) -> None:
        """Raises:
        StopRequested: someone asked, and breaking off loses nothing.
        """
        if self.requested and self.interruptible:
            self.interruptible = False  # a second signal must not break off the saving
            raise StopRequested


stopper = Stopper()
