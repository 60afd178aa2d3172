"""What is changed of a product's parts: the part is no longer where it was, and its labels say so."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.demo.changes import CHANGES, blurred, gone, notched, shifted
from core.synthesis.factory import PRODUCTS, render

SIZE = 112
BODY, SCREW = np.array([90.0, 120, 90]), np.array([220.0, 210, 200])


@pytest.fixture
def plate() -> tuple[np.ndarray, np.ndarray]:
    """A plate on white ground with one bright square on it."""
    image, parts = np.full((SIZE, SIZE, 3), 250, np.float32), np.zeros((SIZE, SIZE), np.uint8)
    image[20:92, 20:92], parts[20:92, 20:92] = BODY, 1
    image[40:50, 40:50], parts[40:50, 40:50] = SCREW, 2
    return image, parts


@pytest.mark.parametrize("seed", range(5))
def test_a_part_that_is_gone_leaves_what_surrounds_it(plate: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    made = gone(*plate, random.Random(seed))
    assert made is not None
    image, parts = made
    assert np.allclose(image[42:48, 42:48], BODY, atol=8) and not (parts == 2).any()
    assert (image[60:] == plate[0][60:]).all()


def test_a_shifted_part_is_still_there_but_elsewhere_or_turned(plate: tuple[np.ndarray, np.ndarray]) -> None:
    moved = 0
    for seed in range(20):
        made = shifted(*plate, random.Random(seed))
        assert made is not None
        image, parts = made
        assert 60 < (parts == 2).sum() < 140  # a hundred pixels before
        assert np.allclose(image[parts == 2].mean(0), SCREW, atol=30)
        moved += np.abs(np.argwhere(parts == 2).mean(0) - 44.5).max() > 2
    assert moved > 8


def test_lines_are_blurred_on_the_product_alone(plate: tuple[np.ndarray, np.ndarray]) -> None:
    changed = 0
    for seed in range(20):
        made = blurred(*plate, random.Random(seed))
        assert made is not None
        difference = np.abs(made[0] - plate[0]).max(2)
        assert not difference[plate[1] == 0].any() and made[1] is plate[1]
        changed += (difference > 7).sum() > 4
    assert changed > 8


def test_behind_a_notch_lies_the_ground(plate: tuple[np.ndarray, np.ndarray]) -> None:
    found = 0
    for seed in range(10):
        made = notched(*plate, random.Random(seed))
        if made is None:  # too flat a bit
            continue
        found += 1
        lost = (plate[1] > 0) & (made[1] == 0)
        assert 0 < lost.sum() < 500
        assert made[0][lost].mean() > plate[0][lost].mean() + 40  # white instead of the plate
    assert found > 4


def test_what_fills_the_picture_has_no_outline_and_a_body_without_parts_loses_none() -> None:
    image, body = np.full((SIZE, SIZE, 3), 128, np.float32), np.ones((SIZE, SIZE), np.uint8)
    assert notched(image, body, random.Random(0)) is None
    assert gone(image, body, random.Random(0)) is None and shifted(image, body, random.Random(0)) is None


@pytest.mark.parametrize("name", CHANGES)
def test_each_product_of_the_factory_can_be_changed_or_says_that_it_cannot(name: str) -> None:
    found = 0
    for product in PRODUCTS:
        picture = render(product, None, 3, size=SIZE)
        made = CHANGES[name](picture.image.astype(np.float32), picture.parts, random.Random(1))
        if made is not None:
            assert made[0].shape == picture.image.shape and np.isfinite(made[0]).all()
            assert made[1].shape == picture.parts.shape and made[1].dtype == np.uint8
            found += 1
    assert found > len(PRODUCTS) / 2
