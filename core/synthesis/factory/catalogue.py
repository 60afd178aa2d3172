"""The types of the catalogue: what a product is, what a defect is, and the plan that spoils a product while it is built.

Products and defects are tables (`PRODUCTS`, `DEFECTS`); nothing else in the factory asks for a product by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from core.synthesis.factory.scene import Patch

Rng = np.random.Generator
Lot = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A named part; its label in the part map is its place in `Product.parts`, counted from 1."""

    name: str
    material: str


@dataclass(frozen=True)
class Product:
    """One kind of product.

    Attributes:
        name: folder name; words: what a person calls it; category: metal, plastic, fabric, wood, ...
        parts: named parts, the body first.
        lot: draws what all pieces of a production lot share (colours, counts, proportions).
        build: paints one piece; returns facts of it ("counts": part -> number, "colours": part -> word).
        turn: how pieces lie: "any" angle, "quarter" turns, or "slight" jitter only.
        defects: defect kind -> the parts it can befall.
        good, looks, effects: knowledge: how a normal piece looks; per defect how it looks and what it leads to.
        purpose: what the product is for, completing "It is used to ...".
        ground: what it lies on; None when the picture shows the material alone.
        landmarks: parts whose place in the picture can be asked for.
        symmetry: turns (degrees) that leave the product looking the same; 0 for a round one, 360 for none.
        size: (least, most) scale of the pose.
        confine: surface defects stay within the part they befall (else they may run across the whole piece).
    """

    name: str
    words: str
    category: str
    parts: tuple[Part, ...]
    lot: Callable[[Rng], Lot]
    build: Callable[[Patch, Lot, Rng, Plan], Mapping[str, Any]]
    defects: Mapping[str, tuple[str, ...]]
    good: str
    looks: Mapping[str, str]
    effects: Mapping[str, str]
    purpose: str
    turn: Literal["any", "quarter", "slight"] = "slight"
    ground: tuple[str, ...] | None = ("paper",)
    landmarks: tuple[str, ...] = ()
    symmetry: int = 360
    size: tuple[float, float] = (0.94, 1.04)
    confine: bool = False

    def label(self, part: str) -> int:
        """The part's label in the part map."""
        return next(index for index, p in enumerate(self.parts, 1) if p.name == part)


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect.

    Attributes:
        name: as folders and questions say it.
        words: what it is, for a question's options.
        paint: spoils a finished scene at a spot; None when the product is built wrongly instead (`Plan`).
        fades: its contrast can be turned down; others are graded by size alone.
        edge: it sits on the product's outline.
    """

    name: str
    words: str
    paint: Callable[..., None] | None = None
    fades: bool = True
    edge: bool = False


def fork(rng: Rng) -> Rng:
    """Random numbers of a single part: what it draws moves no other part, even when it is missing."""
    return np.random.default_rng(int(rng.integers(2**62)))


@dataclass
class Plan:
    """What goes wrong while a product is built: a kind, the part it befalls, and how much (1 plain .. 0 hardly).

    A builder asks `pick` which of n equal parts is the wrong one (-1: none) and `strength` for its own figures. The plan
    has random numbers of its own, so the rest of the piece comes out as it would have without the defect.
    """

    kind: str | None = None
    part: str | None = None
    amount: float = 1.0
    rng: Rng = field(default_factory=lambda: np.random.default_rng(0))

    def befalls(self, kind: str, part: str) -> bool:
        return self.kind == kind and self.part == part

    def pick(self, kind: str, part: str, count: int) -> int:
        return int(self.rng.integers(count)) if self.befalls(kind, part) else -1

    def between(self, hardly: float, plain: float) -> float:
        return hardly + (plain - hardly) * self.amount


NO_PLAN = Plan()
