"""Defects that break a surface: crack, hole, broken edge."""

from __future__ import annotations

import math

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.defects.spot import Spot
from core.synthesis.factory.scene import HEIGHT


def crack(spot: Spot) -> None:
    """A jagged dark gap that thins out at its ends and may fork; its lips catch the light."""
    p, rng = spot.patch, spot.rng
    length, width = spot.between(0.24, 0.66), spot.between(0.006, 0.017)
    trunk = spot.wander(length, 11, 0.5)
    lines = [(trunk, 1.0)]
    for _ in range(int(rng.integers(0, 3))):
        root = trunk[int(rng.integers(3, 9))]
        lines.append(
            (spot.wander(length * rng.uniform(0.2, 0.45), 6, 0.5, tuple(root), rng.choice([-1, 1]) * 0.9), 0.65)
        )
    gap, lip = np.zeros_like(p.x), np.zeros_like(p.x)
    for line, share in lines:
        distance = shapes.polyline(p.x, p.y, line)
        middle = trunk.mean(0)
        taper = np.clip(1.3 - np.hypot(p.x - middle[0], p.y - middle[1]) / (0.55 * length), 0.15, 1.0)
        half = width * share * taper * 0.5
        gap = np.maximum(gap, shapes.cover(distance - half, p.px))
        lip = np.maximum(lip, np.clip(1.0 - distance / (3.5 * width), 0, 1) * share)
    p.paint(lip * spot.within, relief=0.4 * width)
    p.paint(gap * spot.within, spot.material.dark, gloss=0.02, rough=0.9, metal=0.0)
    p.paint(gap * spot.within, relief=-1.6 * width)


def hole(spot: Spot) -> None:
    """Material is gone: one looks at the dark below, framed by a torn or drilled edge."""
    p, rng = spot.patch, spot.rng
    radius = spot.between(0.035, 0.105)
    distance = spot.ragged(radius, 0.16, float(rng.uniform(0.85, 1.2)))
    distance = distance + radius * 0.05 * p.texture("grain", rng, 0.8)
    rim = shapes.cover(distance - 0.22 * radius, p.px, 2.0) * spot.within
    p.paint(rim, spot.material.inside, gloss=spot.material.gloss, rough=spot.material.rough, metal=spot.material.metal)
    p.paint(rim, relief=0.06 * radius)
    inner = shapes.cover(distance, p.px) * spot.within
    base = p.maps[HEIGHT]
    p.paint(inner, spot.material.dark, height=np.minimum(base, base - radius * 0.8), gloss=0.02, rough=0.9, metal=0.0)


def broken_edge(spot: Spot) -> None:
    """A piece is chipped off the outline: the ground shows there, and a rough fresh face borders it."""
    p, rng = spot.patch, spot.rng
    radius = spot.between(0.07, 0.2)
    distance = spot.ragged(radius, 0.25, float(rng.uniform(0.85, 1.3)), 7)
    # A break has facets: straight cuts through the blob.
    for _ in range(3):
        angle = spot.heading + rng.normal(0, 0.8)
        cut = p.x * math.cos(angle) + p.y * math.sin(angle) - radius * rng.uniform(0.55, 0.95)
        distance = np.maximum(distance, cut)
    distance = distance + radius * 0.05 * p.texture("grain", rng, 0.9)
    face_width = radius * float(rng.uniform(0.22, 0.4))
    face = shapes.cover(distance, p.px) * spot.within
    fall = np.clip(-distance / face_width, 0, 1)
    material = spot.material
    tone = 0.85 + 0.12 * p.texture("crumb", rng, 0.9)
    height = p.maps[HEIGHT] * (1 - fall) + spot.ground[HEIGHT] * fall
    p.paint(face, material.inside, tone=np.maximum(tone, 0.3), height=height, gloss=material.gloss * 0.6,
            rough=material.rough, metal=material.metal)  # fmt: skip
    p.paint(face, relief=0.004 * p.texture("grain", rng, 0.7))
    gone = shapes.cover(distance + face_width, p.px) * spot.within
    p.maps += (spot.ground - p.maps) * gone
    p.parts[gone > 0.5] = 0
