"""A mark is drawn on the product and lies where it says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.demo.changes import CHANGES
from core.demo.marks import (
    CONTRAST,
    GIST,
    NAMES,
    SEEN,
    Mark,
    draw,
    gist_targets,
    mark_targets,
)
from core.demo.views import View
from core.synthesis.factory import render

# Grey with some grain: on an even ground a piece moved elsewhere could not be seen.
IMAGE = np.random.default_rng(0).integers(60, 180, (112, 112, 3)).astype(np.uint8)
PARTS = np.ones((112, 112), np.uint8)  # a body with two parts on it, on some ground
PARTS[:, :20] = 0
PARTS[30:42, 50:70], PARTS[70:80, 80:95] = 2, 3


@pytest.fixture(scope="module")
def drawn() -> list[tuple[np.ndarray, Mark]]:
    found = [draw(IMAGE, PARTS, random.Random(seed)) for seed in range(240)]
    return [(image, mark) for image, _, mark in found if mark]


def test_a_mark_changes_the_product_and_nothing_else(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    assert len(drawn) > 120 and {mark.shape for _, mark in drawn} == set(NAMES)
    for image, mark in drawn:
        changed = (image != IMAGE).any(2)
        assert not changed[PARTS == 0].any() or mark.shape in CHANGES  # these are soft at their edge
        assert not changed[:, :17].any()
        assert changed[mark.mask].all()
    same = np.random.default_rng(0).integers(60, 180, (112, 112, 3)).astype(np.uint8)
    assert (same == IMAGE).all(), "the picture of the pool stays as it is"


def test_the_patches_under_a_mark_are_labelled(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    for _, mark in drawn:
        target = mark_targets([mark], 14, 112)
        assert set(target) <= {0, 1 + NAMES.index(mark.shape)}
    assert not mark_targets([], 14, 112).any()


def test_a_mark_is_as_loud_as_the_lesson_wants(drawn: list[tuple[np.ndarray, Mark]]) -> None:
    for image, mark in drawn:
        if mark.shape in CHANGES:
            continue  # a part is there or not
        change = np.abs(image.astype(int) - IMAGE).max(2)[mark.mask].mean()
        assert SEEN < change < 1.2 * CONTRAST[1]


def test_a_product_too_small_to_bear_one_stays_as_it_is() -> None:
    picture = render("hex_nut", None, 1, size=64)
    nothing = np.zeros((64, 64), np.uint8)
    for seed in range(40):
        same, parts, mark = draw(picture.image, nothing, random.Random(seed))
        assert mark is None and same is picture.image and parts is nothing


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
        turned = view.turned(number % 4, number % 8 < 4).marks[0]
        row, column = np.argwhere(turned.mask).mean(0) // 4
        assert turned.cell == row * 3 + column
