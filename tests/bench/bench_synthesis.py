"""A benchmark of MMAD's size (39,672 questions on 8,366 pictures): read, index, filter; questions with and without cache.

Prints what was measured and what is asked for; asserts nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from core.mmad import Benchmark, Question, Sample, Task, read_mmad, write_mmad
from core.synthesis import build_questions
from core.synthesis.masks import MaskReader
from core.synthesis.store import Store
from core.synthesis.templates import nearest

PICTURES, QUESTIONS = 8366, 39672
MASKS = 400  # distinct ones; the first pass is timed on these, the second on all samples
T = TypeVar("T")


def timed(run: Callable[[], T], repeat: int = 1) -> tuple[float, T]:
    """The shortest of `repeat` runs, in seconds on the clock, and its result."""
    best, result = float("inf"), None
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result  # type: ignore[return-value]


def worked(run: Callable[[], T]) -> float:
    """Processor seconds of a run, all threads together: what a busy machine does not change."""
    start = time.process_time()
    run()
    return time.process_time() - start


def generated() -> Benchmark:
    """Samples and questions as in MMAD: 38 products, templates, seven tasks; no pictures."""
    rng = np.random.default_rng(0)
    options = dict(zip("ABCD", ("A bent lead.", "A scratch on the case.", "A missing lead.", "A stain."), strict=True))
    tasks = list(Task)
    samples = []
    for number in range(PICTURES):
        product = f"product{number % 38:02}"
        defect = None if number % 3 == 0 else f"defect_{number % 7}"
        count = QUESTIONS * (number + 1) // PICTURES - QUESTIONS * number // PICTURES
        questions = tuple(
            Question(
                f"Which statement is true of picture {number}?",
                options,
                "ABCD"[rng.integers(4)],
                tasks[(number + i) % 7].value,
            )
            for i in range(count)
        )
        templates = tuple(f"D/{product}/train/good/{i:03}.png" for i in rng.integers(0, 300, 10))
        image = f"D/{product}/test/{defect or 'good'}/{number:05}.png"
        samples.append(
            Sample(
                image,
                "D",
                product,
                defect,
                questions=questions,
                similar_templates=templates,
                random_templates=templates,
            )
        )
    return Benchmark(Path(), tuple(samples))


def masked(root: Path) -> list[Sample]:
    """Defect samples over `MASKS` PNG masks of 1024 x 1024 pixels with irregular blobs."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:1024, :1024]
    (root / "D/bolt/m").mkdir(parents=True)
    for number in range(MASKS):
        mask = np.zeros((1024, 1024), np.uint8)
        for _ in range(rng.integers(1, 4)):
            top, left = rng.integers(100, 924, 2)
            high, wide = rng.integers(10, 120, 2)
            mask[((rows - top) / high) ** 2 + ((columns - left) / wide) ** 2 < 1 + 0.2 * np.sin(rows / 7)] = 255
        Image.fromarray(mask).save(root / f"D/bolt/m/{number}.png")
    return [
        Sample(f"D/bolt/test/{('crack', 'hole', 'dent', 'stain')[i % 4]}/{i}.png", "D", "bolt",
               ("crack", "hole", "dent", "stain")[i % 4], mask=f"m/{i % MASKS}.png")
        for i in range(PICTURES)
    ]  # fmt: skip


def line(what: str, value: float, unit: str, asked: str) -> None:
    print(f"{what:58}{value:12,.1f} {unit:12}" + (f" asked: {asked}" if asked else ""))


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bench = generated()
        write_mmad(bench, root / "read")
        seconds, again = timed(lambda: (lambda b: (b, b.by_image, b.questions))(read_mmad(root / "read"))[0], repeat=3)
        line(f"read and index {len(again.questions):,} questions on {len(again):,} pictures", seconds, "s", "< 2 s")
        table = again.questions
        seconds, _ = timed(
            lambda: table[(table["product"] == "product07") & (table.task == "Defect Analysis")], repeat=5
        )
        line("filter by product and task", 1000 * seconds, "ms", "< 50 ms")
        seconds, _ = timed(lambda: table[table.question.str.contains("picture 83", regex=False)], repeat=3)
        line("filter by a word of the question", 1000 * seconds, "ms", "< 50 ms")

        samples = masked(root)
        seconds, _ = timed(lambda: build_questions(samples[:MASKS], root=root, masks=MaskReader()), repeat=2)
        line("build, first pass over 1024 px masks", MASKS / seconds, "samples/s", "> 250 /s")
        work = worked(lambda: build_questions(samples[:MASKS], root=root, masks=MaskReader()))
        line("  the same by processor time of one core", MASKS / work, "samples/s", "")
        store = Store(root / "cache.db")
        MaskReader(store).read_all([root / f"D/bolt/m/{i}.png" for i in range(MASKS)])
        seconds, _ = timed(lambda: build_questions(samples, root=root, masks=MaskReader(Store(root / "cache.db"))))
        line("build, mask summaries cached", PICTURES / seconds, "samples/s", "> 2,000 /s")
        work = worked(lambda: build_questions(samples, root=root, masks=MaskReader(Store(root / "cache.db"))))
        line("  the same by processor time of one core", PICTURES / work, "samples/s", "")

        rows = np.random.default_rng(2).standard_normal((10_000, 512)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        names = [str(i) for i in range(len(rows))]
        seconds, _ = timed(lambda: nearest(rows, names, rows, names, 10))
        line("10 nearest of 10,000 for 10,000 (blocks, no square matrix)", seconds, "s", "bounded memory")


if __name__ == "__main__":
    main()
