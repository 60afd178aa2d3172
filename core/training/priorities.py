"""Which questions the second stage asks: those more often whose answer the model is unsure of (not in the paper; compare
prioritised replay, arXiv 1511.05952, and DAPO, arXiv 2503.14476, which drops groups of equal rewards).

A group teaches GRPO only where some of its responses are right and others are wrong. How likely that is can be asked before
the stage begins: if the model gives the right letter the probability p, a response's accuracy has the variance p (1 - p).
Questions it has mastered, and those it is surely wrong about, are hardly drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.files import read_json, write_json
from core.mmad import Protocol
from core.training.answering_stage import answers_now
from core.training.config import GRPO, RunConfig
from core.training.questions import Course, benchmark_of, judging_of

POOL = 4  # times as many questions are asked beforehand as a pass draws of them
LEAST = 1e-3  # of a variance, so that any question can be drawn


def pool_of(section: GRPO) -> GRPO:
    """The section with so many samples as questions are asked beforehand."""
    if section.sampling == "uniform" or section.samples:
        return section
    return replace(section, samples=POOL * section.max_steps * section.groups)


def prioritised(
    course: Course, config: RunConfig, model: Any, processor: Any, run: Path, *, main: bool, check: Callable[[], None]
) -> Course:
    """The course of a run, drawn by what its model knows now; a resumed run draws the same.

    Args:
        run: its folder, where the chances are kept by the `main` process.
        check: called between batches; may raise.
    """
    place = run / "grpo" / "chances.json"
    if place.is_file():
        chances = read_json(place)
    else:
        protocol = judging_of(config, seed=config.seed)
        chances = chances_of(model, processor, course, protocol, batch_size=config.evaluate.batch_size, check=check)
        if main:
            write_json(place, chances, indent=None)
    return drawn(course, chances, config.seed)


def chances_of(
    model: Any, processor: Any, course: Course, protocol: Protocol, *, batch_size: int, check: Callable[[], None]
) -> list[float]:
    """The probability the model gives the right letter of each of `course.asked`, see `answers_now`."""
    letters = replace(protocol, answering="letters", thinking=False)
    pool = benchmark_of(course.bench, course.asked)
    answers = answers_now(model, processor, pool, letters, batch_size=batch_size, check=check, name="chances")
    return [float(chance) for chance in answers["p_answer"]]


def drawn(course: Course, chances: Sequence[float], seed: int) -> Course:
    """The course with the same number of positions, drawn anew: in each pass a `POOL`th of the questions, none twice, each as
    likely as its variance says (Efraimidis and Spirakis, 2006).

    Args:
        chances: see `chances_of`.
    """
    variance = np.array([chance * (1 - chance) for chance in chances]) + LEAST
    share = max(1, len(variance) // POOL)
    order: list[tuple[int, int]] = []
    epoch = 0
    while len(order) < len(course.order):
        luck = np.random.default_rng([seed, 13, epoch]).exponential(size=len(variance)) / variance
        order += [(int(place), epoch) for place in np.argsort(luck)[:share]]
        epoch += 1
    return replace(course, order=tuple(order[: len(course.order)]))
