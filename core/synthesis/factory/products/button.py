"""Sewing button: a turned plastic disc with a raised rim and four holes, sewn on with thread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Patch, darker

_DISCS = {
    "white": (0.91, 0.90, 0.87),
    "black": (0.14, 0.14, 0.15),
    "brown": (0.42, 0.27, 0.17),
    "blue": (0.16, 0.26, 0.48),
    "red": (0.62, 0.13, 0.15),
    "beige": (0.78, 0.69, 0.55),
}


def lot(rng: Rng) -> Lot:
    disc = str(rng.choice(list(_DISCS)))
    return {
        "disc": disc,
        "radius": float(rng.uniform(0.64, 0.74)),
        "rim": float(rng.uniform(0.12, 0.2)),
        "holes": int(rng.choice([2, 4, 4])),
        "spread": float(rng.uniform(0.14, 0.18)),
        "marble": float(rng.choice([0.0, 0.12, 0.25])),
        "hole": float(rng.uniform(0.055, 0.07)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour, outer, rim = _DISCS[lot["disc"]], lot["radius"], lot["rim"]
    radius = np.sqrt(p.x * p.x + p.y * p.y)
    d = radius - outer
    smoke, cloud, grain = p.texture("smoke", rng, 1.4), p.texture("cloud", rng, 1.8), p.texture("grain", rng, 1.4)
    # Rim as a torus, a hollow inside it, a low boss in the middle.
    torus = np.sqrt(np.maximum(1 - ((radius - outer + rim / 2) / (rim / 2)) ** 2, 0))
    dish = 0.10 + 0.03 * shapes.step(outer - rim - radius, 0.0, 0.25) * -1 + 0.03 * shapes.step(radius, 0.34, 0.26)
    height = np.where(radius > outer - rim, 0.10 + 0.10 * torus, dish + 0.02)
    height = height * shapes.bevel(d, 0.03) + 0.00015 * np.sin(radius * 420 + smoke) + 0.0003 * grain
    veins = np.abs(np.sin(2.2 * smoke + 0.8 * cloud))
    tone = 1 + 0.012 * grain + lot["marble"] * (veins - 0.5)
    p.paint(shapes.cover(d, p.px), colour, tone=tone, part=1, height=height, gloss=0.5, rough=0.25)
    p.parts[(radius < outer) & (radius > outer - rim)] = 2
    n, spread = lot["holes"], lot["spread"]
    places = [
        (spread * math.cos(a), spread * math.sin(a))
        for a in (np.arange(n) + (0.5 if n == 4 else 0.0)) * 2 * math.pi / n
    ]
    gone, moved = plan.pick("missing part", "hole", n), plan.pick("misplaced part", "hole", n)
    for k, (x, y) in enumerate(places):
        own = fork(rng)
        if k == gone:
            continue
        if k == moved:
            turn = float(plan.rng.uniform(0, 2 * math.pi))
            x, y = x + plan.between(0.05, 0.12) * math.cos(turn), y + plan.between(0.05, 0.12) * math.sin(turn)
        q = p.at(x, y, lot["hole"] * 2)
        e = shapes.circle(q.x, q.y, lot["hole"])
        q.paint(np.clip(1 - np.abs(e) / 0.025, 0, 1), relief=-0.012)
        q.paint(
            shapes.cover(e, q.px),
            darker(colour, 0.16),
            tone=1 + 0.1 * q.texture("grain", own, 1.0),
            height=-0.02,
            gloss=0.05,
            part=3,
        )
    return {"colours": {"button": lot["disc"]}, "counts": {"hole": n - (gone >= 0)}}


PRODUCT = Product(
    name="button",
    words="sewing button",
    category="plastic",
    parts=(Part("disc", "plastic"), Part("rim", "plastic"), Part("hole", "plastic")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "felt", "wood", "paper"),
    symmetry=90,
    defects={
        "missing part": ("hole",),
        "misplaced part": ("hole",),
        "scratch": ("disc", "rim"),
        "crack": ("disc", "rim"),
        "broken edge": ("rim",),
        "stain": ("disc",),
        "discolouration": ("disc",),
        "thread": ("disc",),
        "foreign object": ("disc",),
        "dent": ("disc",),
    },
    good="The disc is round with a smooth polished rim and evenly spaced clean holes in its middle.",
    looks={
        "missing part": "One of the holes was not drilled, the pattern in the middle is incomplete.",
        "misplaced part": "One hole is drilled out of the regular pattern.",
        "scratch": "A thin line is scored into the polished plastic.",
        "crack": "A dark jagged gap runs from the rim or a hole into the disc.",
        "broken edge": "A piece of the rim has broken off.",
        "stain": "A blotch of dye, glue or dirt sticks to the disc.",
        "discolouration": "Part of the disc has another shade with a soft border.",
        "thread": "A curled thread lies on the button.",
        "foreign object": "A chip or crumb lies on the disc.",
        "dent": "The smooth disc has a soft hollow.",
    },
    effects={
        "missing part": "The sewing machine's needle strikes plastic and breaks.",
        "misplaced part": "The needle hits the disc and the button cannot be sewn on by machine.",
        "scratch": "The button is only fit for second choice.",
        "crack": "The button breaks in two when it is washed.",
        "broken edge": "The sharp place cuts the buttonhole.",
        "stain": "The mark can rub off on the garment.",
        "discolouration": "It does not match the other buttons of the set.",
        "thread": "It must be blown off before packing.",
        "foreign object": "It can scratch other buttons in the tumbler.",
        "dent": "The mould was damaged and all further pieces will show the mark.",
    },
    purpose="close a garment",
)
