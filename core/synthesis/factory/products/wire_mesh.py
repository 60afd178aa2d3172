"""Woven wire mesh over a bright ground: crimped steel wires that pass over and under each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_WIRES = {"silver grey": (0.74, 0.75, 0.77), "dark grey": (0.42, 0.43, 0.45), "golden yellow": (0.80, 0.64, 0.36)}


def lot(rng: Rng) -> Lot:
    return {
        "wire": str(rng.choice(list(_WIRES))),
        "pitch": float(rng.uniform(0.15, 0.24)),
        "thick": float(rng.uniform(0.15, 0.20)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    pitch, half = lot["pitch"], lot["pitch"] * lot["thick"]
    colour = _WIRES[lot["wire"]]
    phase = rng.uniform(0, 1, 2)
    sway = 0.02 * p.texture("smoke", rng, 5.0), 0.02 * p.texture("smoke", rng, 5.0)
    u, v = p.x / pitch + phase[0] + 32 + sway[0], p.y / pitch + phase[1] + 32 + sway[1]
    index_u, index_v = np.floor(u), np.floor(v)
    dx, dy = (u - index_u - 0.5) * pitch, (v - index_v - 0.5) * pitch
    count = int(1.6 / pitch)
    hit = 32 + int(plan.rng.integers(-count // 2, count // 2 + 1))
    start = float(plan.rng.uniform(-0.7, 0.3))
    gap = (index_u == hit) & (p.y > start) & (p.y < start + plan.between(0.6, 2.4) * pitch)
    if plan.befalls("misplaced part", "wire"):  # a wire pushed aside
        middle, reach = start + 0.3, 1.6 * pitch
        push = plan.between(0.16, 0.34) * pitch * np.exp(-(((p.y - middle) / reach) ** 2) * 2)
        dx = np.where(index_u == hit, dx - push, dx)
    texture = p.texture("fibre", rng, 0.8)
    parity = (index_u + index_v) % 2
    # The crimp: a wire is high where it crosses over, low where it dives.
    crimp_v = np.cos(np.pi * (v - index_v - 0.5)) * np.where(parity == 0, 1, -1)
    crimp_h = -np.cos(np.pi * (u - index_u - 0.5)) * np.where(parity == 0, 1, -1)
    for number, (distance, crimp, part) in enumerate(((dx, crimp_v, 1), (dy, crimp_h, 2))):
        d = np.abs(distance) - half
        there = shapes.cover(d, p.px)
        if number == 0 and plan.befalls("missing part", "wire"):
            there = there * ~gap
        round_wire = half * np.sqrt(np.maximum(1 - (distance / half) ** 2, 0))
        height = 0.10 + 0.9 * half * crimp + round_wire
        over = there * (height > p.maps[3]) if number else there
        p.paint(
            over,
            colour,
            tone=0.9 + 0.10 * crimp + 0.04 * texture,
            part=part,
            height=height + 0.0003 * texture,
            gloss=0.5,
            rough=0.35,
            metal=0.9,
        )
    return {"colours": {"wire": lot["wire"]}, "counts": {}}


PRODUCT = Product(
    name="wire_mesh",
    words="woven wire mesh",
    category="metal",
    parts=(Part("wire", "steel"), Part("cross wire", "steel")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("white", "paper", "dark"),
    symmetry=90,
    size=(0.9, 1.1),
    defects={
        "missing part": ("wire",),
        "misplaced part": ("wire",),
        "stain": ("wire",),
        "thread": ("wire",),
        "foreign object": ("wire", "cross wire"),
        "discolouration": ("wire",),
    },
    good="Wires of one thickness cross at right angles and leave square openings of equal size.",
    looks={
        "missing part": "A wire is cut and absent over some openings, so that they join to a larger one.",
        "misplaced part": "A wire is pushed aside: one row of openings is narrow, the next one wide.",
        "stain": "A blotch of grease or paint sticks to the wires.",
        "thread": "A textile thread is caught in the mesh.",
        "foreign object": "A particle is stuck between the wires.",
        "discolouration": "Wires of one area have turned brown or bluish.",
    },
    effects={
        "missing part": "Oversize grains pass the sieve.",
        "misplaced part": "The sieve no longer separates by size.",
        "stain": "Openings clog and the flow is hindered.",
        "thread": "The thread ends up in the sieved product.",
        "foreign object": "The opening is blocked and the mesh strained.",
        "discolouration": "The wires were overheated or are beginning to rust.",
    },
    purpose="sieve grains or protect openings",
)
