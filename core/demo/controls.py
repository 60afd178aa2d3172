"""`python -m core.demo controls --model RUN`: does the tuned model look, and at what?

Wrong picture: every question about a defect is asked again over another picture of the same product (with that picture's own
reference) to which another answer would be right. A model that looks answers for the picture it sees, so its accuracy must
fall to chance or below; one that has learned the questions by heart keeps it.
No heatmap: detection and localization are asked without the comparison's tokens; their accuracy must fall if they help.
Another's heatmap: the same with the tokens there, made of the map of another pair of pictures. A small model is unsettled by a
prompt that ends otherwise than it has learned; here the prompt is as ever, and only what the map tells is wrong, in its
own tokens and in the query's.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.demo.bars import bar
from core.demo.summaries import circumstances
from core.errors import UserError
from core.files import write_json
from core.mmad import COMPARISON_TASKS, Benchmark, Protocol, Question, Sample, Snapshot, Task
from core.mmad.vocabulary import OBJECT_TASKS

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Swapped:
    """A question about a defect: where it belongs, and the picture it is asked over instead."""

    sample: Sample
    index: int
    shown: Sample

    @property
    def question(self) -> Question:
        return self.sample.questions[self.index]


def swaps(bench: Benchmark, *, seed: int = 0) -> list[Swapped]:
    """For each question about a defect another picture with another right answer; questions without one are left out.

    Pictures whose own right answer is among the question's options are preferred: there is something to say for who looks.
    """
    rng = random.Random(seed)
    products: dict[tuple[str, str], list[Sample]] = {}
    for sample in bench:
        if sample.text is None:
            products.setdefault((sample.dataset, sample.product), []).append(sample)
    found = []
    for sample in bench:
        for index, question in enumerate(sample.questions):
            if sample.text is not None or question.task in OBJECT_TASKS:
                continue
            others = products[sample.dataset, sample.product]
            fitting = [other for other in others if _answers_otherwise(other, sample, question)]
            offered = set(map(_meaning(question.task), question.options.values()))
            best = [other for other in fitting if _right(other, question.task) & offered]
            if fitting:
                found.append(Swapped(sample, index, rng.choice(best or fitting)))
    return found


def _answers_otherwise(other: Sample, sample: Sample, question: Question) -> bool:
    if question.task is Task.DISCRIMINATION:
        return other.is_normal != sample.is_normal
    if question.task is not Task.DEFECT_LOCALIZATION and other.defect == sample.defect:
        return False
    own = _meaning(question.task)(question.options[question.answer])
    return bool(_right(other, question.task)) and own not in _right(other, question.task)


def _right(sample: Sample, task: Task) -> set[Any]:
    """What is right to say about a picture, by its own questions of that task."""
    return {_meaning(task)(q.options[q.answer]) for q in sample.questions if q.task is task}


def _meaning(task: Task) -> Callable[[str], Any]:
    """Regions have several wordings."""
    if task is Task.DEFECT_LOCALIZATION:
        from core.evaluation.figures import region_of

        return region_of
    return lambda text: text.strip().rstrip(".").casefold()


def shown_instead(bench: Benchmark, swapped: Sequence[Swapped]) -> Benchmark:
    """The benchmark in which each swapped question is asked over the other picture; one sample for each picture shown."""
    asked: dict[str, list[Question]] = {}
    samples: dict[str, Sample] = {}
    for swap in swapped:
        samples[swap.shown.image] = swap.shown
        asked.setdefault(swap.shown.image, []).append(swap.question)
    return bench.select(replace(samples[image], questions=tuple(asked[image])) for image in samples)


def in_place(bench: Benchmark, swapped: Sequence[Swapped]) -> Benchmark:
    """The same questions over their own pictures."""
    asked: dict[str, list[Question]] = {}
    for swap in swapped:
        asked.setdefault(swap.sample.image, []).append(swap.question)
    return bench.select(
        replace(sample, questions=tuple(asked[sample.image])) for sample in bench if sample.image in asked
    )


def table(bench: Benchmark, right: np.ndarray) -> dict[str, dict[str, float]]:
    """Per task and for "all": questions, accuracy and chance (percent), and p of doing better than chance (one-sided).

    Args:
        right: bool [questions], in the order of `bench`.
    """
    from scipy.stats import binomtest

    asked = [question for sample in bench for question in sample.questions]
    chance = np.array([1 / len(question.options) for question in asked])
    tasks = np.array([question.task.value for question in asked])
    result = {}
    for name in (*(task.value for task in Task), "all"):
        mine = np.ones(len(asked), bool) if name == "all" else tasks == name
        if mine.any():
            hits, count, luck = int(right[mine].sum()), int(mine.sum()), float(chance[mine].mean())
            p = float(binomtest(hits, count, luck, alternative="greater").pvalue)
            result[name] = {"questions": count, "accuracy": round(100 * hits / count, 2), "chance": round(100 * luck, 2),
                            "p_above_chance": p}  # fmt: skip
    return result


def control(
    ask: Callable[[Benchmark, Protocol], np.ndarray],
    bench: Benchmark,
    protocol: Protocol,
    *,
    exchanged: Callable[[], AbstractContextManager[None]] = nullcontext,
    seed: int = 0,
) -> dict[str, Any]:
    """All controls.

    Args:
        ask: (benchmark, protocol) -> which answers are right, bool [questions].
        exchanged: while it is open, `ask` shows every question the map of another pair.

    Returns:
        own_picture, other_picture: tables of the same questions; with_heatmap, without_heatmap, other_heatmap: tables of
        detection and localization ({} under a protocol without heatmap); left_out: questions without a picture to swap with.

    Raises:
        UserError: no question can be swapped.
    """
    swapped = swaps(bench, seed=seed)
    if not swapped:
        raise UserError(
            "No question about a defect has another picture of its product with another answer: use more pictures."
        )
    about_defects = sum(q.task not in OBJECT_TASKS for sample in bench for q in sample.questions)
    own, other = in_place(bench, swapped), shown_instead(bench, swapped)
    result: dict[str, Any] = {
        "own_picture": table(own, ask(own, protocol)), "other_picture": table(other, ask(other, protocol)),
        "with_heatmap": {}, "without_heatmap": {}, "other_heatmap": {}, "left_out": about_defects - len(swapped),
    }  # fmt: skip
    if protocol.heatmap:
        kept = (
            replace(sample, questions=tuple(q for q in sample.questions if q.task in COMPARISON_TASKS))
            for sample in bench
        )
        compared = bench.select(sample for sample in kept if sample.questions)
        result["with_heatmap"] = table(compared, ask(compared, protocol))
        result["without_heatmap"] = table(compared, ask(compared, replace(protocol, heatmap=False)))
        with exchanged():
            result["other_heatmap"] = table(compared, ask(compared, protocol))
    return result


class Exchange:
    """Makes the comparison of the map of another pair: one that was shown before, drawn at random.

    Args:
        module: of the model, which makes tokens of maps [B, 1, H, W]; None in a model that compares nothing.
    """

    def __init__(self, module: Any, *, seed: int = 0) -> None:
        self.rng, self.on = random.Random(seed), False
        self.seen: dict[bytes, Any] = {}  # the maps that were shown, by their content
        if module is not None:
            module.register_forward_pre_hook(self._given)

    def _given(self, _module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        import torch

        (maps,) = given
        keys = [one.tobytes() for one in maps.float().cpu().numpy()]
        if not self.on:
            self.seen |= dict(zip(keys, maps, strict=True))
            return given
        others = [self.rng.choice([other for seen, other in self.seen.items() if seen != key]) for key in keys]
        return (torch.stack(others).to(maps),)

    @contextmanager
    def open(self) -> Iterator[None]:
        self.on = len(self.seen) > 1
        try:
            yield
        finally:
            self.on = False


def model_facts(model: str, data: str | None, workspace: Path) -> tuple[Benchmark, Protocol]:
    """The test split a model is asked about, and its protocol: of its run where it lies in one, else the demo's.

    Raises:
        UserError: nothing at `model`, or the test was trained on.
    """
    from core.demo.loop import open_benchmark
    from core.evaluation.guarding import refuse_trained
    from core.training import RunConfig, preset
    from core.training.questions import judging_of

    place = Path(model)
    if not place.exists():
        raise UserError(f"{model} is not there: give the folder of a run or a model.")
    run = place if (place / "config.yaml").is_file() else place.parent
    config = RunConfig.load(run / "config.yaml") if (run / "config.yaml").is_file() else preset("demo")
    if data is None and (run / "snapshot.json").is_file():
        bench = Snapshot.load(run / "snapshot.json").benchmark
    else:
        bench = open_benchmark(data, workspace)
    bench = bench.split("test")
    refuse_trained(model, bench)
    return bench, judging_of(config, seed=0)


def add_flags(add: Callable[..., Any]) -> None:
    add("--model", required=True, metavar="RUN", help="folder of a run, a model or an adapter")
    add("--data", metavar="ROOT", help="a benchmark in MMAD's layout (the run's own, or the embedded demo)")
    add("--name", metavar="NAME", help="of the benchmark in tables and files (demo)")
    add("--label", metavar="WORD", help="of the model in the report (its folder's name)")
    add("--seed", type=int, default=0, help="of the swaps (0)")
    add("--workspace", default="workspace", metavar="DIR", help="where the demo benchmark is kept (workspace)")
    add("--out", default="data/proof", metavar="DIR", help="where summaries are kept (data/proof)")


def act(flags: argparse.Namespace) -> None:
    from core.demo.proof import named
    from core.evaluation import answer_questions
    from core.model import load_model
    from core.model.adapters import inner_model

    bench, protocol = model_facts(flags.model, flags.data, Path(flags.workspace))
    model, processor = load_model(flags.model)

    def ask(part: Benchmark, how: Protocol) -> np.ndarray:
        with bar("control questions", " questions") as show:
            answers = answer_questions(model, processor, part, protocol=how, progress=show, name="tuned")
        return (answers["answer"] == answers["correct_answer"]).fillna(False).to_numpy(bool)

    maps = Exchange(inner_model(model).model.contrastive, seed=flags.seed)
    result = control(ask, bench, protocol, exchanged=maps.open, seed=flags.seed)
    label = flags.label or Path(flags.model).resolve().name
    place = Path(flags.out) / named(flags) / "controls" / f"{label}.json"
    write_json(place, {"label": label, "protocol": str(protocol), **result, **circumstances(PROJECT)})
    for name, rows in result.items():
        if isinstance(rows, dict):
            for task, cells in rows.items():
                print(
                    f"{name:16}{task:24}{cells['accuracy']:8.1f} % of {cells['questions']:5}, chance {cells['chance']:.1f} %"
                )
    print(f"Kept in {place}.")
