"""Woven cloth filling the picture: plain or twill weave, single threads visible."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_COLOURS = {
    "grey": ((0.46, 0.45, 0.45), (0.36, 0.35, 0.36)),
    "blue": ((0.30, 0.39, 0.55), (0.22, 0.29, 0.44)),
    "beige": ((0.74, 0.68, 0.57), (0.64, 0.57, 0.46)),
    "red": ((0.56, 0.22, 0.22), (0.44, 0.16, 0.17)),
    "green": ((0.38, 0.46, 0.36), (0.29, 0.36, 0.28)),
}


def lot(rng: Rng) -> Lot:
    colour = str(rng.choice(list(_COLOURS)))
    return {
        "colour": colour,
        "threads": float(rng.uniform(28, 42)),
        "twill": bool(rng.random() < 0.4),
        "stripe": bool(rng.random() < 0.6),
        "uneven": float(rng.uniform(0.05, 0.12)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    warp_colour, weft_colour = _COLOURS[lot["colour"]]
    n = lot["threads"]
    bend = 0.10 * p.texture("smoke", rng, 4.0), 0.10 * p.texture("smoke", rng, 4.0)
    u = p.x * (n / 2) + bend[0] + 64 + float(rng.uniform(0, 1))
    v = p.y * (n / 2) + bend[1] + 64 + float(rng.uniform(0, 1))
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    fu, fv = u - i - 0.5, v - j - 0.5
    if lot["twill"]:
        phase = (i + j) % 4
        warp_up = phase < 2
        # Distance along the float, for its arc.
        along_warp = ((v + i) % 4.0) / 2.0
        along_weft = ((u + j + 2) % 4.0) / 2.0
        arc_warp, arc_weft = np.sin(np.pi * np.clip(along_warp, 0, 1)), np.sin(np.pi * np.clip(along_weft, 0, 1))
    else:
        warp_up = (i + j) % 2 == 0
        arc_warp, arc_weft = np.cos(np.pi * fv), np.cos(np.pi * fu)
    # Every thread has its own thickness and shade: that is what makes cloth look like cloth.
    own = rng.normal(0, 1, (4, 128)).astype(np.float32)
    width_warp, width_weft = 0.47 + 0.05 * own[0][i & 127], 0.47 + 0.05 * own[1][j & 127]
    round_warp = np.sqrt(np.maximum(1 - (fu / width_warp) ** 2, 0))
    round_weft = np.sqrt(np.maximum(1 - (fv / width_weft) ** 2, 0))
    thick = 1.1 / n
    height = np.where(warp_up, round_warp * (0.5 + 0.5 * arc_warp), round_weft * (0.5 + 0.5 * arc_weft)) * thick
    fibre = p.texture("white", rng, 1.6)
    twist = np.where(warp_up, np.sin((fu * 0.9 + v * 2.2) * 2 * math.pi), np.sin((fv * 0.9 + u * 2.2) * 2 * math.pi))
    shade = 1 + lot["uneven"] * np.where(warp_up, own[2][i & 127], own[3][j & 127]) + 0.07 * fibre + 0.06 * twist
    shade = shade * (1 + 0.05 * p.texture("cloud", rng, 1.5))
    p.paint(
        1.0,
        warp_colour,
        tone=np.maximum(shade, 0.2) * (0.55 + 0.45 * height / thick),
        part=1,
        height=height * 0.8 + 0.05,
        gloss=0.04,
        rough=0.9,
    )
    weft = (~warp_up).astype(np.float32)
    p.paint(weft, weft_colour, tone=np.maximum(shade, 0.2) * (0.55 + 0.45 * height / thick), part=2)
    if plan.befalls("missing part", "weft thread"):
        row = 64 + int(round(plan.rng.uniform(-0.7, 0.7) * n / 2))
        start, length = plan.rng.uniform(-0.8, 0.5), plan.between(0.12, 0.55)
        gap = ((j == row) & (p.x > start) & (p.x < start + length)).astype(np.float32)
        p.paint(gap * (0.4 + 0.6 * (~warp_up)), (0.12, 0.12, 0.13), height=0.05)
        p.parts[gap > 0.5] = 1
    if plan.befalls("misplaced part", "weft thread"):
        # A pulled thread: the weft rises in a loop out of its row.
        x0, y0 = plan.rng.uniform(-0.6, 0.6, 2)
        size = plan.between(0.10, 0.24)
        t = (p.x - x0) / size
        path = y0 - size * 0.45 * np.exp(-((t * 2.0) ** 2)) * (np.abs(t) < 1.3)
        d = np.abs(p.y - path) / np.sqrt(1 + (1.6 * t * np.exp(-((t * 2.0) ** 2))) ** 2) - 0.55 / n
        loop = shapes.cover(d, p.px) * (np.abs(t) < 1.1)
        p.paint(
            loop,
            weft_colour,
            tone=1.15 + 0.15 * np.sin(p.x * n * 5),
            part=2,
            height=0.05 + 2.2 * thick * shapes.bevel(d, 0.5 / n),
        )
    return {"colours": {"warp thread": lot["colour"]}, "counts": {}, "weave": "twill" if lot["twill"] else "plain"}


PRODUCT = Product(
    name="woven_cloth",
    words="woven cloth",
    category="fabric",
    parts=(Part("warp thread", "fabric"), Part("weft thread", "fabric")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=None,
    symmetry=180,
    size=(0.9, 1.1),
    defects={
        "hole": ("warp thread",),
        "stain": ("warp thread",),
        "discolouration": ("warp thread",),
        "thread": ("warp thread",),
        "missing part": ("weft thread",),
        "misplaced part": ("weft thread",),
        "foreign object": ("warp thread",),
    },
    good="Threads cross at right angles in an even, closed weave without gaps; the colour is the same all over.",
    looks={
        "hole": "The weave is torn open: a dark opening with frayed threads around it.",
        "stain": "A cloudy patch has soaked into the threads and hides their colour.",
        "discolouration": "A soft-edged area has another shade while the weave itself is intact.",
        "thread": "A loose curled thread of another colour lies across the weave.",
        "missing part": "Along one row the weft is absent, so a narrow dark line opens between its neighbours.",
        "misplaced part": "One weft thread has been pulled out of its row and stands up as a loop.",
        "foreign object": "A solid particle sits on the cloth and covers the weave beneath it.",
    },
    effects={
        "hole": "The cloth tears further from there under tension and has to be cut out.",
        "stain": "The roll is downgraded because dirt that has soaked in rarely washes out.",
        "discolouration": "Panels cut from this area will not match the rest of the garment.",
        "thread": "The thread is woven or sewn in during the next step and shows as a flaw.",
        "missing part": "The cloth is weak and see-through along the gap.",
        "misplaced part": "The loop catches on things and unravels the row.",
        "foreign object": "The particle is pressed into the cloth at the calender and damages the rollers.",
    },
    purpose="be cut and sewn into covers or clothes",
)
