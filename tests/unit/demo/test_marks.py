"""A mark is drawn on the product, where its questions say it is, and nothing is asked that its picture does not show."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.demo.marks import (
    CONTRAST,
    GIST,
    IS_THERE,
    NAMES,
    SEEN,
    SHAPES,
    WHERE,
    WHICH,
    Mark,
    asked_of_mark,
    draw,
    gist_targets,
    mark_targets,
)
from core.demo.views import View
from core.synthesis.factory import DEFECTS, render
from core.synthesis.regions import WORDINGS

# Grey with some grain: on an even ground a piece moved elsewhere could not be seen.
IMAGE = np.random.default_rng(0).integers(60, 180, (112, 112, 3)).astype(np.uint8)
INSIDE = np.ones((112, 112), bool)
INSIDE[:, :20] = False


@pytest.fixture(scope="module")
def drawn() -> list[tuple[np.ndarray, Mark]]:
    found = [draw(IMAGE, INSIDE, random.Random(seed)) for seed in range(160)]
    return [(image, mark) for image, mark in found if mark]


def test_a_mark_changes_the_product_and_nothing_else(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    assert len(drawn) > 70 and {mark.shape for _, mark in drawn} == set(NAMES)
    for image, mark in drawn:
        changed = (image != IMAGE).any(2)
        assert not changed[~INSIDE].any()
        assert changed[mark.mask].all()
    same = np.random.default_rng(0).integers(60, 180, (112, 112, 3)).astype(np.uint8)
    assert (same == IMAGE).all(), "the picture of the pool stays as it is"


def test_what_is_asked_of_a_mark_is_true_and_wrong_places_hold_none_of_it(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    cell_of = {text.lower(): cell for cell, wordings in enumerate(WORDINGS) for text in wordings}
    for seed, (_, mark) in enumerate(drawn):
        asked = {question.text: question for question in asked_of_mark(mark, random.Random(seed))}
        assert asked[IS_THERE].right == "Yes." and asked[WHICH].right == SHAPES[mark.shape]
        if WHERE in asked:
            assert cell_of[asked[WHERE].right.lower()] == mark.cell
            for wrong in asked[WHERE].wrong:
                row, column = divmod(cell_of[wrong.lower()], 3)
                assert not mark.mask[row * 38 : row * 37 + 36, column * 38 : column * 37 + 36].any()
    assert [question.right for question in asked_of_mark(None, random.Random(0))] == ["No."]


def test_the_patches_under_a_mark_are_labelled(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    for _, mark in drawn:
        target = mark_targets([mark], 14, 112)
        assert set(target) <= {0, 1 + NAMES.index(mark.shape)}
    assert not mark_targets([], 14, 112).any()


def test_a_mark_is_as_loud_as_the_lesson_wants(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    for image, mark in drawn:
        change = np.abs(image.astype(int) - IMAGE).max(2)[mark.mask].mean()
        assert SEEN < change < 1.2 * CONTRAST[1]


def test_no_mark_is_called_a_defect() -> None:
    said = " ".join([*SHAPES.values(), IS_THERE, WHERE, WHICH]).lower()
    assert not [name for name in DEFECTS if name in said] and "defect" not in said


def test_a_product_too_small_to_bear_one_stays_as_it_is() -> None:
    picture = render("hex_nut", None, 1, size=64)
    same, mark = draw(picture.image, np.zeros((64, 64), bool), random.Random(0))
    assert mark is None and same is picture.image


def test_the_gist_says_whether_where_and_what(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    (_, first), (_, second) = drawn[:2]
    target = gist_targets([first, second])
    assert target.shape == (GIST,) and target[0] == 1
    assert set(np.flatnonzero(target[1:10])) == {first.cell, second.cell}
    assert set(np.flatnonzero(target[10:])) == {NAMES.index(first.shape), NAMES.index(second.shape)}
    assert not gist_targets([]).any()


def test_a_mark_turns_with_its_picture(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    for number, (_, mark) in enumerate(drawn[:40]):
        cells = np.repeat(
            np.repeat(np.arange(9).reshape(3, 3) == mark.cell, 4, 0), 4, 1
        )  # where the mark lies, as a mask
        view = View(
            np.zeros((12, 12, 3), np.uint8), np.zeros((12, 12), np.uint8), {}, (Mark(mark.shape, mark.cell, cells),)
        )
        turned = view.turned(random.Random(number)).marks[0]
        row, column = np.argwhere(turned.mask).mean(0) // 4
        assert turned.cell == row * 3 + column
