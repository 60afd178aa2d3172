"""Mouth of a glass bottle from above: rings of glass that mirror lamps, a dark throat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch, darker

_GLASS = {"brown": (0.42, 0.24, 0.10), "green": (0.16, 0.36, 0.22), "blue": (0.16, 0.30, 0.50)}


def lot(rng: Rng) -> Lot:
    return {
        "glass": str(rng.choice(list(_GLASS))),
        "outer": float(rng.uniform(0.76, 0.84)),
        "lip": float(rng.uniform(0.50, 0.56)),
        "throat": float(rng.uniform(0.34, 0.39)),
        "lamps": int(rng.choice([1, 2, 3])),
        "lamp": float(rng.uniform(0, 6.28)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour = _GLASS[lot["glass"]]
    outer, lip, throat = lot["outer"], lot["lip"], lot["throat"]
    radius, angle = np.sqrt(p.x * p.x + p.y * p.y), np.arctan2(p.y, p.x)
    smoke, cloud = p.texture("smoke", rng, 2.4), p.texture("cloud", rng, 2.0)
    wave = radius + 0.004 * smoke  # blown glass is never quite even
    lamp = _lamps(angle + 0.10 * smoke, lot["lamps"], lot["lamp"] + float(rng.normal(0, 0.12)))
    # Shoulder: thick glass, dark where one looks along the wall, with light caught in rings.
    d = radius - outer
    across = np.clip((wave - lip) / (outer - lip), 0, 1)
    fold = 0.10 + 0.22 * across**3 + 0.10 * np.sin(across * 9.0) ** 2  # light that has wandered through the wall
    caught = 0.9 * np.exp(-(((across - 0.22) / 0.10) ** 2)) + 0.8 * np.exp(-(((across - 0.62) / 0.16) ** 2))
    tone = np.maximum(fold + caught * (0.10 + 1.5 * lamp**2) + 0.03 * cloud, 0.02)
    p.paint(
        shapes.cover(d, p.px), colour, tone=tone, part=1, height=0.14 * shapes.bevel(d, 0.30), gloss=0.35, rough=0.10
    )
    sharp = lamp**2 * (np.exp(-(((across - 0.80) / 0.035) ** 2)) + 0.9 * np.exp(-(((across - 0.30) / 0.03) ** 2)))
    p.paint(np.clip(sharp, 0, 1) * 0.9, (0.97, 0.98, 0.98))
    # Lip: a torus that mirrors the lamps in a bright ring, dark on either side of it.
    ring = np.maximum(throat - radius, radius - lip)
    place = (radius - throat) / (lip - throat)
    torus = np.sqrt(np.maximum(1 - (2 * place - 1) ** 2, 0))
    tone = np.maximum(0.06 + 0.22 * torus + 0.9 * lamp * np.exp(-(((place - 0.32) / 0.14) ** 2)) + 0.02 * cloud, 0.02)
    p.paint(
        shapes.cover(ring, p.px),
        darker(colour, 1.2),
        tone=tone,
        part=2,
        height=0.15 + 0.04 * torus,
        gloss=0.5,
        rough=0.08,
    )
    glint = (0.12 + 0.88 * lamp**2) * np.exp(-(((place - 0.62) / 0.10) ** 2))
    p.paint(np.clip(1.15 * glint, 0, 1), (1.0, 1.0, 1.0))
    # Throat: dark, with the bottom shining through.
    inner = radius - throat
    depth = np.clip(-inner / throat, 0, 1)
    bottom = (
        0.12
        + 0.55 * np.exp(-(((radius - throat * 0.62) / (0.10 * throat)) ** 2)) * (0.3 + lamp)
        + 0.35 * shapes.step(depth, 0.45, 0.8)
    )
    p.paint(
        shapes.cover(inner, p.px),
        colour,
        tone=np.maximum(bottom + 0.03 * cloud, 0.02),
        part=3,
        height=0.13 - 0.05 * shapes.step(depth, 0, 0.2),
        gloss=0.15,
        rough=0.2,
    )
    return {"colours": {"glass": lot["glass"]}, "counts": {}}


def _lamps(angle: np.ndarray, count: int, turn: float) -> np.ndarray:
    """Share of a lamp seen in each direction: soft boxes around the bottle."""
    local = (angle - turn + math.pi) % (2 * math.pi / count) - math.pi / count
    width = {1: 1.0, 2: 0.62, 3: 0.5}[count]
    return 1 / (1 + np.exp((np.abs(local) - width) * 11))


PRODUCT = Product(
    name="glass_bottle",
    words="glass bottle seen from above",
    category="glass",
    parts=(Part("shoulder", "glass"), Part("lip", "glass"), Part("throat", "glass")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "paper", "bench"),
    symmetry=0,
    defects={
        "crack": ("lip", "shoulder"),
        "broken edge": ("shoulder",),
        "scratch": ("shoulder", "lip"),
        "stain": ("shoulder", "lip"),
        "foreign object": ("throat", "lip"),
        "thread": ("throat", "shoulder"),
        "hole": ("shoulder",),
    },
    good="The rings of the bottle are round, closed and concentric, the glass is clean and the throat is empty.",
    looks={
        "crack": "A jagged dark line breaks through the bright rings.",
        "broken edge": "A piece of the glass rim has splintered off.",
        "scratch": "A thin line interrupts the smooth reflections.",
        "stain": "A dull blotch hides the shine of the glass.",
        "foreign object": "Something solid lies in or on the mouth of the bottle.",
        "thread": "A curled fibre lies over the glass.",
        "hole": "An opening with splintered edges goes through the shoulder.",
    },
    effects={
        "crack": "The bottle bursts when it is filled under pressure.",
        "broken edge": "Glass splinters may be in the bottle, which is a danger to the consumer.",
        "scratch": "The glass is weakened at the line and the bottle looks worn.",
        "stain": "The bottle was not washed properly and is sorted out.",
        "foreign object": "The filled drink would be contaminated.",
        "thread": "Textile in a bottle means it has to be washed again.",
        "hole": "The bottle leaks and cannot be filled.",
    },
    purpose="hold drinks",
)
