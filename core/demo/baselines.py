"""`python -m core.demo baselines`: what a user would try before any training, as rows of the proof's table.

heatmap_alone   EMIT's anomaly map of the untrained base, without the language model
difference      absolute difference of grey values between query and reference, slightly blurred

A map answers two tasks. Detection: a defect is said when the map's maximum reaches a threshold. Localization: the option
whose region of the 3 x 3 grid is hottest. The threshold, and whether a region's peak or its mean counts, are chosen on
training and validation pictures. The other tasks stay open, so such a row has no average.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.demo.bars import bar
from core.demo.summaries import circumstances, judged, keep
from core.errors import UserError
from core.mmad import COMPARISON_TASKS, Benchmark, Protocol, Sample, Task
from core.pictures import open_image
from core.synthesis.regions import cuts

Map = Callable[[Path, Path], np.ndarray]  # (query, reference) -> [H, W], 0 alike .. 1 unlike
ABOUT = {
    "heatmap_alone": "The anomaly map of the base alone; threshold from training and validation pictures.",
    "difference": "Grey-value difference to the reference; threshold from training and validation pictures.",
}
CHOSEN_ON = 400  # pictures at most
SIDE = 112  # pixels the difference is taken at


def difference(query: Path, reference: Path) -> np.ndarray:
    """|query - reference| of grey values at `SIDE` x `SIDE`, blurred by a pixel."""
    from scipy.ndimage import gaussian_filter

    grey = [
        np.asarray(open_image(path).convert("L").resize((SIDE, SIDE)), np.float32) / 255 for path in (query, reference)
    ]
    return gaussian_filter(np.abs(grey[0] - grey[1]), 1.0)


def heatmap_of(base: str | Path) -> Map:
    """The anomaly map of a model."""
    from core.heatmap.pairs import compare_pictures
    from core.model import load_model

    model, processor = load_model(base)
    return lambda query, reference: compare_pictures(model, processor, query, reference)


def comparable(bench: Benchmark) -> Benchmark:
    """Only what a map can answer: detection and localization on pictures that have a reference."""
    kept = (
        replace(sample, questions=tuple(q for q in sample.questions if q.task in COMPARISON_TASKS))
        for sample in bench
        if sample.text is None and bench.reference(sample)
    )
    return bench.select(sample for sample in kept if sample.questions)


@dataclass(frozen=True)
class Reading:
    """What of a map decides: its maximum, and peak and mean of each region [9] in reading order."""

    highest: float
    peak: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, heat: np.ndarray) -> Reading:
        rows, columns = ((0, *cuts(length), length) for length in heat.shape)
        cells = [heat[rows[r] : rows[r + 1], columns[c] : columns[c + 1]] for r in range(3) for c in range(3)]
        return cls(float(heat.max()), np.array([c.max() for c in cells]), np.array([c.mean() for c in cells]))


def read_maps(bench: Benchmark, make: Map, what: str) -> dict[str, Reading]:
    """Image path -> what its map says."""
    found = {}
    with bar(what, " pictures") as show:
        for number, sample in enumerate(bench):
            reference = bench.reference(sample)
            assert reference is not None  # `comparable` left out the others
            found[sample.image] = Reading.of(make(bench.path(sample.image), bench.path(reference)))
            show(number + 1, len(bench))
    return found


def answers_of(
    bench: Benchmark, readings: dict[str, Reading], *, name: str, threshold: float = 0.5, region: str = "peak"
) -> pd.DataFrame:
    """Answers to the questions of `comparable(bench)`, as `core.evaluation` keeps them; P(defect) is the map's maximum."""
    from core.evaluation.figures import region_of
    from core.evaluation.records import Reply, defect_letter, frame, row

    protocol = Protocol(shots=1, knowledge=False, heatmap=name == "heatmap_alone", answering="letters")

    def reply(sample: Sample, index: int) -> Reply:
        question, reading = sample.questions[index], readings[sample.image]
        letters = list(question.options)
        if question.task is Task.DISCRIMINATION:
            yes = defect_letter(question, normal=sample.is_normal)
            if yes is None or len(letters) != 2:
                return Reply("", None)
            p = min(max(reading.highest, 0.0), 1.0)
            no = next(letter for letter in letters if letter != yes)
            said = yes if reading.highest >= threshold else no
            return Reply(said, said, tuple(p if letter == yes else 1 - p for letter in letters))
        heat = getattr(reading, region)
        places = {letter: region_of(text) for letter, text in question.options.items()}
        named = {letter: heat[place] for letter, place in places.items() if place is not None}
        return Reply("", max(named, key=lambda letter: named[letter]) if named else None)

    return frame(row(s, i, reply(s, i), name, protocol) for s in bench for i in range(len(s.questions)))


def choose(bench: Benchmark, readings: dict[str, Reading], name: str) -> dict[str, Any]:
    """The threshold and the reading of regions that are best on these pictures."""
    from core.evaluation import Costs, accuracy_table, choose_threshold

    answers = answers_of(bench, readings, name=name)
    task = Task.DEFECT_LOCALIZATION.value
    by_region = {}
    for region in ("peak", "mean"):
        table = accuracy_table(answers_of(bench, readings, name=name, region=region))
        by_region[region] = float(table.loc["Average", task]) if task in table else 0.0
    return {
        "threshold": choose_threshold(answers, Costs(miss=1, overkill=1, prevalence=0.5)),
        "region": max(by_region, key=lambda region: by_region[region]),
    }


def judge_maps(bench: Benchmark, make: Map, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose on training and validation pictures, judge on the test split; as `core.demo.summaries.judged`.

    Raises:
        UserError: the benchmark lacks pictures to choose on, or to judge on.
    """
    known, test = comparable(bench.split("train", "val")), comparable(bench.split("test"))
    if not len(known) or not len(test):
        raise UserError(f"{bench.root} needs detection questions in its training and its test split.")
    if len(known) > CHOSEN_ON:
        order = np.random.default_rng(0).permutation(len(known))[:CHOSEN_ON]
        known = known.select(known.samples[i] for i in sorted(order))
    chosen = choose(known, read_maps(known, make, f"{name}: choosing"), name)
    answers = answers_of(test, read_maps(test, make, f"{name}: judging"), name=name, **chosen)
    asked, result = judged(test, answers)
    for part in result["parts"].values():
        part["Average"] = None  # of two tasks out of seven it would mislead
    return asked, {**result, "chosen": {**chosen, "pictures": len(known)}}


def make_baselines(bench: Benchmark, names: Iterable[str], *, base: str, name: str, out: Path) -> list[Path]:
    """Write the summaries that are missing."""
    made = []
    for arm in names:
        if arm not in ABOUT:
            raise UserError(f"There is no baseline {arm!r}: use some of {', '.join(ABOUT)}.")
        if (out / name / f"{arm}-0.json").is_file():
            continue
        began = time.monotonic()
        asked, result = judge_maps(bench, heatmap_of(base) if arm == "heatmap_alone" else difference, arm)
        minutes = round((time.monotonic() - began) / 60, 2)
        summary = {"benchmark": name, "arm": arm, "about": ABOUT[arm], "seed": 0, **result, "minutes": {},
                   "judging_minutes": minutes, **circumstances(Path(__file__).resolve().parents[2])}  # fmt: skip
        made.append(keep(out / name, f"{arm}-0", asked, summary))
    return made


def add_flags(add: Callable[..., Any]) -> None:
    add("--arms", default=",".join(ABOUT), metavar="A,B", help=f"of {', '.join(ABOUT)} (all)")
    add("--data", metavar="ROOT", help="a benchmark in MMAD's layout (default: the embedded demo)")
    add("--name", metavar="NAME", help="of the benchmark in tables and files (demo)")
    add("--base", metavar="MODEL", help="whose anomaly map is taken (the demo preset's base)")
    add("--workspace", default="workspace", metavar="DIR", help="where the demo benchmark is kept (workspace)")
    add("--out", default="data/proof", metavar="DIR", help="where summaries are kept (data/proof)")


def act(flags: argparse.Namespace) -> None:
    from core.demo.loop import open_benchmark
    from core.demo.proof import named, place_of
    from core.training import preset

    bench = open_benchmark(flags.data, Path(flags.workspace))
    base = place_of(flags.base or preset("demo").base)
    arms = [word for word in flags.arms.split(",") if word]
    made = make_baselines(bench, arms, base=base, name=named(flags), out=Path(flags.out))
    print(f"{len(made)} new summaries in {Path(flags.out) / named(flags)}.")
