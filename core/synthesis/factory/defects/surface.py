"""Defects that change a surface without breaking it: scratch, dent, stain, discolouration."""

from __future__ import annotations

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.defects.spot import Spot
from core.synthesis.factory.scene import Colour


def scratch(spot: Spot) -> None:
    """One to three scored lines: a groove with a raised lip, worn to bare material where it is deep."""
    p, rng, material = spot.patch, spot.rng, spot.material
    length, width = spot.between(0.22, 0.62), spot.between(0.007, 0.017)
    for number in range(int(rng.choice([1, 1, 2, 3]))):
        start = None if number == 0 else tuple(rng.normal(0, 0.04, 2) + (-length / 2, 0))
        line = spot.wander(length * (1.0 if number == 0 else rng.uniform(0.3, 0.7)), 6, 0.09, start)
        distance = shapes.polyline(p.x, p.y, line)
        ends = np.abs(p.x - line[:, 0].mean()) / (length * 0.5)
        depth = np.clip(1.25 - ends * ends, 0.0, 1.0) * (0.75 + 0.25 * np.clip(p.texture("grain", rng, 0.8), -1, 1))
        groove = shapes.cover(distance - width * (0.4 + 0.6 * depth) * 0.5, p.px) * depth * spot.within
        lip = np.clip(1.0 - np.abs(distance - width * 1.2) / (width * 1.2), 0, 1) * spot.within
        p.paint(lip, relief=0.35 * width * depth)
        tone = (0.9 + 0.3 * np.clip(p.texture("white", rng, 1.0), -1, 1)) if material.bright else None
        colour = material.inside if material.bright else tuple(0.55 * c for c in material.inside)
        p.paint(groove * 0.8, colour, tone=tone, gloss=material.gloss, rough=material.rough, metal=material.metal)
        p.paint(groove, relief=-0.9 * width)


def dent(spot: Spot) -> None:
    """A shallow hollow with a soft rim; only its shading tells."""
    p = spot.patch
    radius = spot.between(0.07, 0.2)
    stretch = float(spot.rng.uniform(0.8, 1.25))
    distance = spot.ragged(radius, 0.10, stretch, 3)
    t = np.clip(1.0 + distance / radius, 0.0, 1.6)  # 0 in the middle, 1 at the rim
    hollow = np.exp(-((t / 0.62) ** 2) * 1.6) - 0.22 * np.exp(-(((t - 1.05) / 0.2) ** 2))
    p.paint(spot.within, relief=-hollow * radius * spot.between(0.3, 0.75))
    p.paint(spot.within * np.clip(hollow, 0, 1) * 0.3, tone=0.85)


_SOILS: tuple[tuple[Colour, float], ...] = (
    ((0.22, 0.16, 0.10), 0.25), ((0.12, 0.13, 0.16), 0.35), ((0.38, 0.26, 0.12), 0.2), ((0.20, 0.26, 0.40), 0.1),
    ((0.50, 0.14, 0.10), 0.1), ((0.86, 0.85, 0.80), 0.1), ((0.30, 0.36, 0.22), 0.1),
)  # fmt: skip


def stain(spot: Spot) -> None:
    """Something has dried on the surface: a cloudy patch, often with a darker rim and a few splashes."""
    p, rng = spot.patch, spot.rng
    here = p.maps[:3].reshape(3, -1).mean(1)
    # A soil nobody could tell from the surface is no stain.
    soils = sorted(_SOILS, key=lambda soil: -float(np.abs(np.square(soil[0]) - here).sum()) * rng.uniform(0.4, 1.0))
    colour, sheen = soils[int(rng.integers(3))]
    radius = spot.between(0.07, 0.2)
    cloud = p.texture("cloud", rng, 1.0)
    distance = spot.ragged(radius, 0.3, float(rng.uniform(0.8, 1.3))) + 0.05 * radius * cloud
    inside = shapes.step(-distance, -0.12 * radius, 0.25 * radius)
    rim = np.exp(-(((distance + 0.1 * radius) / (0.14 * radius)) ** 2)) * float(rng.uniform(0.0, 0.6))
    density = np.clip(inside * (0.62 + 0.14 * cloud) + rim * inside, 0, 0.95)
    for _ in range(int(rng.integers(0, 4))):
        angle, away = rng.uniform(0, 6.28), radius * rng.uniform(1.1, 1.7)
        drop = shapes.circle(p.x - away * np.cos(angle), p.y - away * np.sin(angle), radius * rng.uniform(0.05, 0.16))
        density = np.maximum(density, 0.75 * shapes.cover(drop, p.px, 1.5))
    p.paint(density * spot.within, colour, gloss=sheen, rough=0.45)


def discolouration(spot: Spot) -> None:
    """The surface itself has another colour over a soft-edged area: scorched, bleached, oxidised."""
    p, rng = spot.patch, spot.rng
    radius = spot.between(0.13, 0.30)
    distance = spot.ragged(radius, 0.22, float(rng.uniform(0.75, 1.35)))
    area = shapes.step(-distance, -0.35 * radius, 0.45 * radius) * (
        0.92 + 0.08 * np.clip(p.texture("cloud", rng, 1.6), -1, 1)
    )
    bright = float(p.maps[:3].mean())
    tints = [(1.25, 0.80, 0.42), (0.62, 0.50, 0.40), (0.75, 0.95, 1.25)]
    if bright < 0.35:
        tints += [(2.0, 1.9, 1.75), (1.9, 1.4, 0.9)]
    tint = np.array(tints[int(rng.integers(len(tints)))], np.float32)
    p.maps[:3] *= 1.0 + (tint[:, None, None] - 1.0) * (area * spot.within * 0.9)
    p.paint(area * spot.within, rough=0.8)
