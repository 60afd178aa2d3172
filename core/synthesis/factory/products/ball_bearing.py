"""Ball bearing from the side: two steel rings, a cage and a circle of balls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_STEEL = (0.78, 0.79, 0.80)
_CAGES = {
    "golden yellow": ((0.80, 0.62, 0.30), 0.8),
    "black": ((0.12, 0.12, 0.13), 0.0),
    "silver grey": ((0.66, 0.67, 0.68), 0.7),
}


def lot(rng: Rng) -> Lot:
    return {
        "balls": int(rng.integers(7, 12)),
        "outer": float(rng.uniform(0.76, 0.82)),
        "bore": float(rng.uniform(0.26, 0.34)),
        "cage": str(rng.choice(list(_CAGES))),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    outer, bore = lot["outer"], lot["bore"]
    race_out, race_in = outer - 0.15, bore + 0.14
    middle, width = (race_out + race_in) / 2, (race_out - race_in) / 2
    radius = np.sqrt(p.x * p.x + p.y * p.y)
    # Rings are turned on a lathe: fine circular grooves.
    turned = np.sin(radius * (2 * math.pi / 0.03) + 0.8 * p.texture("smoke", rng, 2.0))
    lathe = 0.00012 * turned + 0.00008 * p.texture("cloud", rng, 1.5)
    fan = 1 + 0.22 * np.cos(2 * (np.arctan2(p.y, p.x) - float(rng.uniform(0, math.pi)))) + 0.03 * turned
    whole = radius - outer
    p.paint(
        shapes.cover(np.maximum(whole, bore - radius), p.px),
        (0.16, 0.16, 0.17),
        height=0.05,
        gloss=0.2,
        metal=0.4,
        part=4,
    )
    for near, far, part in ((race_out, outer, 1), (bore, race_in, 2)):
        d = np.maximum(near - radius, radius - far)
        p.paint(
            shapes.cover(d, p.px),
            _STEEL,
            tone=fan,
            part=part,
            height=0.05 + 0.17 * shapes.bevel(d, 0.03) + lathe,
            gloss=0.5,
            rough=0.25,
            metal=0.95,
        )
    colour, metal = _CAGES[lot["cage"]]
    band = np.abs(radius - middle) - width * 0.5
    p.paint(
        shapes.cover(band, p.px),
        colour,
        part=4,
        height=0.12 + 0.02 * shapes.bevel(band, 0.03),
        gloss=0.35,
        rough=0.4,
        metal=metal,
        tone=1 + 0.03 * p.texture("grain", rng, 1.2),
    )
    n = lot["balls"]
    gone, moved = plan.pick("missing part", "ball", n), plan.pick("misplaced part", "ball", n)
    spin = float(rng.uniform(0, 2 * math.pi))
    size = min(width * 0.92, math.pi * middle / n * 0.80)
    for k in range(n):
        angle = spin + 2 * math.pi * k / n
        if k == moved:
            angle += plan.between(0.18, 0.42) * 2 * math.pi / n
        q = p.at(middle * math.cos(angle), middle * math.sin(angle), size * 1.3, angle)
        pocket = shapes.circle(q.x, q.y, size * 1.1)
        if k == gone:
            q.paint(shapes.cover(pocket, q.px), (0.07, 0.07, 0.07), height=0.03, metal=0.1, gloss=0.05, part=4)
            continue
        q.paint(shapes.cover(pocket, q.px) * 0.75, (0.10, 0.10, 0.10), metal=0.2)
        d = shapes.circle(q.x, q.y, size)
        dome = np.sqrt(np.maximum(1 - ((d + size) / size) ** 2, 0))
        q.paint(
            shapes.cover(d, q.px),
            (0.90, 0.91, 0.92),
            part=3,
            height=0.08 + size * dome * 0.85,
            gloss=0.8,
            rough=0.08,
            metal=0.97,
        )
    return {"colours": {"cage": lot["cage"]}, "counts": {"ball": n - (gone >= 0)}}


PRODUCT = Product(
    name="ball_bearing",
    words="ball bearing",
    category="metal",
    parts=(Part("outer ring", "steel"), Part("inner ring", "steel"), Part("ball", "steel"), Part("cage", "brass")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "paper", "dark", "bench"),
    symmetry=0,
    defects={
        "missing part": ("ball",),
        "misplaced part": ("ball",),
        "scratch": ("outer ring", "inner ring"),
        "dent": ("outer ring",),
        "broken edge": ("outer ring",),
        "stain": ("outer ring", "inner ring"),
        "discolouration": ("outer ring",),
        "foreign object": ("ball", "cage"),
        "crack": ("outer ring", "inner ring"),
    },
    good="Two bright concentric rings hold a full circle of evenly spaced balls in a clean cage.",
    looks={
        "missing part": "One pocket of the cage is empty and dark, the gap breaks the circle of balls.",
        "misplaced part": "One ball has left its even spacing and sits close to its neighbour.",
        "scratch": "A thin line is scored across the turned face of a ring.",
        "dent": "A soft hollow in the ring bends the reflections that otherwise run in circles.",
        "broken edge": "A piece of the ring's rim has broken off and a rough grey face shows.",
        "stain": "A dull blotch of old grease or dirt sticks to a ring.",
        "discolouration": "Part of the ring has turned brownish or bluish.",
        "foreign object": "A chip or crumb lies between the rings.",
        "crack": "A dark jagged line crosses the ring.",
    },
    effects={
        "missing part": "The load is carried by too few balls and the bearing wears out early.",
        "misplaced part": "The bearing runs rough and blocks under load.",
        "scratch": "Grease and dirt collect in the groove and the ring wears from there.",
        "dent": "The ring is out of round and the bearing vibrates.",
        "broken edge": "The ring no longer seats in its housing.",
        "stain": "Aged grease must be washed out before the bearing can be filled.",
        "discolouration": "The steel was overheated and has lost hardness.",
        "foreign object": "The particle is rolled into the raceway and ruins it.",
        "crack": "The ring bursts under load, so the bearing is scrap.",
    },
    purpose="let a shaft turn with little friction",
)
