"""Neutral marks on pictures of normal products: what lines, spots and areas look like, and where they lie.

A general model has seen lines and spots on things long before anybody told it which of them are defects. The tiny base's tower
learns the same from drawn marks. They are flat drawings on the finished picture (no relief, no light, nothing of the factory's
defects), or changes of the product's own parts (`core.demo.changes`). Only readouts that are thrown away name them: the language
model is not told of them, or it would say how a defect looks and where it lies, which is for tuning to teach
(docs/experiments.md, entries 86 and 89). Drawing on normal pictures to learn what stands out is self-supervision as in CutPaste
(arXiv 2104.04015) and DRAEM (arXiv 2108.07610).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.demo.changes import CHANGES, ragged

FLAT_NAMES = ("line", "curve", "zigzag", "dot", "chip", "ring", "blob", "tint", "bulge", "moved")
NAMES = (*FLAT_NAMES, *CHANGES)
REACH = 30  # of the largest mark around its middle, in 112ths of a picture
# What is drawn, as often as it stands here: thin lines take longest to learn. FLAT stands out by itself, the others only to who
# knows the product, and have to wait: from the start, they hold up all else.
FLAT = (*FLAT_NAMES, "line", "zigzag")
DRAWN = (*FLAT, *CHANGES, "gone", "shifted", "blurred")
CONTRAST = (18.0, 90.0)  # grey levels a flat mark changes its pixels by, on the average
SEEN = 7.0  # grey levels from which a pixel counts as changed


@dataclass(frozen=True)
class Mark:
    """A drawn mark: its shape, the cell (0..8) its middle lies in, and its pixels, bool [H, W]."""

    shape: str
    cell: int
    mask: np.ndarray


def draw(
    image: np.ndarray, parts: np.ndarray, rng: random.Random, shapes: Sequence[str] = DRAWN
) -> tuple[np.ndarray, np.ndarray, Mark | None]:
    """(picture, its parts, the mark on it): copies with one mark more; as they were, and None, where there is no room for it.

    Args:
        image: uint8 [H, W, 3].
        parts: which part lies under each pixel, uint8 [H, W], 0 for the ground and 1 for the product's body.
        shapes: one of them is drawn.
    """
    shape = rng.choice(shapes)
    drawn = _changed(shape, image, parts, rng) if shape in CHANGES else _drawn(shape, image, parts, rng)
    if drawn is None:
        return image, parts, None
    marked, parts, mask = drawn
    rows, columns = np.nonzero(mask)
    unit = len(parts) / 112
    if len(rows) <= 4 * unit * unit:
        return image, parts, None
    cell = int(rows.mean() * 3 // len(parts)) * 3 + int(columns.mean() * 3 // len(parts))
    return marked, parts, Mark(shape, cell, mask)


Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]  # picture, parts, pixels that are changed


def _changed(shape: str, image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Drawn | None:
    made = CHANGES[shape](image.astype(np.float32), parts, rng)
    if made is None:
        return None
    marked = made[0].round().clip(0, 255).astype(np.uint8)
    return marked, made[1], np.abs(marked.astype(np.float32) - image).max(2) > SEEN


def _drawn(shape: str, image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Drawn | None:
    inside = parts > 0
    size = inside.shape[0]
    spot = _spot(inside, rng)
    if spot is None:
        return None
    row, column = spot
    reach = round(REACH * size / 112)
    rows, columns = slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)
    part = image[rows, columns].astype(np.float32)
    y, x = np.mgrid[rows.start : rows.start + part.shape[0], columns.start : columns.start + part.shape[1]]
    unit, turn = size / 112, rng.uniform(0, 2 * np.pi)
    x, y = (x - column).astype(np.float32) / unit, (y - row).astype(np.float32) / unit
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    cover = _cover(shape, x, y, rng) * inside[rows, columns]
    change = _painted(shape, image, part, cover, (x, y), rng) - part
    seen = np.abs(change).max(2) > SEEN
    if seen.sum() < 4 * unit * unit:
        return None
    wanted = CONTRAST[0] * (CONTRAST[1] / CONTRAST[0]) ** rng.random()
    change *= min(1.0, wanted / float(np.abs(change).max(2)[seen].mean()))
    marked = image.copy()
    marked[rows, columns] = (part + change).round().clip(0, 255)
    mask = np.zeros(inside.shape, bool)
    mask[rows, columns] = np.abs(change).max(2) > SEEN
    return marked, parts, mask


def _spot(inside: np.ndarray, rng: random.Random) -> tuple[int, int] | None:
    """(row, column) of a pixel of the product away from the picture's border, all cells alike."""
    size = inside.shape[0]
    edge = size // 10
    thirds = [(edge, size // 3), (size // 3, 2 * size // 3), (2 * size // 3, size - edge)]
    for cell in rng.sample(range(9), 9):
        (top, bottom), (left, right) = thirds[cell // 3], thirds[cell % 3]
        for _ in range(8):
            row, column = rng.randrange(top, bottom), rng.randrange(left, right)
            if inside[row, column]:
                return row, column
    return None


def _cover(shape: str, x: np.ndarray, y: np.ndarray, rng: random.Random) -> np.ndarray:
    """How much of each pixel (in 112ths of a picture, from the mark's middle) the mark covers, 0 to 1."""
    radius, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
    soft = 0.5
    if shape == "line":
        length = rng.uniform(6, 22)
        away = np.sqrt(np.maximum(np.abs(x) - length, 0) ** 2 + y * y) - rng.uniform(0.2, 0.8)
    elif shape == "curve":
        bend, swing = rng.uniform(3, 9), rng.uniform(0.15, 0.5)
        wave = y - bend * np.sin(swing * x + rng.uniform(0, 6))
        slope = np.sqrt(1 + (bend * swing * np.cos(swing * x)) ** 2)
        away = np.maximum(np.abs(wave) / slope - rng.uniform(0.3, 0.9), np.abs(x) - rng.uniform(8, 22))
    elif shape == "zigzag":
        step, knots = rng.uniform(2, 5), [rng.uniform(-4, 4) for _ in range(24)]
        line = np.interp(x, [step * (i - 11.5) for i in range(24)], knots)
        away = np.maximum(np.abs(y - line) * 0.7 - rng.uniform(0.2, 0.8), np.abs(x) - rng.uniform(8, 20))
    elif shape == "dot":
        away = radius - rng.uniform(1.5, 5)
    elif shape == "chip":
        sides = rng.randint(3, 5)
        away = np.max([
            x * np.cos(turn) + y * np.sin(turn)
            for turn in (2 * np.pi * (i + rng.uniform(-0.25, 0.25)) / sides for i in range(sides))
        ], axis=0) - rng.uniform(1.5, 5)  # fmt: skip
    elif shape == "ring":
        away = np.abs(radius - rng.uniform(3, 9)) - rng.uniform(0.4, 1.2)
    elif shape == "bulge":
        return np.clip(1.2 - radius / rng.uniform(5, 12), 0, 1)
    else:
        edge = ragged(angle, rng)
        wide = {"blob": (4, 12), "tint": (8, 18), "moved": (4, 11)}[shape]
        away, soft = radius - rng.uniform(*wide) * edge, 4.0 if shape == "tint" else 1.0
    return np.clip(0.5 - away / (2 * soft), 0, 1)


def _painted(
    shape: str, image: np.ndarray, part: np.ndarray, cover: np.ndarray, at: tuple[np.ndarray, np.ndarray], rng: random.Random
) -> np.ndarray:  # fmt: skip
    """The part of the picture [h, w, 3] as the mark leaves it, before its contrast is turned down."""
    alpha = cover[..., None]
    if shape == "bulge":  # light from the mark's own right
        return part * (1 + 0.9 * alpha * np.clip(at[0] / 8, -1, 1)[..., None])
    if shape == "tint":
        return part * (1 + alpha * (np.array([rng.uniform(0.4, 1.5) for _ in range(3)]) - 1))
    if shape == "moved":
        height, width = part.shape[:2]
        top, left = rng.randint(0, image.shape[0] - height), rng.randint(0, image.shape[1] - width)
        return part * (1 - alpha) + image[top : top + height, left : left + width] * alpha
    grey = rng.choice((15, 235)) if rng.random() < 0.6 else rng.randrange(256)
    colour = np.array([grey + rng.uniform(-60, 60) * (rng.random() < 0.4) for _ in range(3)]).clip(0, 255)
    return part * (1 - alpha) + colour * alpha


def mark_targets(marks: Sequence[Mark], grid: int, size: int) -> np.ndarray:
    """int64 [grid * grid]: 0 where no mark covers a twentieth of the patch, else 1 + the shape's number."""
    side = size // grid
    targets = np.zeros(grid * grid, np.int64)
    for mark in marks:
        share = mark.mask[: side * grid, : side * grid].reshape(grid, side, grid, side).mean((1, 3)).reshape(-1)
        targets[share > 0.05] = 1 + NAMES.index(mark.shape)
    return targets


GIST = 1 + 9 + len(NAMES)


def gist_targets(marks: Sequence[Mark]) -> np.ndarray:
    """float32 [GIST]: whether there is a mark, which of the nine cells hold one's middle, which shapes there are."""
    target = np.zeros(GIST, np.float32)
    for mark in marks:
        target[[0, 1 + mark.cell, 10 + NAMES.index(mark.shape)]] = 1
    return target
