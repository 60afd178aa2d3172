"""`python -m core.demo score --seed N`: base and shipped adapter on pictures that nobody has seen.

A fresh test split is rendered from the seed, into a folder that is removed afterwards; both models answer all of it under the
protocol of the demo preset. The last line printed is JSON: averages over tasks in percent, their difference, the exact
McNemar p over all questions, and how many there were.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.demo.bars import bar
from core.errors import UserError
from core.mmad import Benchmark

PROJECT = Path(__file__).resolve().parents[2]
BASE, TUNED = PROJECT / "data/models/emit-tiny", PROJECT / "data/models/emit-tiny-tuned"
TRAINING_SEED = 0  # of the demo benchmark, whose training part the shipped adapter has seen
QUESTIONS, MOST = 300, 100_000  # at least, and at most: more than an hour on 2 cores


def fresh_split(root: Path, seed: int, *, questions: int = QUESTIONS) -> Benchmark:
    """A test split of at least `questions` questions on every product, in `root`.

    Raises:
        UserError: a lot, piece or shot of it is one of the training benchmark's, or so many questions are absurd.
    """
    from core.synthesis.factory import PRODUCTS, write_demo

    if not 1 <= questions <= MOST:
        raise UserError(f"{questions} questions cannot be asked: give 1 to {MOST:,}.")
    refuse_seen(seed)
    # A picture has four and a half questions in the mean: defective ones have more.
    pictures = -(-2 * questions // (9 * len(PRODUCTS)))
    per_lot = max(4, pictures + pictures % 2)
    with bar("fresh pictures") as show:
        bench = write_demo(
            root, seed=seed, splits=("test",), lots={"test": 1}, per_lot={"test": per_lot}, progress=show
        )
    asked = sum(len(sample.questions) for sample in bench)
    if asked < questions:
        raise UserError(f"The fresh split asks only {asked} questions: ask for fewer than {questions}.")
    return bench


def refuse_seen(seed: int) -> None:
    """Do nothing when no lot, piece or shot of the fresh split is one that training (or its validation) had.

    Raises:
        UserError: one is.
    """
    from core.synthesis.factory import PRODUCTS
    from core.synthesis.factory.plans import LARGE, LOTS, PER_LOT, plan_lots

    def seeds(number: int, *splits: str) -> set[int]:
        sizes = {"lots": {**LOTS, **LARGE["lots"]}, "per_lot": {**PER_LOT, **LARGE["per_lot"]}}
        lots = plan_lots(seed=number, products=tuple(PRODUCTS), splits=splits, references=3, **sizes)
        return {value for lot in lots for value in (lot.seed, *(shot.seed for shot in (*lot.references, *lot.samples)))}

    if seeds(seed, "test") & seeds(TRAINING_SEED, "train", "val"):
        raise UserError(f"Seed {seed} gives lots that training has seen: choose another.")


def score_models(
    bench: Benchmark, base: str | Path, tuned: str | Path, *, preset_name: str = "demo", out: Path | None = None
) -> dict[str, Any]:
    """Answers of both to all of `bench`, compared.

    Args:
        out: folder for the answers; None keeps none.

    Returns:
        base, tuned, delta (percent, averages over tasks), p, questions, and `table` (a row per task).

    Raises:
        UserError: a model is missing or damaged.
    """
    from core.demo.summaries import mcnemar
    from core.evaluation import answer_questions, compare_answers
    from core.model import load_model
    from core.training import preset
    from core.training.questions import judging_of

    for name, folder in (("base", base), ("tuned", tuned)):
        if not Path(folder).is_dir():
            raise UserError(f"The {name} model {folder} is not there: give --{name} the folder of a model or a run.")
    config = preset(preset_name)
    protocol = judging_of(config, seed=0)
    answers = {}
    for name, folder in (("base", base), ("tuned", tuned)):
        model, processor = load_model(folder, device="cpu" if config.device == "cpu" else None)
        with bar(name, " questions") as show:
            answers[name] = answer_questions(
                model,
                processor,
                bench,
                protocol=protocol,
                out=None if out is None else out / name,
                name=name,
                progress=show,
            )
        del model
    found = compare_answers(answers["base"], answers["tuned"], names=("base", "tuned"))
    right = [found.questions[f"answer_{side}"] == found.questions["correct_answer"] for side in ("first", "second")]
    average = found.table.loc["Average"]
    return {
        "base": round(float(average["first"]), 2), "tuned": round(float(average["second"]), 2),
        "delta": round(float(average["difference"]), 2), "p": mcnemar(*(side.fillna(False) for side in right))["p"],
        "questions": len(found.questions), "table": found.table, "verdict": found.verdict(), "protocol": str(protocol),
    }  # fmt: skip


def add_flags(add: Callable[..., Any]) -> None:
    add("--seed", type=int, required=True, metavar="N", help="of the fresh pictures")
    add("--questions", type=int, default=QUESTIONS, metavar="N", help=f"at least so many ({QUESTIONS})")
    add("--base", default=str(BASE), metavar="MODEL", help="folder of the base (the shipped one)")
    add(
        "--tuned",
        default=str(TUNED),
        metavar="MODEL",
        help="folder of an adapter, a model or a run (the shipped adapter)",
    )
    add("--preset", default="demo", help="whose protocol is used (demo)")
    add("--keep", metavar="DIR", help="keep the pictures and answers there")


def act(flags: argparse.Namespace) -> None:
    for name, folder in (("base", flags.base), ("tuned", flags.tuned)):
        if not Path(folder).is_dir():  # before a minute of rendering
            raise UserError(f"The {name} model {folder} is not there: give --{name} the folder of a model or a run.")
    with tempfile.TemporaryDirectory(prefix="emit-score-") as temporary:
        folder = Path(flags.keep or temporary)
        bench = fresh_split(folder / "pictures", flags.seed, questions=flags.questions)
        result = score_models(
            bench, flags.base, flags.tuned, preset_name=flags.preset, out=folder / "answers" if flags.keep else None
        )
    table = result.pop("table").rename(columns={"first": "base", "second": "tuned"})
    shown = table[["questions", "base", "tuned", "difference", "low", "high", "p"]]
    print(shown.to_string(float_format=lambda value: f"{value:.3g}", na_rep="-"))
    print(result.pop("verdict"))
    print(f"protocol: {result.pop('protocol')}; fresh test split of seed {flags.seed}")
    print(json.dumps(result))
