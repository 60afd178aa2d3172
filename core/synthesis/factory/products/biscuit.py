"""Round baked biscuit with a scalloped rim, pricked holes and chocolate chips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Patch

_DOUGHS = {"golden": (0.86, 0.68, 0.42), "light brown": (0.78, 0.57, 0.34), "dark brown": (0.45, 0.29, 0.19)}


def lot(rng: Rng) -> Lot:
    return {
        "dough": str(rng.choice(list(_DOUGHS))),
        "radius": float(rng.uniform(0.72, 0.80)),
        "scallops": int(rng.integers(16, 27)),
        "wave": float(rng.uniform(0.008, 0.028)),
        "chips": int(rng.integers(4, 10)),
        "holes": bool(rng.random() < 0.6),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour = _DOUGHS[lot["dough"]]
    radius = np.sqrt(p.x * p.x + p.y * p.y)
    angle = np.arctan2(p.y, p.x)
    wobble = 0.012 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.008 * np.cos(3 * angle + rng.uniform(0, 6))
    d = radius - lot["radius"] - lot["wave"] * np.cos(lot["scallops"] * angle) - wobble
    d = d + 0.004 * p.texture("cloud", rng, 0.8)
    crumb, cloud, grain = p.texture("crumb", rng, 1.1), p.texture("cloud", rng, 1.6), p.texture("grain", rng, 1.2)
    baked = np.clip(1 - (-d / 0.2), 0, 1)  # the rim browns first
    tone = 1.05 + 0.07 * cloud + 0.04 * grain - 0.42 * baked**2 - 0.05 * np.maximum(crumb, 0)
    dome = 0.16 * shapes.bevel(d, 0.16) + 0.02 * np.cos(radius * 1.4)
    height = dome + 0.005 * cloud + 0.0035 * grain - 0.003 * np.maximum(crumb - 0.5, 0)
    p.paint(
        shapes.cover(d, p.px, 1.4), colour, tone=np.maximum(tone, 0.15), part=1, height=height, gloss=0.06, rough=0.8
    )
    warm = np.clip(0.5 * baked**2 + 0.08 * cloud, 0, 0.6) * shapes.cover(d, p.px)
    p.paint(warm, tuple(c * k for c, k in zip(colour, (0.78, 0.62, 0.48), strict=True)))
    if lot["holes"]:
        for k in range(7):
            a, r = (k * math.pi / 3, lot["radius"] * 0.36) if k < 6 else (0.0, 0.0)
            q = p.at(r * math.cos(a), r * math.sin(a), 0.05)
            hole = shapes.circle(q.x, q.y, 0.018)
            q.paint(shapes.cover(hole, q.px, 2.0), tuple(0.5 * c for c in colour), relief=-0.05, part=3)
    placed = _spread(rng, lot["chips"], lot["radius"] * 0.74)
    gone = plan.pick("missing part", "chip", len(placed))
    for k, (x, y) in enumerate(placed):
        own = fork(rng)
        size, turn, bits = float(own.uniform(0.055, 0.085)), float(own.uniform(0, 6.28)), own.normal(0, 1, 6)
        if k == gone:
            # Where a chip fell out, its socket stays.
            q = p.at(x, y, size * 2, turn)
            socket = shapes.ellipse(q.x, q.y, size * 0.95, size * 0.78)
            q.paint(
                shapes.cover(socket, q.px, 2),
                tuple(0.72 * c for c in colour),
                relief=-0.6 * size * shapes.bevel(socket, size),
            )
            q.parts[socket < 0] = 1
            continue
        q = p.at(x, y, size * 2.2, turn)
        a = np.arctan2(q.y, q.x)
        d = shapes.ellipse(q.x, q.y, size, size * 0.8) - size * 0.10 * (
            bits[0] * np.cos(2 * a) + bits[1] * np.cos(3 * a + bits[2])
        )
        ring = np.clip(1 - np.abs(d) / 0.03, 0, 1)
        q.paint(ring, relief=0.012)  # dough swells around a chip
        q.paint(
            shapes.cover(d, q.px),
            (0.27, 0.16, 0.11),
            tone=np.maximum(1 + 0.12 * q.texture("grain", own, 1.0), 0.3),
            part=2,
            height=0.17 + 0.45 * size * shapes.bevel(d, size * 0.7),
            gloss=0.35,
            rough=0.5,
        )
    seen = lot["chips"] - (gone >= 0)
    return {"colours": {"dough": lot["dough"]}, "counts": {"chip": seen}}


def _spread(rng: Rng, count: int, reach: float) -> list[tuple[float, float]]:
    """Places within a disc that keep their distance from each other."""
    places: list[tuple[float, float]] = []
    for _ in range(200):
        r, a = reach * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        x, y = float(r * math.cos(a)), float(r * math.sin(a))
        if all(math.hypot(x - u, y - v) > 0.24 for u, v in places):
            places.append((x, y))
        if len(places) == count:
            break
    return places


PRODUCT = Product(
    name="biscuit",
    words="chocolate chip biscuit",
    category="food",
    parts=(Part("dough", "dough"), Part("chip", "chocolate"), Part("pricked hole", "dough")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "bench", "mat", "wood"),
    symmetry=0,
    defects={
        "crack": ("dough",),
        "broken edge": ("dough",),
        "hole": ("dough",),
        "discolouration": ("dough",),
        "stain": ("dough",),
        "missing part": ("chip",),
        "foreign object": ("dough",),
        "thread": ("dough",),
    },
    good="The biscuit is round with an even scalloped rim, baked to one shade, and its chocolate chips are all in place.",
    looks={
        "crack": "A dark jagged gap runs through the baked dough.",
        "broken edge": "A piece is missing from the rim and the pale crumb inside shows.",
        "hole": "An opening with pale crumb around it goes deep into the dough.",
        "discolouration": "An area is scorched dark or has stayed pale, with a soft outline.",
        "stain": "A smear of something else than dough or chocolate lies on the surface.",
        "missing part": "An empty socket in the dough shows where a chocolate chip fell out.",
        "foreign object": "A hard particle that is neither dough nor chocolate lies on the biscuit.",
        "thread": "A curled fibre lies on the baked surface.",
    },
    effects={
        "crack": "The biscuit falls apart during packing.",
        "broken edge": "The biscuit is short of its weight and leaves crumbs in the pack.",
        "hole": "Moisture gets in and the biscuit turns stale early.",
        "discolouration": "Uneven heat in the oven makes it taste burnt or raw.",
        "stain": "Contact with lubricant or dirt makes it unfit to eat.",
        "missing part": "The recipe promised on the pack is not met.",
        "foreign object": "It can injure somebody's teeth, so the batch has to be held.",
        "thread": "A textile fibre in food is a hygiene complaint.",
    },
    purpose="be eaten",
)
