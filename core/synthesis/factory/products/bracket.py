"""Powder-coated mounting plate with a label and a row of cross-head screws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import printing, shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Patch

_COATS = {
    "black": (0.17, 0.17, 0.18),
    "grey": (0.55, 0.56, 0.58),
    "blue": (0.16, 0.29, 0.50),
    "yellow": (0.88, 0.68, 0.14),
    "white": (0.88, 0.88, 0.87),
    "green": (0.20, 0.40, 0.28),
}
_PLACES = {
    4: ((-1, -1), (1, -1), (-1, 1), (1, 1)),
    5: ((-1, -1), (1, -1), (-1, 1), (1, 1), (0, -1)),
    6: ((-1, -1), (1, -1), (-1, 1), (1, 1), (0, -1), (0, 1)),
}


def lot(rng: Rng) -> Lot:
    return {
        "coat": str(rng.choice(list(_COATS))),
        "half": (float(rng.uniform(0.74, 0.82)), float(rng.uniform(0.52, 0.70))),
        "screws": int(rng.choice([4, 5, 6])),
        "corner": float(rng.uniform(0.05, 0.16)),
        "slot": bool(rng.random() < 0.6),
        "side": float(rng.choice([-1, 1])),
        "text": f"{rng.choice(['MB', 'TX', 'K', 'PL'])}-{rng.integers(100, 999)}",
        "brass": bool(rng.random() < 0.3),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    (w, h), coat = lot["half"], _COATS[lot["coat"]]
    d = shapes.box(p.x, p.y, w, h, lot["corner"])
    # Powder coat: orange peel.
    peel, grain = p.texture("cloud", rng, 0.55), p.texture("grain", rng, 1.0)
    height = 0.10 * shapes.bevel(d, 0.025) + 0.0005 * peel + 0.00025 * grain
    p.paint(shapes.cover(d, p.px), coat, tone=1 + 0.02 * grain, part=1, height=height, gloss=0.38, rough=0.42)
    side = lot["side"]
    if lot["slot"]:
        slot = shapes.segment(p.x, p.y, (-side * 0.28 * w, -0.22 * h), (-side * 0.28 * w, 0.22 * h), 0.075)
        p.paint(np.clip(1 - np.abs(slot) / 0.02, 0, 1), relief=-0.01)
        p.paint(shapes.cover(slot, p.px), (0.05, 0.05, 0.05), height=-0.03, gloss=0.0, part=3)
    self_x, self_y = side * 0.30 * w, 0.0
    if not plan.befalls("missing part", "label"):
        turn = float(rng.normal(0, 0.01))
        if plan.befalls("misplaced part", "label"):
            turn += float(plan.rng.choice([-1, 1])) * plan.between(0.12, 0.4)
        q = p.at(self_x, self_y, 0.42, turn)
        plate = shapes.box(q.x, q.y, 0.26, 0.15, 0.02)
        q.paint(
            shapes.cover(plate, q.px),
            (0.82, 0.83, 0.84),
            tone=1 + 0.02 * q.texture("streak", fork(rng), 0.8),
            part=4,
            gloss=0.4,
            rough=0.4,
            metal=0.5,
            height=0.108 + 0.004 * shapes.bevel(plate, 0.02),
        )
        decal = printing.Decal(0.52, 0.30).text(0, -0.06, lot["text"], 0.12).text(0, 0.06, "MAX 24 V", 0.065)
        decal.box(0, 0, 0.24, 0.13, radius=0.02, outline=0.008)
        ink = decal.ink()
        if plan.befalls("misprint", "label"):
            ink = printing.spoil(ink, plan.rng, plan.amount)
        q.paint(printing.sample(ink, q, 0.52, 0.30) * 0.9, (0.10, 0.10, 0.12), metal=0.0)
    else:
        fork(rng)
    n = lot["screws"]
    gone, proud = plan.pick("missing part", "screw", n), plan.pick("misplaced part", "screw", n)
    for k, (sx, sy) in enumerate(_PLACES[n]):
        own = fork(rng)
        q = p.at(sx * (w - 0.14), sy * (h - 0.14), 0.17, float(own.uniform(0, math.pi)))
        if k == gone:
            e = shapes.circle(q.x, q.y, 0.060)
            q.paint(np.clip(1 - np.abs(e) / 0.018, 0, 1), relief=-0.012)
            turns = np.sin(np.sqrt(q.x**2 + q.y**2) * 330)
            q.paint(shapes.cover(e, q.px), (0.10, 0.10, 0.10), tone=1 + 0.5 * turns, height=-0.04, gloss=0.2, part=3)
            continue
        if k == proud:  # not driven home: it stands askew
            q = q.at(plan.between(0.015, 0.035), plan.between(0.015, 0.03), 0.16)
            screw(q, own, lot["brass"], lean=plan.between(0.25, 0.6))
        else:
            screw(q, own, lot["brass"])
    return {"colours": {"plate": lot["coat"]}, "counts": {"screw": n - (gone >= 0)}}


def screw(q: Patch, rng: Rng, brass: bool, lean: float = 0.0, radius: float = 0.105) -> None:
    """A pan-head screw with a cross recess, in the middle of the patch."""
    colour = (0.82, 0.70, 0.42) if brass else (0.78, 0.79, 0.81)
    d = shapes.circle(q.x, q.y, radius)
    dome = np.sqrt(np.clip(-d / (radius * 0.9), 0, 1))
    height = 0.105 + 0.07 * dome + lean * (q.x + radius) * 0.6 + 0.0002 * q.texture("cloud", rng, 0.8)
    q.paint(shapes.cover(d, q.px), colour, part=2, height=height, gloss=0.6, rough=0.25, metal=0.95)
    cross = np.minimum(shapes.box(q.x, q.y, 0.060, 0.015, 0.004), shapes.box(q.x, q.y, 0.015, 0.060, 0.004))
    q.paint(shapes.cover(cross, q.px), (0.22, 0.22, 0.23), relief=-0.045)


PRODUCT = Product(
    name="bracket",
    words="coated mounting plate with screws",
    category="metal",
    parts=(
        Part("plate", "painted metal"),
        Part("screw", "steel"),
        Part("opening", "painted metal"),
        Part("label", "aluminium"),
    ),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("bench", "paper", "wood", "mat"),
    landmarks=("label",),
    symmetry=360,
    defects={
        "missing part": ("screw", "label"),
        "misplaced part": ("screw", "label"),
        "misprint": ("label",),
        "scratch": ("plate",),
        "dent": ("plate",),
        "stain": ("plate",),
        "discolouration": ("plate",),
        "hole": ("plate",),
        "broken edge": ("plate",),
        "foreign object": ("plate",),
    },
    good="All screws are driven home, the label sits straight and legible, and the coating is closed and of one colour.",
    looks={
        "missing part": "An empty hole or a bare patch shows where a screw or the label should be.",
        "misplaced part": "A screw stands up askew, or the label is turned out of line.",
        "misprint": "The lettering of the label is doubled, smeared or incomplete.",
        "scratch": "A thin line runs through the coating down to bright metal.",
        "dent": "The plate is knocked in, seen as a soft shadow with a bright flank.",
        "stain": "A blotch of oil, glue or dirt sticks to the coating.",
        "discolouration": "An area of the coating is faded or scorched.",
        "hole": "There is an opening in the plate that does not belong there.",
        "broken edge": "A piece of the rim is broken out and bare metal shows.",
        "foreign object": "A loose chip or crumb lies on the plate.",
    },
    effects={
        "missing part": "The plate is not held safely or cannot be identified.",
        "misplaced part": "The joint is loose, or the label will peel off.",
        "misprint": "The rated voltage cannot be read by the installer.",
        "scratch": "Rust creeps under the coating from the scratch.",
        "dent": "The plate does not lie flat on the wall.",
        "stain": "The coating may be attacked and must be cleaned.",
        "discolouration": "The coating was cured too hot and turns brittle.",
        "hole": "The housing is no longer sealed.",
        "broken edge": "The sharp rim can cut cables and fingers.",
        "foreign object": "A metal chip can cause a short circuit.",
    },
    purpose="fix a device to a wall",
)
