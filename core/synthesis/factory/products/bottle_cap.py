"""Plastic screw cap from above: ribbed skirt, rounded shoulder, printed emblem on the top."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import printing, shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_CAPS = {
    "red": (0.76, 0.12, 0.12),
    "blue": (0.12, 0.30, 0.66),
    "green": (0.14, 0.50, 0.26),
    "white": (0.92, 0.92, 0.91),
    "yellow": (0.93, 0.76, 0.16),
    "black": (0.15, 0.15, 0.16),
}
_WORDS = ("AQUA", "FRESH", "NOVA", "PURE", "VITA", "BREN")


def lot(rng: Rng) -> Lot:
    return {
        "cap": str(rng.choice(list(_CAPS))),
        "radius": float(rng.uniform(0.68, 0.76)),
        "ribs": int(rng.integers(36, 61)),
        "word": str(rng.choice(_WORDS)),
        "emblem": int(rng.integers(4)),
        "rim": float(rng.uniform(0.09, 0.13)),
    }


def _artwork(lot: Lot) -> np.ndarray:
    decal = printing.Decal(1.0, 1.0)
    y = 0.0
    if lot["emblem"] == 0:
        decal.disc(0, 0, 0.42, outline=0.02)
    elif lot["emblem"] == 1:
        decal.shape([(0, -0.40), (0.10, -0.20), (-0.10, -0.20)]).box(0, 0.18, 0.28, 0.012)
    elif lot["emblem"] == 2:
        decal.box(0, -0.17, 0.34, 0.012).box(0, 0.17, 0.34, 0.012)
    else:
        decal.disc(0, -0.25, 0.09).disc(0.035, -0.27, 0.075, 0)
        y = 0.04
    return decal.text(0, y, lot["word"], 0.22).ink()


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour, rim = _CAPS[lot["cap"]], lot["rim"]
    radius, angle = np.sqrt(p.x * p.x + p.y * p.y), np.arctan2(p.y, p.x)
    grain, cloud = p.texture("grain", rng, 1.6), p.texture("cloud", rng, 2.4)
    ribs = np.cos(angle * lot["ribs"])
    d = radius - lot["radius"] - 0.010 * ribs
    outside = np.clip(-d / rim, 0, 1)
    # The skirt falls away outside the shoulder; ribs are deepest at its foot.
    height = 0.38 * np.sqrt(outside * (2 - outside)) + 0.022 * ribs * (1 - outside) * (outside > 0) + 0.0005 * grain
    top = radius - (lot["radius"] - rim)
    height = height + 0.012 * shapes.bevel(np.abs(top + 0.05) - 0.012, 0.012) - 0.010 * shapes.step(-top, 0.05, 0.09)
    tone = 1 + 0.015 * grain + 0.02 * cloud - 0.10 * (1 - outside) * (ribs < 0)
    p.paint(shapes.cover(d, p.px), colour, tone=tone, part=1, height=height, gloss=0.42, rough=0.38)
    p.parts[(top < 0) & (d < 0)] = 2
    gate = shapes.circle(p.x, p.y, 0.012)  # where the plastic was injected
    p.paint(shapes.cover(gate, p.px, 2), relief=0.006)
    ink = _artwork(lot)
    if plan.befalls("misprint", "print"):
        ink = printing.spoil(ink, plan.rng, plan.amount)
    x, y, turn = 0.0, 0.0, float(rng.normal(0, 0.03))
    if plan.befalls("misplaced part", "print"):
        away, where = plan.between(0.05, 0.15), float(plan.rng.uniform(0, 2 * math.pi))
        x, y = away * math.cos(where), away * math.sin(where)
    print_colour = (0.95, 0.95, 0.94) if lot["cap"] not in {"white", "yellow"} else (0.14, 0.20, 0.42)
    q = p.at(x, y, 0.62, turn)
    if not plan.befalls("missing part", "print"):
        cover = printing.sample(ink, q, 1.0, 1.0) * 0.93
        q.paint(cover, print_colour, gloss=0.3)
        q.parts[cover > 0.45] = 3
    return {"colours": {"cap": lot["cap"]}, "counts": {}}


PRODUCT = Product(
    name="bottle_cap",
    words="plastic screw cap",
    category="plastic",
    parts=(Part("ribbed skirt", "plastic"), Part("top", "plastic"), Part("print", "plastic")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "bench", "steel", "paper"),
    symmetry=360,
    defects={
        "misprint": ("print",),
        "misplaced part": ("print",),
        "missing part": ("print",),
        "scratch": ("top",),
        "dent": ("top",),
        "crack": ("top", "ribbed skirt"),
        "broken edge": ("ribbed skirt",),
        "stain": ("top",),
        "discolouration": ("top",),
        "hole": ("top",),
    },
    good="The cap is round with even ribs all around, its top is smooth and of one colour, and the print sits sharp in the "
    "middle.",
    looks={
        "misprint": "The lettering on the top is doubled, smeared or partly missing.",
        "misplaced part": "The print sits clearly away from the middle of the top.",
        "missing part": "The top is blank where the emblem should be.",
        "scratch": "A thin whitish line is scored into the plastic.",
        "dent": "The top is pressed in; the highlight bends around a soft hollow.",
        "crack": "A dark jagged line splits the plastic.",
        "broken edge": "Some ribs are broken away at the rim.",
        "stain": "A blotch of glue, ink or dirt lies on the top.",
        "discolouration": "A soft-edged area of the plastic has another shade.",
        "hole": "An opening goes through the top of the cap.",
    },
    effects={
        "misprint": "The brand cannot be read and the cap is sorted out.",
        "misplaced part": "The pad printer has lost its register and must be set again.",
        "missing part": "The cap cannot be told from other brands.",
        "scratch": "It is a blemish only, the cap still seals.",
        "dent": "The sealing disc may not lie flat and gas escapes.",
        "crack": "The cap leaks and may burst under pressure.",
        "broken edge": "The capping head slips and the torque is not reached.",
        "stain": "Dirt near the mouth of the bottle is a hygiene risk.",
        "discolouration": "The masterbatch was badly mixed or the melt overheated.",
        "hole": "The bottle is not closed at all.",
    },
    purpose="close a bottle",
)
