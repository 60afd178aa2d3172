"""Questions per second: shared prefixes against one question at a time; and the time tables and comparisons take.

The benchmark has MMAD's shape: 200 pictures with 4.7 questions each, a reference, and knowledge of 150 words, each of which
is a token of the tiny model as it is of a real one. The slow way is the benchmark's own pattern: the processor and `generate`
for every single question. Answers are counted as equal or not. Both ways take turns on `ROUNDS` parts of the pictures, so that
other work on the machine slows both; processor time is printed beside the clock's, because it knows no neighbours.
Run with `python -m tests.bench evaluation`; BENCH_IMAGES=40 makes it shorter, BENCH_THREADS=1 takes one core,
BENCH_MODEL a checkpoint.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from core.mmad import Benchmark, Protocol, Question, Sample, Task, write_mmad

TEXT = (
    "irregular notch visible along the machined edge where the coating flaked off and bare substrate shines through under "
    "raking illumination while neighbouring areas keep their uniform satin texture without discolouration or embossed marks"
)
WORDS = TEXT.split()
ROUNDS = 5


def benchmark(root: Path, images: int = 200, *, seed: int = 0) -> Benchmark:
    """Random pictures in MMAD's shape: 57 % defective with 6 questions each, the others with 3."""
    rng = np.random.default_rng(seed)
    products = ("plate", "gear", "bottle", "board")
    knowledge = {
        "Bench": {
            product: {
                label: " ".join(rng.choice(WORDS, 50)) for label in ("good", "scratch", "hole")
            }
            for product in products
        }
    }  # fmt: skip
    samples = []
    for number in range(images + len(products)):
        product = products[number % len(products)]
        defect = None if number >= images or number % 7 < 3 else ("scratch", "hole")[number % 2]
        path = f"Bench/{product}/test/{defect or 'good'}/{number:04d}.png"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (160, 160, 3), dtype=np.uint8)).save(root / path)
        samples.append(Sample(path, "Bench", product, defect, questions=tuple(questions(defect, product, rng))))
    references = {sample.product: (sample.image,) for sample in samples[images:]}
    return Benchmark(
        root, tuple(replace(s, similar_templates=references[s.product]) for s in samples[:images]), knowledge
    )


def questions(defect: str | None, product: str, rng: np.random.Generator) -> list[Question]:
    four = {"A": "plate.", "B": "gear.", "C": "bottle.", "D": "board."}
    asked = [
        Question(
            "Is there any defect in the object?", {"A": "Yes.", "B": "No."}, "A" if defect else "B", Task.DISCRIMINATION
        ),
        Question(
            "What kind of product is in the image?", four, "ABCD"["pgbd".find(product[0])], Task.OBJECT_CLASSIFICATION
        ),
    ]
    if defect is None:
        return [*asked, Question("What is the surface of the object like?", four, "A", "Object Details")]
    words = [" ".join(rng.choice(WORDS, 5)) for _ in range(4)]
    options = dict(zip("ABCD", words, strict=True))
    return [
        *asked,
        Question("There is a defect in the object. What type is it?", options, "A", Task.DEFECT_CLASSIFICATION),
        Question("There is a defect in the object. Where is it?", options, "B", Task.DEFECT_LOCALIZATION),
        Question("There is a defect in the object. What does it look like?", options, "C", Task.DEFECT_DESCRIPTION),
        Question("There is a defect in the object. What effect does it have?", options, "D", Task.DEFECT_ANALYSIS),
    ]


def synthetic_answers(count: int = 39_672, *, seed: int = 0, skill: float = 0.7) -> pd.DataFrame:
    """Answers as of a whole MMAD evaluation."""
    rng = np.random.default_rng(seed)
    tasks = rng.choice([task.value for task in Task], count)
    pictures = np.sort(rng.integers(0, count // 5 + 1, count))
    labels = np.where(pictures % 3 == 0, "good", "scratch")
    datasets = np.array(["DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD"])[pictures % 4]
    right = rng.choice(list("ABCD"), count)
    return pd.DataFrame(
        {
            "image": [
                f"{d}/p{p % 38}/test/{label}/{p:05d}.png"
                for d, p, label in zip(datasets, pictures, labels, strict=True)
            ],
            "index": pd.Series(pictures).groupby(pictures).cumcount(),
            "question_type": tasks,
            "correct_answer": right,
            "answer": np.where(
                np.random.default_rng(seed + 1).random(count) < skill, right, rng.choice(list("ABCD"), count)
            ),
        }
    )


def main() -> None:
    import torch

    # Two threads that wait for each other are slower than one when the machine has other work.
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", 2)))
    images = int(os.environ.get("BENCH_IMAGES", 200))
    with tempfile.TemporaryDirectory() as folder:
        bench = benchmark(Path(folder) / "bench", images)
        answering(bench, *_model())
        if torch.cuda.is_available():
            answering(bench, *_like_internvl3_1b())
        else:
            print("no GPU here: InternVL3-1B's shape is left out")
        processes(bench, Path(folder))
    tables()


def answering(bench: Benchmark, model: Any, processor: Any) -> None:
    count = len(bench.questions)
    print(
        f"{len(bench)} pictures, {count} questions, {count / len(bench):.2f} each; "
        f"{model.num_parameters() / 1e6:.1f} M parameters, {model.device.type}"
    )
    for way in ("generate", "letters"):
        slow, fast, equal = taking_turns(bench, model, processor, Protocol(answering=way))
        print(
            f"{way:9s} one at a time {count / slow[0]:6.1f}/s   shared prefix {count / fast[0]:6.1f}/s   "
            f"ratio {slow[0] / fast[0]:4.2f} (processor time {slow[1] / fast[1]:4.2f})   equal {equal}/{count}",
            flush=True,
        )


def taking_turns(
    bench: Benchmark, model: Any, processor: Any, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray, int]:
    """(wall, processor) seconds one at a time, the same with shared prefixes, and how many replies are equal, word for word."""
    from core.evaluation import answer_questions
    from core.evaluation.asking import Asked
    from core.evaluation.local import LocalModel
    from core.evaluation.local import answering as evaluating
    from core.mmad import build_prompt

    one_by_one, features = LocalModel(model, processor), model.model.features

    def alone(part: Benchmark) -> list[str]:
        # A plain loop keeps no features of pictures between calls, so the slow way must not either.
        kept, features.limit = features.limit, 0
        with evaluating(model):
            replies = [
                one_by_one.answer_alone(Asked(s, i, build_prompt(part, s, q, protocol)), part, protocol).text
                for s in part
                for i, q in enumerate(s.questions)
            ]
        features.limit = kept
        return replies

    def shared(part: Benchmark) -> list[str]:
        return list(answer_questions(model, processor, part, protocol=protocol)["reply"])

    equal, spent = 0, {alone: np.zeros(2), shared: np.zeros(2)}
    for number in range(ROUNDS):
        part = bench.select(bench.samples[number::ROUNDS])
        found = {}
        for ask in spent:
            start = np.array([time.perf_counter(), time.process_time()])
            found[ask] = ask(part)
            spent[ask] += np.array([time.perf_counter(), time.process_time()]) - start
        equal += sum(a == b for a, b in zip(found[alone], found[shared], strict=True))
    return spent[alone], spent[shared], equal


def processes(bench: Benchmark, folder: Path) -> None:
    """The same work by one process and by two, one thread each, the better of three turns; their start is not counted."""
    model, processor = _model()
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    write_mmad(bench)
    script = (
        "import sys, time; from core.model import load_model\n"
        "from core.evaluation import answer_questions; from core.mmad import Protocol, read_mmad\n"
        "bench, shard = read_mmad(sys.argv[1]), (int(sys.argv[3]), int(sys.argv[4]))\n"
        "model, processor = load_model(sys.argv[2], device='cpu'); start = time.perf_counter()\n"
        "answer_questions(model, processor, bench, protocol=Protocol(answering='letters'), shard=shard)\n"
        "print(time.perf_counter() - start)"
    )
    best = {1: np.inf, 2: np.inf}
    for _ in range(3):
        for parts in best:
            running = [
                subprocess.Popen(
                    [sys.executable, "-c", script, str(bench.root), str(folder / "model"), str(part), str(parts)],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
                for part in range(parts)
            ]  # fmt: skip
            seconds = max(float(process.communicate()[0].split()[-1]) for process in running)
            best[parts] = min(best[parts], seconds)
    print(
        f"letters   1 process {best[1]:.1f} s   2 processes {best[2]:.1f} s   ratio {best[1] / best[2]:.2f}", flush=True
    )


def tables() -> None:
    from core.evaluation import accuracy_table, compare_answers

    one, two = synthetic_answers(), synthetic_answers(skill=0.72)
    for what, work in (
        ("table", lambda: accuracy_table(one)),
        ("comparison with 2,000 draws", lambda: compare_answers(one, two, draws=2000)),
    ):
        start, started = time.perf_counter(), time.process_time()
        work()
        wall, spent = time.perf_counter() - start, time.process_time() - started
        print(f"{len(one)} answers: {what} {wall:.2f} s (processor time {spent:.2f})")


def _model():
    if path := os.environ.get("BENCH_MODEL"):
        from core.model import load_model

        return load_model(path)
    from core.model.tiny import build_tiny

    return build_tiny(texts=[TEXT])


def _like_internvl3_1b():
    """Random weights in InternVL3-1B's layers and widths; its vocabulary is smaller and its MLPs are half as wide."""
    import torch

    from core.model.tiny import build_tiny

    model, processor = build_tiny(
        texts=[TEXT], image_size=448, patch_size=14, vision_width=1024, vision_layers=24, vision_heads=16, width=896, layers=24,
        heads=14, key_value_heads=2,
    )  # fmt: skip
    return model.to("cuda", torch.bfloat16), processor


if __name__ == "__main__":
    main()
