"""Which questions a run trains on, in which order, and what the model is shown for each.

The order of all passes is laid out beforehand (a permutation for each pass, from seed and pass alone), so that a resumed run
sees the same questions as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import UserError
from core.mmad import COMPARISON_TASKS, Benchmark, Prompt, Protocol, Question, Sample, build_prompt
from core.training.config import Prompting, RunConfig


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a sample."""

    sample: Sample
    index: int

    @property
    def question(self) -> Question:
        return self.sample.questions[self.index]

    @property
    def facts(self) -> dict[str, Any]:
        """What difficulty tables say about it."""
        sample = self.sample
        return {"sample": sample.image, "index": self.index, "dataset": sample.dataset, "product": sample.product,
                "defect": sample.label, "question_type": self.question.type}  # fmt: skip


@dataclass(frozen=True)
class Course:
    """Questions in the order they are asked, `steps` times `batch` of them.

    Attributes:
        asked: the distinct questions.
        order: (place in `asked`, pass) of each position.
    """

    bench: Benchmark
    protocol: Protocol
    asked: tuple[Asked, ...]
    order: tuple[tuple[int, int], ...]
    steps: int

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[Asked, Prompt]:
        return self.look_up(position)

    def look_up(self, position: int, *, thinking: bool | None = None) -> tuple[Asked, Prompt]:
        """The question at a position and its prompt; `thinking` overrides the protocol's."""
        place, epoch = self.order[position]
        asked, protocol = self.asked[place], self.protocol
        if thinking is not None:
            protocol = replace(protocol, thinking=thinking)
        return asked, build_prompt(self.bench, asked.sample, asked.question, protocol, epoch=epoch)

    def paths(self, prompt: Prompt) -> list[str]:
        return [str(self.bench.path(image)) for image in prompt.images]


def protocol_of(prompt: Prompting, *, thinking: bool, seed: int, answering: str = "generate") -> Protocol:
    """The protocol of a run's prompts; a comparison without any part is no comparison."""
    compares = prompt.heatmap and (prompt.contrast or prompt.soft_prompt)
    return Protocol(
        shots=prompt.shots, template=prompt.template, knowledge=prompt.knowledge, thinking=thinking,
        heatmap=compares, answering=answering, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip


def judging_of(config: RunConfig, *, seed: int) -> Protocol:
    """How a run's validation and final evaluation ask."""
    evaluate = config.evaluate
    return protocol_of(config.prompt, thinking=evaluate.thinking, seed=seed, answering=evaluate.answering)


def choose_questions(
    bench: Benchmark, *, tasks: str = "all", text_samples: bool = True, limit: int = 0, seed: int = 0
) -> tuple[Asked, ...]:
    """The questions to train on, checked.

    Raises:
        UserError: none is left, or one has a right letter outside its options.
    """
    found = []
    for sample in bench:
        if sample.text is not None and not text_samples:
            continue
        for index, question in enumerate(sample.questions):
            if question.answer not in question.options or question.answer not in "ABCD":
                raise UserError(
                    f"Question {index} of {sample.image} has the right letter {question.answer!r}, its options are "
                    f"{', '.join(question.options)}: correct it and take a new snapshot."
                )
            if tasks == "all" or question.task in COMPARISON_TASKS:
                found.append(Asked(sample, index))
    if not found:
        raise UserError(
            "The snapshot has no training question of the chosen kind: choose other tasks (sft.tasks), or take a snapshot "
            "with samples in the split 'train'."
        )
    if limit and limit < len(found):
        chosen = np.random.default_rng([seed, 7]).permutation(len(found))[:limit]
        found = [found[i] for i in sorted(chosen)]
    return tuple(found)


def lay_out(
    bench: Benchmark,
    protocol: Protocol,
    asked: tuple[Asked, ...],
    *,
    batch: int,
    epochs: float,
    max_steps: int,
    seed: int,
    together: bool = False,
) -> Course:
    """Lay out passes over `asked` until `max_steps` (or `epochs`) steps of `batch` questions are full.

    Args:
        together: questions of one picture follow each other, so that a batch shows fewer pictures and the vision tower,
            which encodes each of them once, has less to do.
    """
    steps = max_steps or max(1, math.floor(len(asked) * epochs / batch))
    order: list[tuple[int, int]] = []
    epoch = 0
    while len(order) < steps * batch:
        order += [(i, epoch) for i in _shuffled(asked, np.random.default_rng([seed, epoch]), together)]
        epoch += 1
    return Course(bench, protocol, asked, tuple(order[: steps * batch]), steps)


def _shuffled(asked: tuple[Asked, ...], rng: np.random.Generator, together: bool) -> list[int]:
    """Places in `asked`, in random order: of the questions, or of the pictures with theirs."""
    blocks: dict[Any, list[int]] = {}
    for place, one in enumerate(asked):
        blocks.setdefault(one.sample.image if together else place, []).append(place)
    found = list(blocks.values())
    return [place for block in rng.permutation(len(found)) for place in found[block]]


def check_pictures(course: Course) -> None:
    """Every picture of every prompt must be there before a run of hours begins.

    Raises:
        UserError: one is missing, or a prompt shows fewer pictures than it names; it is named.
    """
    checked: set[str] = set()
    for asked in course.asked:
        prompt = build_prompt(course.bench, asked.sample, asked.question, course.protocol)
        parts = sum(part["type"] == "image" for turn in prompt.messages for part in turn["content"])
        if parts != len(prompt.images):
            raise UserError(
                f"Question {asked.index} of {asked.sample.image} names {parts} pictures but has {len(prompt.images)}: "
                "correct it and take a new snapshot."
            )
        if not prompt.images and asked.sample.text is None:
            raise UserError(f"Question {asked.index} of {asked.sample.image} has no picture and no text to judge.")
        for image, path in zip(prompt.images, course.paths(prompt), strict=True):
            if image not in checked and not course.bench.path(image).is_file():
                raise UserError(f"{path} is missing: put it back, or take a new snapshot.")
            checked.add(image)


def first_questions(bench: Benchmark, count: int, seed: int = 0) -> Benchmark:
    """A benchmark of `count` questions (0: all), the same ones for the same seed, spread over its samples."""
    places = [(number, index) for number, sample in enumerate(bench.samples) for index in range(len(sample.questions))]
    if not count or count >= len(places):
        return bench
    chosen = sorted(places[i] for i in np.random.default_rng([seed, 11]).permutation(len(places))[:count])
    return benchmark_of(bench, (Asked(bench.samples[number], index) for number, index in chosen))


def benchmark_of(bench: Benchmark, asked: Iterable[Asked]) -> Benchmark:
    """The samples of `asked` with these questions alone, in its order, for questions that follow each other as in `bench`."""
    chosen: dict[str, tuple[Sample, list[int]]] = {}
    for one in asked:
        chosen.setdefault(one.sample.image, (one.sample, []))[1].append(one.index)
    return bench.select(_with(sample, indexes) for sample, indexes in chosen.values())


def _with(sample: Sample, indexes: Iterable[int]) -> Sample:
    return replace(sample, questions=tuple(sample.questions[i] for i in indexes))
