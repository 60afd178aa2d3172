"""What this machine has left: memory, disk, GPU memory. Nothing here loads torch."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TypeVar

import psutil

from core.runs import RunState, is_alive
from studio import markup
from studio.i18n import say

T = TypeVar("T")
TIGHT = 0.9  # share from which a meter warns


@dataclass(frozen=True, slots=True)
class Room:
    """One kind of room, in bytes; `key` names its text and `number` the GPU."""

    key: str
    total: int
    free: int
    number: int = 0


def _kept(seconds: float) -> Callable[[Callable[[], T]], Callable[[], T]]:
    """Ask again only after so many seconds: many open pages look at the same machine."""

    def decorate(ask: Callable[[], T]) -> Callable[[], T]:
        last: list[tuple[float, T]] = []

        @wraps(ask)
        def asked() -> T:
            if not last or time.monotonic() - last[0][0] > seconds:
                last[:] = [(time.monotonic(), ask())]
            return last[0][1]

        return asked

    return decorate


@_kept(3.0)
def gpus() -> list[Room]:
    """The GPUs' memory as nvidia-smi tells it; empty without one."""
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=5, check=True,
        ).stdout  # fmt: skip
        pairs = [[int(part) for part in line.split(",")] for line in told.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [Room("gpu", total << 20, free << 20, number) for number, (total, free) in enumerate(pairs)]


def rooms(folder: Path) -> list[Room]:
    """Memory, the disk that `folder` lies on, and every GPU."""
    memory = psutil.virtual_memory()
    found = [Room("memory", memory.total, memory.available)]
    place = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if place is not None:
        disk = shutil.disk_usage(place)
        found.append(Room("disk", disk.total, disk.free))
    return found + gpus()


def held(state: RunState) -> int:
    """Memory that a run's processes hold, in bytes; 0 when none runs here."""
    if not is_alive(state):
        return 0
    try:
        process = psutil.Process(state.pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return 0


def size(count: float) -> str:
    """Bytes in the unit people know from disks."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def meters(folder: Path, lang: str) -> str:
    """The rooms as bars; a bar is red from 90 % on."""
    parts = []
    for room in rooms(folder):
        share = 1 - room.free / room.total if room.total else 0.0
        name = say(lang, f"train.meter.{room.key}", n=room.number)
        words = say(lang, "train.meter.free", free=size(room.free), total=size(room.total))
        tight = " tight" if share > TIGHT else ""
        parts.append(f'<div class="room{tight}"><b>{name}</b>{markup.meter(share, words, name)}</div>')
    return f'<div class="rooms">{"".join(parts)}</div>'
