"""The spot a defect is painted at, and the wandering lines and ragged blobs that defects are drawn with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.synthesis.factory.materials import Material
from core.synthesis.factory.scene import Patch

Array = np.ndarray


@dataclass
class Spot:
    """Where and how a defect is painted.

    Attributes:
        patch: window of the scene around the place, turned at random; (0, 0) is the place itself.
        ground: what lies below the product there, maps [7, h, w].
        within: 1 where the defect may show, [h, w].
        material: of the part that is hit.
        amount: 1 plain .. 0 hardly.
        fade: how far its contrast is turned down afterwards; painters need not care.
        rng: the defect's own random numbers.
        heading: angle (in the patch) towards the product's middle; only meaningful on an edge.
    """

    patch: Patch
    ground: Array
    within: Array
    material: Material
    amount: float
    rng: np.random.Generator
    heading: float = 0.0

    def between(self, hardly: float, plain: float, jitter: float = 0.2) -> float:
        """A figure by amount, with some jitter (a share of it)."""
        value = hardly + (plain - hardly) * self.amount
        return value * float(self.rng.uniform(1 - jitter, 1 + jitter))

    def ragged(self, radius: float, rough: float = 0.3, stretch: float = 1.0, corners: int = 5) -> Array:
        """Distance to a blob with an irregular outline, negative inside."""
        x, y = self.patch.x / np.float32(stretch), self.patch.y * np.float32(stretch)
        angle = np.arctan2(y, x)
        outline = np.full_like(angle, 1.0)
        for order in range(2, 2 + corners):
            swing = rough * float(self.rng.normal()) / order**0.8
            outline += swing * np.cos(order * angle + np.float32(self.rng.uniform(0, 2 * math.pi)))
        return np.sqrt(x * x + y * y) - radius * np.clip(outline, 0.35, 1.9)

    def wander(self, length: float, steps: int, bend: float, start: tuple[float, float] | None = None,
               heading: float = 0.0) -> Array:  # fmt: skip
        """Points [steps + 1, 2] of a line that changes direction by about `bend` radians a step."""
        turns = heading + np.cumsum(self.rng.normal(0, bend, steps))
        moves = np.stack([np.cos(turns), np.sin(turns)], -1) * (length / steps) * self.rng.uniform(0.6, 1.4, (steps, 1))
        points = np.vstack([np.zeros((1, 2)), np.cumsum(moves, 0)])
        return points + (np.array(start) if start is not None else -points.mean(0))
