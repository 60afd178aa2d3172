"""A picture of the pool as a lesson shows it: with or without marks on it, as it lies or turned and mirrored."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.demo.marks import DRAWN, Mark, draw
from core.demo.pool import Pool


@dataclass(frozen=True)
class View:
    """One picture, uint8 [H, W, 3], with the part under each pixel [H, W], its facts and the marks on it."""

    image: np.ndarray
    parts: np.ndarray
    meta: dict[str, Any]
    marks: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, pool: Pool, index: int) -> View:
        return cls(pool.images[index], pool.parts[index], pool.metas[index])

    def marked(self, rng: random.Random, count: int, shapes: Sequence[str] = DRAWN) -> View:
        """With `count` marks of these shapes, fewer where there is no room; what was drawn later lies on top."""
        view = self
        for _ in range(count):
            image, parts, mark = draw(view.image, view.parts, rng, shapes)
            view = replace(view, image=image, parts=parts, marks=(*view.marks, mark) if mark else view.marks)
        return view

    def turned(self, quarters: int, mirror: bool) -> View:
        """By a multiple of 90 degrees, mirrored or not; the facts in words stay as they were: for lessons without words."""

        def turn(values: np.ndarray) -> np.ndarray:
            values = np.rot90(values, quarters)
            return np.ascontiguousarray(values[:, ::-1] if mirror else values)

        cells = turn(np.arange(9).reshape(3, 3)).reshape(-1).tolist()
        marks = tuple(replace(mark, mask=turn(mark.mask), cell=cells.index(mark.cell)) for mark in self.marks)
        return replace(self, image=turn(self.image), parts=turn(self.parts), marks=marks)
