"""The studio on a generated benchmark of MMAD's size, as one person and as twenty: pages, filters, saves, memory, start.

python -m tests.bench studio
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from core.mmad import Benchmark, Question, Sample, Task, write_mmad
from tests.ui.conftest import free_port

IMAGES, QUESTIONS, PRODUCTS, DEFECTS = 8366, 39672, 38, 6
PROJECT = Path(__file__).resolve().parents[2]


def write_benchmark(root: Path, pictures: int = 240) -> Benchmark:
    """8,366 samples with 39,672 questions; the files are links to a few hundred pictures of 900 x 900 pixels."""
    rng = np.random.default_rng(0)
    drawn = root / "drawn"
    drawn.mkdir(parents=True)
    for number in range(pictures):
        rough = rng.integers(0, 255, (30, 30, 3), dtype=np.uint8)
        Image.fromarray(rough).resize((900, 900), Image.Resampling.BICUBIC).save(drawn / f"{number}.jpg", quality=90)
    tasks = list(Task)
    options = {"A": "one", "B": "two", "C": "three", "D": "four"}
    samples = []
    for number in range(IMAGES):
        dataset, product = f"data{number % 4}", f"product{number % PRODUCTS:02}"
        label = None if number % 4 == 0 else f"defect{number // PRODUCTS % DEFECTS}"
        image = f"{dataset}/{product}/image/{label or 'good'}/{number:05}.jpg"
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        os.link(drawn / f"{number % pictures}.jpg", root / image)
        count = QUESTIONS // IMAGES + (number < QUESTIONS % IMAGES)
        asked = tuple(Question(f"What of {i}?", options, "ABCD"[i % 4], tasks[i % 7].value) for i in range(count))
        samples.append(Sample(image, dataset, product, label, questions=asked))
    bench = Benchmark(root, tuple(samples), {})
    write_mmad(bench)
    return bench


def request(**values: object) -> types.SimpleNamespace:
    """What a handler sees of a browser."""
    return types.SimpleNamespace(query_params=values, headers={}, cookies={}, username=None)


def timed(work: Callable[[int], object], times: int, people: int = 1) -> tuple[list[float], float]:
    """Seconds of each call, by so many threads at once; and the processor's seconds a call, which a busy machine leaves alone."""
    seconds: list[float] = []

    def one(person: int) -> None:
        for turn in range(times):
            begin = time.perf_counter()
            work(person * times + turn)
            seconds.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=one, args=(person,)) for person in range(people)]
    begin = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(seconds), (time.process_time() - begin) / len(seconds)


def tell(name: str, measured: tuple[list[float], float], goal: float) -> None:
    seconds, processor = measured
    p95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    middle = statistics.median(seconds)
    print(f"{name:46} median {middle * 1000:6.0f} ms   p95 {p95 * 1000:6.0f} ms   goal {goal * 1000:5.0f} ms   "
          f"p95 / goal {p95 / goal:5.2f}   processor {processor * 1000:5.0f} ms a call")  # fmt: skip


def start_up(workspace: Path, *flags: str) -> tuple[float, float, float]:
    """Seconds from process start to the first page, the processor's among them, and the process's memory then in MB."""
    port = free_port()
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--workspace", str(workspace), *flags],
        cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=30).read()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        took = time.perf_counter() - begin
        seen = psutil.Process(process.pid)
        return took, sum(seen.cpu_times()[:2]), seen.memory_info().rss / 2**20
    finally:
        for member in (*psutil.Process(process.pid).children(recursive=True), process):
            member.terminate()
        process.wait()


def main() -> None:
    from studio import open_services
    from studio.views import describing
    from studio.views.browsing import updates
    from studio.views.catalogue import FACETS, catalogue

    place = Path(tempfile.mkdtemp(prefix="bench-studio-"))
    try:
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        write_benchmark(place / "bench")
        flags = ("--mmad", str(place / "bench"))
        starts = (
            ("fresh workspace", "fresh", flags),
            ("the same again", "fresh", flags),
            ("fresh, makes the demo", "new", ()),
        )
        for name, folder, given in starts:
            took, processor, memory = start_up(place / folder, *given)
            print(f"{'start to first page, ' + name:46} {took:6.1f} s    goal 5 s   processor {processor:4.1f} s   "
                  f"memory {memory:4.0f} MB (goal 500)")  # fmt: skip
        services = open_services(place / "workspace", place / "bench")
        opened = services.of(None)
        assert opened is not None
        table = catalogue(services, opened)
        rng = random.Random(0)

        def turn(number: int) -> object:
            return updates(services, request(), {"p": rng.randrange(1, 175)})  # type: ignore[arg-type]

        def filtered(number: int) -> object:
            facet = rng.choice(FACETS[:3])
            return updates(services, request(), {facet: rng.choice(list(table[facet].cat.categories))})  # type: ignore[arg-type]

        tell("next page, thumbnails not made yet, 1 person", timed(turn, 12), 0.3)
        for name in opened.bench.by_image:  # as after a first look through
            services.thumbnails.url(opened.bench.path(name))
        tell("next page, 1 person", timed(turn, 60), 0.3)
        tell("next page, 20 people at once", timed(turn, 5, 20), 1.5)
        tell("filter change, 1 person", timed(filtered, 60), 0.3)
        entries = [e for p in describing.products(opened.bench) for e in describing.entries(services, opened, p)]

        def save(number: int) -> object:
            seen = describing.choose(services, opened, entries[number % len(entries)]).based_on
            return describing.save(
                services,
                opened,
                entries[number % len(entries)],
                f"text {number}",
                status="draft",
                author="bench",
                based_on=seen,
            )

        tell("save of a description, 1 person", timed(save, 60), 0.1)
        tell("save of a description, 20 people at once", timed(save, 4, 20), 0.1)
        print(
            f"{'memory with the benchmark open':46} {psutil.Process().memory_info().rss / 2**20:6.0f} MB   goal 500 MB"
        )
        print(f"torch loaded: {'torch' in sys.modules}")
        services.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
