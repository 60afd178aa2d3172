"""Defects that lie on the product: foreign object, thread."""

from __future__ import annotations

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.defects.spot import Spot
from core.synthesis.factory.scene import HEIGHT, Colour

_CHIPS: tuple[tuple[str, Colour, float, float], ...] = (
    ("metal chip", (0.75, 0.76, 0.78), 0.7, 0.8),
    ("brass chip", (0.80, 0.66, 0.35), 0.6, 0.8),
    ("plastic bit", (0.75, 0.15, 0.12), 0.5, 0.0),
    ("plastic bit", (0.15, 0.35, 0.65), 0.5, 0.0),
    ("plastic bit", (0.85, 0.78, 0.20), 0.5, 0.0),
    ("dark crumb", (0.12, 0.10, 0.09), 0.1, 0.0),
    ("light crumb", (0.88, 0.84, 0.76), 0.1, 0.0),
)


def foreign_object(spot: Spot) -> None:
    """A small solid thing (chip, bit of plastic, crumb) that lies on top and casts a shadow."""
    p, rng = spot.patch, spot.rng
    here = p.maps[:3].reshape(3, -1).mean(1)
    chips = sorted(_CHIPS, key=lambda c: -float(np.abs(np.square(c[1]) - here).sum()) * rng.uniform(0.5, 1.0))
    _, colour, gloss, metal = chips[int(rng.integers(4))]
    radius = spot.between(0.035, 0.095)
    stretch = float(rng.uniform(1.0, 1.6))
    distance = spot.ragged(radius, 0.2, stretch, 4)
    for _ in range(2):
        angle = rng.uniform(0, 6.28)
        distance = np.maximum(distance, p.x * np.cos(angle) + p.y * np.sin(angle) - radius * rng.uniform(0.5, 0.9))
    body = shapes.cover(distance, p.px)
    thickness = radius * float(rng.uniform(0.5, 0.9))
    profile = shapes.bevel(distance, radius * 0.5) * (1 + 0.12 * p.texture("cloud", rng, 0.8))
    p.paint(body, colour, tone=np.maximum(1 + 0.18 * p.texture("grain", rng, 0.8), 0.2),
            height=p.maps[HEIGHT] + thickness * profile, gloss=gloss, rough=0.5, metal=metal)  # fmt: skip


_YARNS: tuple[Colour, ...] = (
    (0.85, 0.83, 0.78),
    (0.15, 0.15, 0.17),
    (0.65, 0.14, 0.14),
    (0.18, 0.28, 0.55),
    (0.60, 0.50, 0.35),
)


def thread(spot: Spot) -> None:
    """A curled fibre lies loosely on the surface; twisted plies show along it."""
    p, rng = spot.patch, spot.rng
    here = p.maps[:3].reshape(3, -1).mean(1)
    colour = max(_YARNS, key=lambda yarn: float(np.abs(np.square(yarn) - here).sum()) * rng.uniform(0.4, 1.0))
    length, width = spot.between(0.35, 0.9), spot.between(0.011, 0.024)
    # A curl: the direction itself drifts, so loops form.
    drift = np.cumsum(rng.normal(0, 0.10, 26)) + rng.normal(0, 0.12)
    angles = np.cumsum(drift) * 0.55 + rng.uniform(0, 6.28)
    points = np.vstack([[0, 0], np.cumsum(np.stack([np.cos(angles), np.sin(angles)], -1) * length / 26, 0)])
    points -= points.mean(0)
    distance = shapes.polyline(p.x, p.y, points)
    body = shapes.cover(distance - width * 0.5, p.px)
    twist = 1 + 0.2 * np.sin((p.x + p.y * 0.7) * (2.6 / width))
    p.paint(body, colour, tone=twist, gloss=0.1, rough=0.8, metal=0.0,
            height=p.maps[HEIGHT] + width * 0.8 * shapes.bevel(distance - width * 0.5, width * 0.5) + 0.4 * width)  # fmt: skip
