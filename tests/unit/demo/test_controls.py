"""The controls tell a model that looks from one that has learned its questions by heart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.demo.controls import Exchange, control, in_place, shown_instead, swaps
from core.errors import UserError
from core.evaluation.figures import region_of
from core.mmad import Benchmark, Protocol, Question, Sample, Task

KINDS = ("scratch", "hole", "dent", "stain")
PLACES = ("top left", "bottom right", "center", "upper left")


def bench_of(count: int = 12, products: int = 2) -> Benchmark:
    """Normal and defective plates; every question's options are the same four, shuffled by turns."""
    samples = []
    for product in range(products):
        for number in range(count):
            kind = KINDS[number // 2 % 4] if number % 2 else None
            yes = number % 4 < 2
            asked = [Question("Is there a defect?", {"A": "Yes.", "B": "No."} if yes else {"A": "No.", "B": "Yes."},
                              "A" if bool(kind) == yes else "B", Task.DISCRIMINATION)]  # fmt: skip
            asked.append(Question("Which product?", {"A": "Plate.", "B": "Cup."}, "A", Task.OBJECT_CLASSIFICATION))
            if kind:
                turn = KINDS[number % 3 :] + KINDS[: number % 3]
                options = dict(zip("ABCD", (f"{word.capitalize()}." for word in turn), strict=True))
                right = next(letter for letter, text in options.items() if text.lower().startswith(kind))
                asked.append(Question("Which defect?", options, right, Task.DEFECT_CLASSIFICATION))
                places = {"A": PLACES[number // 2 % 4], "B": "bottom", "C": "right", "D": "left"}
                asked.append(Question("Where?", places, "A", Task.DEFECT_LOCALIZATION))
            image = f"Demo/p{product}/test/{kind or 'good'}/{number:02d}.png"
            samples.append(Sample(image, "Demo", f"p{product}", kind, questions=tuple(asked)))
    return Benchmark(Path("/nowhere"), tuple(samples))


def looks(part: Benchmark, protocol: Protocol) -> np.ndarray:
    """What an ideal model answers, which says what is in the picture it is shown."""
    found = []
    for sample in part:
        for question in sample.questions:
            if question.task is Task.DISCRIMINATION:
                said = question.options[question.answer].startswith("Yes") == bool(sample.defect)
            elif question.task is Task.DEFECT_CLASSIFICATION:
                said = question.options[question.answer].lower().startswith(str(sample.defect))
            elif question.task is Task.DEFECT_LOCALIZATION:
                real = next(
                    q for s in bench_of() if s.image == sample.image for q in s.questions if q.task is question.task
                )
                said = region_of(question.options[question.answer]) == region_of(real.options[real.answer])
                said = said and protocol.heatmap
            else:
                said = True
            found.append(said)
    return np.array(found)


def test_a_swapped_picture_is_of_the_same_product_and_has_another_right_answer() -> None:
    bench = bench_of()
    found = swaps(bench)
    assert len(found) == sum(q.task is not Task.OBJECT_CLASSIFICATION for s in bench for q in s.questions)
    for swap in found:
        assert swap.shown.product == swap.sample.product and swap.shown.image != swap.sample.image
        if swap.question.task is Task.DISCRIMINATION:
            assert swap.shown.is_normal != swap.sample.is_normal
        else:
            assert (
                swap.shown.defect
                and swap.shown.defect != swap.sample.defect
                or swap.question.task is Task.DEFECT_LOCALIZATION
            )
    assert found == swaps(bench) and found != swaps(bench, seed=1)


def test_two_wordings_of_one_place_are_no_other_answer() -> None:
    places = [swap for swap in swaps(bench_of()) if swap.question.task is Task.DEFECT_LOCALIZATION]
    for swap in places:
        shown = next(q for q in swap.shown.questions if q.task is Task.DEFECT_LOCALIZATION)
        assert region_of(shown.options["A"]) != region_of(swap.question.options["A"])


def test_each_question_is_asked_once_and_a_sample_shows_one_picture() -> None:
    bench = bench_of()
    found = swaps(bench)
    other, own = shown_instead(bench, found), in_place(bench, found)
    assert len(other.questions) == len(own.questions) == len(found)
    assert len({sample.image for sample in other}) == len(other)


def test_a_model_that_looks_falls_and_one_that_knows_by_heart_does_not() -> None:
    result = control(looks, bench_of(), Protocol())
    assert result["own_picture"]["all"]["accuracy"] == 100 and result["other_picture"]["all"]["accuracy"] == 0
    assert result["other_picture"]["all"]["p_above_chance"] == 1.0
    assert result["with_heatmap"]["Defect Localization"]["accuracy"] == 100
    assert result["without_heatmap"]["Defect Localization"]["accuracy"] == 0
    assert result["left_out"] == 0 and result["own_picture"]["Anomaly Detection"]["chance"] == 50

    def by_heart(part: Benchmark, protocol: Protocol) -> np.ndarray:
        return np.ones(len(part.questions), bool)

    result = control(by_heart, bench_of(), replace(Protocol(), heatmap=False))
    assert result["other_picture"]["all"]["p_above_chance"] < 1e-6 and result["with_heatmap"] == {}


def test_a_model_that_reads_the_map_falls_with_the_map_of_another_pair() -> None:
    wrong = []

    @contextmanager
    def exchanged() -> Iterator[None]:
        wrong.append(True)
        yield
        wrong.pop()

    def reads(part: Benchmark, protocol: Protocol) -> np.ndarray:
        return np.full(len(part.questions), not wrong)

    result = control(reads, bench_of(), Protocol(), exchanged=exchanged)
    assert result["with_heatmap"]["Defect Localization"]["accuracy"] == 100
    assert result["other_heatmap"]["Defect Localization"]["accuracy"] == 0 and not wrong


def test_every_map_is_exchanged_for_another_that_was_shown() -> None:
    module = torch.nn.Identity()
    maps = torch.rand(5, 1, 4, 4)
    exchange = Exchange(module)
    assert torch.equal(module(maps), maps) and torch.equal(module(maps[:2]), maps[:2])
    with exchange.open():
        found = module(maps)
    assert all(any(torch.equal(one, other) for other in maps) for one in found)
    assert not any(torch.equal(one, own) for one, own in zip(found, maps, strict=True))
    assert torch.equal(module(maps), maps)


def test_a_model_that_compares_nothing_has_no_map_to_exchange() -> None:
    exchange = Exchange(None)
    with exchange.open():
        assert not exchange.on


def test_without_another_picture_there_is_no_control() -> None:
    with pytest.raises(UserError, match="use more pictures"):
        control(looks, bench_of(1, 1), Protocol())
