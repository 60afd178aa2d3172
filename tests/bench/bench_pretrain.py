"""A step of chats in pretraining, forward and backward: pictures and rows all at once, or as many as fit the processor's cache
(`core.demo.pupil`).
Sides alternate; the median counts. It is the processor's cache that pays, so figures differ between machines."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

ROUNDS = 4


def main() -> None:
    import torch

    from core.demo import pupil as module
    from core.demo.education import Education
    from core.demo.pool import load_pool
    from core.demo.pupil import Pupil
    from core.demo.seeing import seeing_lesson

    torch.set_num_threads(2)
    pupil = Pupil(Education())
    with tempfile.TemporaryDirectory() as folder:
        pool = load_pool(100, pupil.size, Path(folder))
    rng = random.Random(0)
    chats = [seeing_lesson(pool, rng, turns=5) for _ in range(24)]
    small = (module.CHUNK, module.ROWS)
    sides = {"all at once": (10**6, 10**6), f"{small[0]} pictures, {small[1]} rows": small}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + 1):
        for name, passes in sides.items():
            module.CHUNK, module.ROWS = passes
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=pupil.half):
                loss, _ = pupil._chat(random.Random(1), chats)
            loss.backward()
            pupil.model.zero_grad()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    first = next(iter(medians.values()))
    for name, seconds in medians.items():
        print(f"{name:24}{seconds:8.3f} s a step of {len(chats)} chats{first / seconds:8.2f}x")
