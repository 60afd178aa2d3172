"""Closed zip fastener: two bands of tape and a row of interlocking teeth."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch, darker

_TAPES = {
    "black": (0.16, 0.16, 0.17),
    "blue": (0.17, 0.24, 0.40),
    "red": (0.50, 0.13, 0.14),
    "grey": (0.42, 0.42, 0.43),
}
_TEETH = {
    "silver grey": ((0.78, 0.79, 0.80), 0.92),
    "golden yellow": ((0.80, 0.65, 0.34), 0.92),
    "white": ((0.90, 0.89, 0.86), 0.0),
}


def lot(rng: Rng) -> Lot:
    return {
        "tape": str(rng.choice(list(_TAPES))),
        "teeth": str(rng.choice(list(_TEETH))),
        "pitch": float(rng.uniform(0.085, 0.12)),
        "half": float(rng.uniform(0.52, 0.66)),
        "bite": float(rng.uniform(0.10, 0.13)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    half, pitch, bite = lot["half"], lot["pitch"], lot["bite"]
    tape = _TAPES[lot["tape"]]
    edge = np.abs(p.x + 0.01 * p.texture("smoke", rng, 5.0)) - half
    # Tape: a fine knit of V-shaped loops, with a welt beside the teeth.
    n = 46.0
    u, v = np.abs(p.x) * n / 2, p.y * n / 2 + 64
    knit = np.abs((v + 0.5 * np.abs(u - np.floor(u) - 0.5) * 2) % 1.0 - 0.5) * 2
    wale = np.abs(u - np.floor(u) - 0.5) * 2
    fibre = p.texture("white", rng, 1.6)
    tone = 0.72 + 0.30 * knit * (1 - 0.5 * wale) + 0.10 * fibre + 0.04 * p.texture("cloud", rng, 1.5)
    welt = np.exp(-(((np.abs(p.x) - bite - 0.06) / 0.03) ** 2))
    height = 0.03 + 0.006 * knit * (1 - wale**2) + 0.03 * welt + 0.003 * shapes.step(-edge, 0, 0.03)
    p.paint(
        shapes.cover(edge, p.px, 1.3), tape, tone=np.maximum(tone, 0.1), part=1, height=height, gloss=0.04, rough=0.9
    )
    sewing = np.abs(np.abs(p.x) - bite - 0.06) - 0.012
    stitch = shapes.cover(sewing, p.px) * (np.sin(p.y * (2 * np.pi / 0.06)) > -0.6)
    p.paint(stitch * 0.6, darker(tape, 1.35), relief=0.004)
    p.paint(shapes.cover(np.abs(p.x) - 0.05, p.px), darker(tape, 0.3), height=0.01)
    colour, metal = _TEETH[lot["teeth"]]
    start = float(rng.uniform(0, 1))
    count = int(2.0 / pitch)
    hit_row, hit_side = 64 + int(plan.rng.integers(-count // 2 + 1, count // 2)), int(plan.rng.choice([-1, 1]))
    for side in (-1, 1):
        w = p.y / pitch + start + (0.5 if side > 0 else 0.0) + 64
        index = np.floor(w)
        local = (w - index - 0.5) * pitch
        reach = side * p.x  # outwards from the middle line
        hit = (index == hit_row) & (side == hit_side)
        shift = np.where(hit, plan.between(0.03, 0.075), 0.0) if plan.befalls("misplaced part", "tooth") else 0.0
        x = reach - shift
        body = shapes.box(x - bite * 0.45, local, bite * 0.62, pitch * 0.27, 0.012)
        head = shapes.ellipse(x + 0.022, local, 0.042, pitch * 0.40)
        d = np.minimum(body, head)
        there = shapes.cover(d, p.px)
        if plan.befalls("missing part", "tooth"):
            there = there * ~hit
        p.paint(
            there,
            colour,
            part=2,
            height=0.055 + 0.05 * shapes.bevel(d, 0.022),
            gloss=0.6,
            rough=0.3,
            metal=metal,
            tone=1 + 0.03 * p.texture("grain", rng, 1.0),
        )
    return {"colours": {"tape": lot["tape"], "tooth": lot["teeth"]}, "counts": {}}


PRODUCT = Product(
    name="zipper",
    words="zip fastener",
    category="fabric",
    parts=(Part("tape", "fabric"), Part("tooth", "brass")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("white", "paper", "bench"),
    symmetry=180,
    size=(0.95, 1.08),
    defects={
        "missing part": ("tooth",),
        "misplaced part": ("tooth",),
        "hole": ("tape",),
        "stain": ("tape",),
        "thread": ("tape",),
        "discolouration": ("tape",),
        "broken edge": ("tape",),
        "foreign object": ("tape", "tooth"),
    },
    good="The teeth of both sides interlock in one straight, regular row between two clean bands of tape.",
    looks={
        "missing part": "In the regular row of teeth one is absent and leaves a dark gap.",
        "misplaced part": "One tooth is pulled outwards and no longer meets its neighbours.",
        "hole": "The knitted tape is torn open.",
        "stain": "A cloudy patch has soaked into the tape.",
        "thread": "A loose curled thread hangs on the tape.",
        "discolouration": "The tape has another shade over a soft-edged area.",
        "broken edge": "The outer edge of the tape is frayed and a piece of it is gone.",
        "foreign object": "A particle sits on the tape or between the teeth.",
    },
    effects={
        "missing part": "The fastener bursts open at the gap when it is pulled.",
        "misplaced part": "The slider catches there and jams.",
        "hole": "The tape tears out of the seam.",
        "stain": "The fastener is rejected where it stays visible.",
        "thread": "The thread gets into the slider and blocks it.",
        "discolouration": "It does not match the garment.",
        "broken edge": "The edge cannot be sewn in securely.",
        "foreign object": "The slider jams or its teeth are bent.",
    },
    purpose="open and close clothes and bags",
)
