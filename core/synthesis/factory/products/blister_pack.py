"""Blister pack: clear pockets on printed foil, a tablet in each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Patch, darker

_TABLETS = {
    "white": (0.95, 0.94, 0.92),
    "pink": (0.90, 0.62, 0.62),
    "yellow": (0.92, 0.82, 0.42),
    "blue": (0.45, 0.60, 0.82),
}


def lot(rng: Rng) -> Lot:
    columns, rows = ((2, 4), (3, 4), (2, 5), (3, 3))[int(rng.integers(4))]
    return {
        "tablet": str(rng.choice(list(_TABLETS))),
        "grid": (columns, rows),
        "long": bool(rng.random() < 0.5),
        "half": (0.30 * columns if columns == 2 else 0.24 * columns, 0.80),
        "score": bool(rng.random() < 0.6),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    (columns, rows), (w, h) = lot["grid"], lot["half"]
    d = shapes.box(p.x, p.y, w, h, 0.08)
    # Sealed foil carries a fine raster of embossed points.
    raster = np.sin(p.x * 150) * np.sin(p.y * 150)
    cloud, smoke = p.texture("cloud", rng, 1.6), p.texture("smoke", rng, 2.5)
    p.paint(
        shapes.cover(d, p.px),
        (0.80, 0.80, 0.81),
        tone=1 + 0.03 * cloud,
        part=1,
        gloss=0.5,
        rough=0.35,
        metal=0.75,
        height=0.05 * shapes.bevel(d, 0.01) + 0.0006 * raster + 0.0045 * smoke + 0.0006 * cloud,
    )
    step_x, step_y = 2 * w / columns, 2 * h / rows
    a = min(step_x, step_y) * (0.36 if not lot["long"] else 0.30)
    b = a if not lot["long"] else min(step_x * 0.40, a * 1.45)
    number = columns * rows
    gone, moved, broken = (
        plan.pick("missing part", "tablet", number),
        plan.pick("misplaced part", "tablet", number),
        plan.pick("broken edge", "tablet", number),
    )
    for k in range(number):
        own = fork(rng)
        x, y = ((k % columns) + 0.5) * step_x - w, ((k // columns) + 0.5) * step_y - h
        q = p.at(x, y, max(a, b) * 1.6)
        wall = shapes.ellipse(q.x, q.y, b * 1.24, a * 1.24)
        dome = shapes.bevel(wall, a * 0.5)
        q.paint(shapes.cover(wall, q.px), tone=0.80 + 0.12 * dome, height=0.05 + 0.02 * dome, part=3)
        turn = float(own.normal(0, 0.05)) + float(own.uniform(-0.1, 0.1))
        dx, dy = own.normal(0, 0.05, 2) * a
        if k == moved:
            if lot["long"]:
                turn += float(plan.rng.choice([-1, 1])) * plan.between(0.35, 1.1)
            dx, dy = (
                dx + plan.between(0.10, 0.22) * b * float(plan.rng.choice([-1, 1])),
                dy + plan.between(0.08, 0.2) * a,
            )
        if k != gone:
            _tablet(
                q.at(float(dx), float(dy), max(a, b) * 1.4, turn),
                b,
                a,
                _TABLETS[lot["tablet"]],
                lot["score"],
                own,
                k == broken,
                plan,
            )
        # The clear pocket over it: a ring of refraction and a window of light.
        ring = np.exp(-(((wall + 0.10 * a) / (0.09 * a)) ** 2))
        q.paint(ring * 0.22, (0.95, 0.96, 0.97), relief=0.10 * a, gloss=0.8, rough=0.15)
        glint = np.exp(-(((wall + 0.16 * a) / (0.05 * a)) ** 2)) * np.clip(-(q.x + 1.4 * q.y) / (1.6 * a), 0, 1) ** 1.5
        q.paint(np.clip(1.3 * glint, 0, 0.9), (1.0, 1.0, 1.0))
        q.paint(shapes.cover(wall, q.px) * 0.06, (0.9, 0.95, 1.0))
    cross = np.minimum(
        np.abs((p.x + w) / step_x % 1 - 0.5) * -step_x + step_x / 2,
        np.abs((p.y + h) / step_y % 1 - 0.5) * -step_y + step_y / 2,
    )
    p.paint(
        shapes.cover(cross - 0.006, p.px) * shapes.cover(d + 0.03, p.px) * 0.35 * (np.sin((p.x + p.y) * 110) > 0),
        tone=0.6,
        relief=-0.004,
    )
    return {"colours": {"tablet": lot["tablet"]}, "counts": {"tablet": number - (gone >= 0)}}


def _tablet(q: Patch, b: float, a: float, colour: tuple, score: bool, rng: Rng, broken: bool, plan: Plan) -> None:  # type: ignore[type-arg]
    d = shapes.ellipse(q.x, q.y, b, a)
    grain = q.texture("grain", rng, 1.2)
    if broken:
        cut = (
            q.x * math.cos(0.6)
            + q.y * math.sin(0.6)
            - plan.between(0.62, 0.15) * a
            + 0.02 * q.texture("cloud", rng, 0.7)
        )
        d = np.maximum(d, cut)
    height = 0.06 + a * 0.42 * np.sqrt(np.clip(-d / (a * 0.8), 0, 1)) + 0.0006 * grain
    q.paint(
        shapes.cover(d, q.px), colour, tone=1 + 0.025 * grain, part=2, height=height, gloss=0.15, rough=0.55, metal=0.0
    )
    if score:
        line = shapes.cover(np.abs(q.x) - 0.012, q.px, 1.5) * shapes.cover(d + 0.02, q.px)
        q.paint(line, darker(colour, 0.9), relief=-0.018)


PRODUCT = Product(
    name="blister_pack",
    words="blister pack of tablets",
    category="plastic",
    parts=(Part("foil", "foil"), Part("tablet", "tablet"), Part("pocket", "plastic")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("bench", "dark", "mat", "white"),
    symmetry=180,
    defects={
        "missing part": ("tablet",),
        "misplaced part": ("tablet",),
        "broken edge": ("tablet",),
        "hole": ("foil",),
        "stain": ("foil", "tablet"),
        "foreign object": ("pocket", "tablet"),
        "scratch": ("foil",),
        "thread": ("foil",),
        "discolouration": ("tablet",),
    },
    good="Every pocket holds one whole tablet of the same colour, and the foil between them is flat and closed.",
    looks={
        "missing part": "One pocket is empty, bare foil is seen through it.",
        "misplaced part": "One tablet lies askew or off the middle of its pocket.",
        "broken edge": "A tablet is chipped: a straight or ragged piece of it is gone.",
        "hole": "The foil is pierced by a dark opening.",
        "stain": "A blotch of another substance lies on foil or tablet.",
        "foreign object": "A particle that is no tablet lies in or over a pocket.",
        "scratch": "A thin line is scored through the embossed foil.",
        "thread": "A curled fibre lies over the pack.",
        "discolouration": "A tablet has another shade over part of its face.",
    },
    effects={
        "missing part": "The patient gets one dose too few, so the pack is rejected.",
        "misplaced part": "The sealing tool can crush the tablet.",
        "broken edge": "The dose is no longer right.",
        "hole": "Moisture reaches the tablets and spoils them.",
        "stain": "Contamination of a medicine stops the batch.",
        "foreign object": "Something unknown would be swallowed with the medicine.",
        "scratch": "The foil may be thin or leaky along the line.",
        "thread": "If it lies in the seal, the pocket leaks.",
        "discolouration": "The active substance may have aged or the mixture was uneven.",
    },
    purpose="protect and dose medicine",
)
