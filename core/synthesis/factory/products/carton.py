"""Cardboard box from above with a printed label: logo, lines of text, a barcode, and a strip of tape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import printing, shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Colour, Patch

_INKS: dict[str, Colour] = {
    "red": (0.74, 0.16, 0.16),
    "blue": (0.14, 0.30, 0.62),
    "green": (0.16, 0.46, 0.26),
    "black": (0.13, 0.13, 0.14),
    "orange": (0.88, 0.48, 0.12),
}
_NAMES = ("NORDA", "VELTRO", "KAMINO", "ALBRA", "TESSEN", "ORVIK", "LUMA", "PRAXO")
_GOODS = ("SPARE PARTS", "COFFEE FILTER", "LED LAMPS", "BEARINGS", "GREEN TEA", "CABLE SET")


def lot(rng: Rng) -> Lot:
    return {
        "ink": str(rng.choice(list(_INKS))),
        "name": str(rng.choice(_NAMES)),
        "goods": str(rng.choice(_GOODS)),
        "logo": int(rng.integers(3)),
        "code": int(rng.integers(2**31)),
        "box": (float(rng.uniform(0.74, 0.82)), float(rng.uniform(0.68, 0.80))),
        "label": (float(rng.uniform(0.80, 0.92)), float(rng.uniform(0.52, 0.62))),
        "at": (float(rng.choice([-1, 1])), float(rng.choice([-1, 1]))),
        "tape": bool(rng.random() < 0.7),
        "kraft": float(rng.uniform(0.9, 1.06)),
    }


def _artwork(lot: Lot) -> tuple[np.ndarray, np.ndarray]:
    """Ink of the coloured and of the black plate, on the label's rectangle."""
    rng = np.random.default_rng(lot["code"])
    w, h = lot["label"]
    colour, black = printing.Decal(w, h), printing.Decal(w, h)
    lx, ly = -w / 2 + 0.16, -h / 2 + 0.15
    if lot["logo"] == 0:
        colour.disc(lx, ly, 0.10).disc(lx, ly, 0.055, 0)
    elif lot["logo"] == 1:
        colour.shape([(lx - 0.1, ly + 0.09), (lx, ly - 0.10), (lx + 0.1, ly + 0.09)])
    else:
        colour.box(lx, ly, 0.09, 0.09, radius=0.03).disc(lx, ly, 0.045, 0)
    colour.text(lx + 0.15, ly, lot["name"], 0.15, anchor="lm")
    colour.box(0, -h / 2 + 0.29, w / 2 - 0.04, 0.008)
    black.text(-w / 2 + 0.05, -h / 2 + 0.36, lot["goods"], 0.075, anchor="lm")
    black.bars(w / 2 - 0.22, h / 2 - 0.11, 0.17, 0.07, rng)
    black.text(-w / 2 + 0.05, h / 2 - 0.14, f"LOT {rng.integers(1000, 9999)}", 0.055, anchor="lm")
    black.text(-w / 2 + 0.05, h / 2 - 0.07, f"{rng.integers(10, 99)}-{rng.integers(100, 999)} EU", 0.055, anchor="lm")
    return colour.ink(), black.ink()


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    bw, bh = lot["box"]
    kraft = tuple(c * lot["kraft"] for c in (0.74, 0.60, 0.44))
    d = shapes.box(p.x, p.y, bw, bh, 0.02)
    fibre, cloud = p.texture("fibre", rng, 1.5), p.texture("cloud", rng, 1.8)
    flutes = np.sin(p.x * (2 * math.pi / 0.055))  # the corrugation shows through faintly
    tone = 1 + 0.035 * fibre + 0.03 * cloud + 0.012 * flutes + 0.03 * p.texture("white", rng, 1.2)
    height = 0.30 * shapes.chamfer(d, 0.02) + 0.0006 * flutes + 0.0006 * fibre
    p.paint(shapes.cover(d, p.px), kraft, tone=tone, part=1, height=height, gloss=0.04, rough=0.85)
    slot = np.abs(p.y)
    p.paint(shapes.cover(slot - 0.008, p.px) * shapes.cover(d, p.px), (0.25, 0.18, 0.12), relief=-0.03)
    if lot["tape"]:
        t = shapes.box(p.x, p.y, bw + 0.01, 0.10)
        p.paint(
            shapes.cover(t, p.px) * shapes.cover(d, p.px) * 0.62, (0.80, 0.68, 0.48), part=None, gloss=0.5, rough=0.25
        )
        p.paint(shapes.cover(t, p.px) * shapes.cover(d, p.px), relief=0.004 + 0.002 * cloud)
        p.parts[(t < 0) & (d < 0)] = 6
    w, h = lot["label"]
    x = lot["at"][0] * (bw - w / 2 - 0.06) * 0.8 + float(rng.normal(0, 0.008))
    y = lot["at"][1] * (bh - h / 2 - 0.05) * 0.85 + float(rng.normal(0, 0.008))
    turn = float(rng.normal(0, 0.012))
    if plan.befalls("misplaced part", "label"):
        turn += float(plan.rng.choice([-1, 1])) * plan.between(0.10, 0.34)
        x -= lot["at"][0] * plan.between(0.02, 0.08)
    colours = {"carton": "brown", "logo": lot["ink"]}
    if plan.befalls("missing part", "label"):
        return {"colours": colours, "counts": {}}
    q = p.at(x, y, math.hypot(w, h) / 2 + 0.04, turn)
    d = shapes.box(q.x, q.y, w / 2, h / 2, 0.02)
    q.paint(
        shapes.cover(d, q.px),
        (0.95, 0.95, 0.93),
        tone=1 + 0.01 * q.texture("cloud", rng, 2.0),
        part=2,
        height=0.312 + 0.003 * shapes.chamfer(d, 0.02),
        gloss=0.16,
        rough=0.5,
    )
    colour, black = _artwork(lot)
    if plan.befalls("misprint", "label"):
        colour, black = printing.spoil(colour, plan.rng, plan.amount), printing.spoil(black, plan.rng, plan.amount)
    for ink, tint in ((colour, _INKS[lot["ink"]]), (black, (0.12, 0.12, 0.13))):
        q.paint(printing.sample(ink, q, w, h) * 0.95, tint)
    for part, (left, top, right, bottom) in {
        3: (-w / 2 + 0.03, -h / 2 + 0.03, w / 2 - 0.03, -h / 2 + 0.27),
        4: (w / 2 - 0.40, h / 2 - 0.19, w / 2 - 0.04, h / 2 - 0.03),
        5: (-w / 2 + 0.04, -h / 2 + 0.31, w / 2 - 0.2, -h / 2 + 0.41),
    }.items():
        q.parts[(q.x > left) & (q.x < right) & (q.y > top) & (q.y < bottom)] = part
    return {"colours": colours, "counts": {}}


PRODUCT = Product(
    name="carton",
    words="cardboard box with a printed label",
    category="printed label",
    parts=(
        Part("carton", "cardboard"),
        Part("label", "paper"),
        Part("logo", "paper"),
        Part("barcode", "paper"),
        Part("text", "paper"),
        Part("tape", "plastic"),
    ),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("bench", "dark", "steel"),
    landmarks=("label", "logo", "barcode"),
    defects={
        "misprint": ("label",),
        "misplaced part": ("label",),
        "missing part": ("label",),
        "scratch": ("label", "carton"),
        "stain": ("carton", "label"),
        "hole": ("carton",),
        "dent": ("carton",),
        "broken edge": ("carton",),
        "foreign object": ("carton",),
    },
    good="The box is closed and square, its label lies flat and straight in its corner, and logo, text and barcode are "
    "printed sharp and complete.",
    looks={
        "misprint": "The print on the label is doubled, smeared or partly missing.",
        "misplaced part": "The label sits askew and does not run parallel to the edges of the box.",
        "missing part": "There is only bare cardboard where the label should be.",
        "scratch": "A thin line is scored through the surface and shows lighter paper below.",
        "stain": "A cloudy patch of liquid or dirt has soaked into the paper.",
        "hole": "The cardboard is pierced; a dark opening with torn brown fibres is seen.",
        "dent": "The flat cardboard is pressed in, visible as a soft shadow.",
        "broken edge": "A piece is torn from the rim of the box and rough brown board shows.",
        "foreign object": "A small solid thing lies on the box.",
    },
    effects={
        "misprint": "Scanners and people cannot read the label reliably.",
        "misplaced part": "The scanner at the conveyor may miss the barcode.",
        "missing part": "The box cannot be identified and goes astray in the warehouse.",
        "scratch": "The surface is marked and the barcode may lose lines.",
        "stain": "The goods inside may have become wet and customers refuse the box.",
        "hole": "Dust and moisture reach the goods inside.",
        "dent": "The box has taken a blow and what is inside may be damaged.",
        "broken edge": "The box loses its stiffness and can collapse in the stack.",
        "foreign object": "It can fall into the packing line and jam it.",
    },
    purpose="ship goods",
)
