"""Neutral marks on pictures of normal products: what lines, dots and blobs look like, and where they lie.

A general model has seen lines and spots on things long before anybody told it which of them are defects. The tiny base
learns the same from drawn marks: it can say that there is one, of which shape, and where. None is drawn after a defect, none
is called one, and the benchmark's questions never ask for a mark.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from core.demo.lessons import Asked, sentence
from core.synthesis.regions import WORDINGS

SHAPES = {
    "line": "A thin straight line.", "curve": "A thin curved line.", "dot": "A small round dot.", "blob": "A wide soft area.",
    "ring": "A thin round ring.", "square": "A small square.",
}  # fmt: skip
NAMES = tuple(SHAPES)
IS_THERE = "Is there a mark on the product in the query picture?"
WHERE = "There is a mark on the product in the query picture. Where is it?"
WHICH = "There is a mark on the product in the query picture. How does it look?"


@dataclass(frozen=True)
class Mark:
    """A drawn mark: its shape, the cell (0..8) its centre lies in, and its pixels, bool [H, W]."""

    shape: str
    cell: int
    mask: np.ndarray


def draw(image: np.ndarray, inside: np.ndarray, rng: random.Random) -> tuple[np.ndarray, Mark | None]:
    """A copy of the picture (uint8 [H, W, 3]) with one mark on it; without one where the product is too small.

    Args:
        inside: bool [H, W], where the product is.
    """
    size = inside.shape[0]
    edge = size // 10
    free = inside.copy()
    free[:edge] = free[-edge:] = free[:, :edge] = free[:, -edge:] = False
    thirds = np.minimum(np.arange(size) * 3 // size, 2)
    for cell in rng.sample(range(9), 9):
        rows, columns = np.nonzero(free & (thirds[:, None] == cell // 3) & (thirds[None, :] == cell % 3))
        if len(rows) > 20:
            break
    else:
        return image, None
    pick = rng.randrange(len(rows))
    y, x = np.mgrid[:size, :size].astype(np.float32)
    unit, turn = size / 112, rng.uniform(0, 2 * np.pi)
    x, y = (x - columns[pick]) / unit, (y - rows[pick]) / unit
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    shape = rng.choice(NAMES)
    alpha = _cover(shape, x, y, rng) * inside
    colour = np.array([rng.choice((20, 235)) if rng.random() < 0.6 else rng.randrange(256) for _ in range(3)])
    if rng.random() < 0.7:
        colour[:] = colour[0]
    alpha = alpha[..., None] * rng.uniform(0.25, 0.9)
    marked = image * (1 - alpha) + colour * alpha
    mask = np.abs(marked - image).max(2) > 8
    return (marked.round().astype(np.uint8), Mark(shape, cell, mask)) if mask.sum() > 6 else (image, None)


def _cover(shape: str, x: np.ndarray, y: np.ndarray, rng: random.Random) -> np.ndarray:
    """How much of each pixel (in 112ths of a picture, from the mark's centre) the mark covers, 0 to 1."""
    radius = np.sqrt(x * x + y * y)
    if shape == "line":
        length = rng.uniform(9, 26)
        away = np.sqrt(np.maximum(np.abs(x) - length, 0) ** 2 + y * y) - rng.uniform(0.5, 1.2)
    elif shape == "curve":
        bend = rng.uniform(10, 26)
        angle = np.arctan2(y, x + bend)
        away = np.abs(np.sqrt((x + bend) ** 2 + y * y) - bend) - rng.uniform(0.5, 1.2)
        away = np.where(np.abs(angle) < rng.uniform(0.6, 1.3), away, 9)
    elif shape == "dot":
        away = radius - rng.uniform(1.8, 5)
    elif shape == "blob":
        angle, soft = np.arctan2(y, x), rng.uniform(2, 5)
        wobble = 1 + 0.2 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.15 * np.sin(3 * angle + rng.uniform(0, 6))
        return np.clip(0.5 - (radius - rng.uniform(7, 15) * wobble) / (2 * soft), 0, 1)
    elif shape == "ring":
        away = np.abs(radius - rng.uniform(4, 9)) - rng.uniform(0.6, 1.2)
    else:
        away = np.maximum(np.abs(x), np.abs(y)) - rng.uniform(2.5, 6)
    return np.clip(0.5 - away, 0, 1)


def asked_of_mark(mark: Mark | None, rng: random.Random) -> list[Asked]:
    """The questions about a mark, or about there being none."""
    yes, no = ("Yes.", "No.") if mark else ("No.", "Yes.")
    asked = [Asked(IS_THERE, yes, [no])]
    if mark:
        touched = _cells(mark.mask)
        free = [cell for cell in range(9) if cell not in touched]
        if len(free) >= 3:
            wrong = [sentence(rng.choice(WORDINGS[cell])) for cell in rng.sample(free, 3)]
            asked.append(Asked(WHERE, sentence(rng.choice(WORDINGS[mark.cell])), wrong))
        others = [SHAPES[name] for name in NAMES if name != mark.shape]
        asked.append(Asked(WHICH, SHAPES[mark.shape], rng.sample(others, 3)))
    return asked


def told_of(mark: Mark | None, rng: random.Random) -> str:
    if mark is None:
        return "There is no mark."
    return f"There is a mark at the {rng.choice(WORDINGS[mark.cell])}: {SHAPES[mark.shape][:1].lower()}{SHAPES[mark.shape][1:]}"


def _cells(mask: np.ndarray) -> set[int]:
    thirds = np.minimum(np.arange(mask.shape[0]) * 3 // mask.shape[0], 2)
    return {int(cell) for cell in np.unique((thirds[:, None] * 3 + thirds[None, :])[mask])}


def mark_targets(mark: Mark | None, grid: int, size: int) -> np.ndarray:
    """int64 [grid * grid]: 0 where no mark covers a tenth of the patch, else 1 + the shape's number."""
    if mark is None:
        return np.zeros(grid * grid, np.int64)
    side = size // grid
    share = mark.mask[: side * grid, : side * grid].reshape(grid, side, grid, side).mean((1, 3)).reshape(-1)
    return np.where(share > 0.1, 1 + NAMES.index(mark.shape), 0).astype(np.int64)
