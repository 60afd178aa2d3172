"""Leather filling the picture: pebbled grain, often with a sewn seam."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch, darker

_HIDES = {
    "brown": (0.50, 0.29, 0.19),
    "black": (0.15, 0.15, 0.16),
    "red": (0.50, 0.13, 0.13),
    "beige": (0.76, 0.65, 0.51),
}
_YARN = {"white": (0.88, 0.86, 0.80), "orange": (0.82, 0.50, 0.20), "black": (0.10, 0.10, 0.11)}


def lot(rng: Rng) -> Lot:
    hide = str(rng.choice(list(_HIDES)))
    yarn = str(rng.choice([name for name in _YARN if name != hide]))
    return {
        "hide": hide,
        "yarn": yarn,
        "pebble": float(rng.uniform(1.5, 2.4)),
        "depth": float(rng.uniform(0.0016, 0.0032)),
        "gloss": float(rng.uniform(0.12, 0.3)),
        "seam": float(rng.uniform(-0.55, 0.55)),
        "pitch": float(rng.uniform(0.10, 0.15)),
        "double": bool(rng.random() < 0.4),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    hide = _HIDES[lot["hide"]]
    grain = p.texture("leather", rng, lot["pebble"])
    slow, fine = p.texture("smoke", rng, 3.0), p.texture("grain", rng, 1.5)
    crease = np.clip(-grain - 0.4, 0, 1.6)
    tone = 1 + 0.05 * slow + 0.04 * fine - 0.20 * crease
    height = 0.06 + lot["depth"] * np.clip(grain, -2, 1.0) + 0.004 * slow
    # Along the seam two hides meet: the upper one ends in a rounded fold.
    x0 = lot["seam"] + 0.012 * p.texture("smoke", rng, 6.0)
    fold = p.x - x0
    height = height + 0.05 * shapes.step(fold, -0.045, 0.0) - 0.02 * np.exp(-(((fold + 0.01) / 0.02) ** 2))
    p.paint(1.0, hide, tone=np.maximum(tone, 0.15), part=1, height=height, gloss=lot["gloss"], rough=0.55)
    p.paint(np.exp(-(((fold + 0.012) / 0.012) ** 2)) * 0.7, darker(hide, 0.35))
    p.parts[np.abs(fold + 0.01) < 0.02] = 2
    rows = (0.075, 0.17) if lot["double"] else (0.085,)
    row_hit = int(plan.rng.integers(len(rows)))
    first, length = float(plan.rng.uniform(-0.8, 0.5)), plan.between(1.1, 3.3) * lot["pitch"]
    for number, offset in enumerate(rows):
        along = p.y / lot["pitch"] + float(rng.uniform(0, 1)) + 32
        index = np.floor(along)
        v = (along - index - 0.5) * lot["pitch"]
        u = fold - offset
        hit = (p.y > first) & (p.y < first + length) & (number == row_hit)
        if plan.befalls("misplaced part", "stitch"):
            u = u + np.where(hit, plan.between(0.03, 0.07) * np.sin((p.y - first) / length * np.pi), 0.0)
        lean = u + 0.12 * v
        d = shapes.segment(lean, v, (0.0, -0.34 * lot["pitch"]), (0.0, 0.34 * lot["pitch"]), 0.017)
        there = shapes.cover(d, p.px)
        pull = np.exp(-((u / 0.05) ** 2))  # the thread draws the hide in
        p.paint(pull, relief=-0.010)
        holes = shapes.circle(u, np.abs(v) - 0.40 * lot["pitch"], 0.014)
        p.paint(shapes.cover(holes, p.px) * 0.8, darker(hide, 0.25), relief=-0.01)
        if plan.befalls("missing part", "stitch"):
            there = there * ~hit
        twist = 1 + 0.16 * np.sin((v * 1.0 + u * 1.4) * 260)
        p.paint(
            there,
            _YARN[lot["yarn"]],
            tone=twist,
            part=3,
            gloss=0.1,
            rough=0.8,
            height=0.115 + 0.02 * shapes.bevel(d, 0.017),
        )
    return {"colours": {"leather": lot["hide"], "stitch": lot["yarn"]}, "counts": {}}


PRODUCT = Product(
    name="leather",
    words="sewn leather",
    category="leather",
    parts=(Part("leather", "leather"), Part("seam", "leather"), Part("stitch", "fabric")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=None,
    symmetry=360,
    size=(0.95, 1.1),
    defects={
        "scratch": ("leather",),
        "hole": ("leather",),
        "stain": ("leather",),
        "discolouration": ("leather",),
        "missing part": ("stitch",),
        "misplaced part": ("stitch",),
        "thread": ("leather",),
        "dent": ("leather",),
        "foreign object": ("leather",),
    },
    good="The hide shows an even pebbled grain of one colour, and the stitches of the seam are equally long and in line.",
    looks={
        "scratch": "A thin pale line is scored through the pebbled grain.",
        "hole": "The hide is pierced: a dark opening with a light torn rim.",
        "stain": "A blotch of liquid or dirt covers the grain.",
        "discolouration": "A soft-edged area is faded or darkened while the grain goes on.",
        "missing part": "In the row of stitches some are absent, only their needle holes are seen.",
        "misplaced part": "A few stitches leave the straight line of the seam in a bow.",
        "thread": "A loose curled thread lies on the hide.",
        "dent": "The hide is pressed in over a soft round area.",
        "foreign object": "A hard particle lies on the leather.",
    },
    effects={
        "scratch": "The finish is cut and the hide wears through there first.",
        "hole": "The hide tears on from the opening when it is stretched.",
        "stain": "The piece cannot be used on a visible side.",
        "discolouration": "Panels of a seat will differ in colour.",
        "missing part": "The seam opens under load.",
        "misplaced part": "The seam looks crooked and its strength is uneven.",
        "thread": "It is pulled along by the next stitch and spoils the seam.",
        "dent": "The mark may stay visible after upholstery.",
        "foreign object": "Pressed into the hide it leaves a lasting mark.",
    },
    purpose="be made into seats, bags or shoes",
)
