"""Countersunk wood screw lying on the table: head, shank, thread and tip."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_FINISHES = {"silver grey": (0.76, 0.77, 0.79), "golden yellow": (0.82, 0.68, 0.38), "black": (0.20, 0.20, 0.21)}


def lot(rng: Rng) -> Lot:
    return {
        "finish": str(rng.choice(list(_FINISHES))),
        "shank": float(rng.uniform(0.085, 0.11)),
        "head": float(rng.uniform(0.21, 0.26)),
        "pitch": float(rng.uniform(0.085, 0.12)),
        "smooth": float(rng.uniform(0.25, 0.5)),
        "depth": float(rng.uniform(0.045, 0.065)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour, r0 = _FINISHES[lot["finish"]], lot["shank"]
    top, tip = -0.86, 0.86
    y = p.y
    # Radius of the body along its axis: head cone, shank, thread, tip.
    cone = np.clip((top + 0.22 - y) / 0.22, 0, 1)
    core = r0 + (lot["head"] - r0) * cone
    start = top + 0.24 + lot["smooth"]
    ending = np.clip((tip - y) / 0.22, 0, 1)
    threaded = shapes.step(y, start, start + 0.06)
    bent = np.zeros_like(y)
    if plan.befalls("misplaced part", "thread"):  # the screw is bent
        bent = (
            plan.between(0.06, 0.20) * np.clip((y - start) / (tip - start), 0, 1) ** 2 * float(plan.rng.choice([-1, 1]))
        )
    x = p.x - bent
    if plan.befalls("missing part", "tip"):
        cut = tip - plan.between(0.12, 0.34)
        ending = np.where(y > cut + 0.02 * np.sin(x * 60), 0.0, ending)
    turn = float(rng.uniform(0, 1))
    # The flank of a helix seen from the side: slanted ridges with sharp crests.
    phase = y / lot["pitch"] + turn + 0.5 * np.clip(x / (r0 + lot["depth"]), -1, 1)
    crest = np.clip(1 - np.abs((phase - np.floor(phase)) - 0.5) * 4.6, 0, 1)
    flat = np.zeros_like(y)
    if plan.befalls("missing part", "thread"):
        where = start + 0.1 + float(plan.rng.uniform(0.05, 0.5)) * (tip - start - 0.35)
        flat = ((y > where) & (y < where + plan.between(0.08, 0.28))).astype(np.float32)
    core_r = np.where(threaded > 0.5, r0 * 0.80, core) * np.sqrt(ending)
    full = core_r + lot["depth"] * threaded * crest * np.sqrt(ending) * (1 - 0.95 * flat)
    d = np.maximum(np.abs(x) - full, np.maximum(top - y, y - tip))
    across = np.clip(np.abs(x) / np.maximum(full, 1e-3), 0, 1)
    height = full * np.sqrt(1 - across * across) + 0.02
    height = height + 0.00025 * p.texture("streak", rng, 0.8) + 0.0003 * p.texture("cloud", rng, 0.9)
    tone = 1 + 0.05 * p.texture("grain", rng, 1.2) - 0.25 * threaded * (1 - crest)
    p.paint(
        shapes.cover(d, p.px),
        colour,
        tone=np.maximum(tone, 0.2),
        part=2,
        height=height,
        gloss=0.45,
        rough=0.35,
        metal=0.92,
    )
    solid = d < 0
    p.parts[solid & (y < top + 0.22)] = 1
    p.parts[solid & (y > start)] = 3
    p.parts[solid & (y > tip - 0.2)] = 4
    rim = np.maximum(np.abs(x) - lot["head"], np.abs(y - top - 0.012) - 0.014)
    p.paint(
        shapes.cover(rim, p.px),
        colour,
        part=1,
        height=0.03 + lot["head"] * np.sqrt(np.maximum(1 - (x / lot["head"]) ** 2, 0)),
        tone=0.8,
        gloss=0.5,
        rough=0.3,
        metal=0.92,
    )
    return {"colours": {"screw": lot["finish"]}, "counts": {}}


PRODUCT = Product(
    name="wood_screw",
    words="countersunk wood screw",
    category="metal",
    parts=(Part("head", "steel"), Part("shank", "steel"), Part("thread", "steel"), Part("tip", "steel")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "paper", "bench", "wood"),
    landmarks=("head", "tip"),
    symmetry=360,
    size=(0.96, 1.06),
    defects={
        "missing part": ("tip", "thread"),
        "misplaced part": ("thread",),
        "broken edge": ("head",),
        "scratch": ("shank", "head"),
        "discolouration": ("shank", "thread"),
        "foreign object": ("shank", "thread"),
        "thread": ("shank",),
        "stain": ("shank", "head"),
    },
    good="The screw is straight, its thread runs evenly from the shank to a sharp tip and the head is whole.",
    looks={
        "missing part": "The tip is cut off, or the ridges of the thread are gone over a stretch.",
        "misplaced part": "The threaded part is bent away from the axis.",
        "broken edge": "A piece of the head has broken away.",
        "scratch": "A thin bright line is scored along the metal.",
        "discolouration": "Part of the metal has turned brown or bluish.",
        "foreign object": "A chip or crumb clings to the screw.",
        "thread": "A textile fibre is wound over the screw.",
        "stain": "A dull blotch of oil or dirt covers the metal.",
    },
    effects={
        "missing part": "The screw does not bite into the wood.",
        "misplaced part": "It wobbles in the driver and cannot be screwed in straight.",
        "broken edge": "The driver slips and the head does not hold.",
        "scratch": "The zinc layer is open and the screw will rust.",
        "discolouration": "The steel was overheated and may snap.",
        "foreign object": "Automatic feeders jam on it.",
        "thread": "The fibre blocks the magazine of a screwdriver.",
        "stain": "Residue hinders coating and marks the wood.",
    },
    purpose="join pieces of wood",
)
