"""Varnished or raw wooden board filling the picture: grain, pores, sometimes a small sound knot."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch, darker

_WOODS = {
    "light brown": ((0.80, 0.62, 0.43), (0.64, 0.45, 0.28)),
    "dark brown": ((0.50, 0.34, 0.23), (0.34, 0.22, 0.14)),
    "pale yellow": ((0.88, 0.76, 0.56), (0.76, 0.60, 0.40)),
    "reddish brown": ((0.66, 0.42, 0.29), (0.48, 0.27, 0.18)),
}


def lot(rng: Rng) -> Lot:
    return {
        "colour": str(rng.choice(list(_WOODS))),
        "rings": float(rng.uniform(7, 13)),
        "planks": int(rng.choice([1, 2, 2, 3])),
        "gloss": float(rng.choice([0.05, 0.18, 0.3])),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    light, dark = _WOODS[lot["colour"]]
    planks = lot["planks"]
    # Planks lie side by side along y; each has its own grain.
    width = 2.3 / planks
    offset = float(rng.uniform(0, width)) if planks > 1 else 0.0
    position = (p.x + 4 * width + offset) / width
    plank = np.floor(position).astype(np.int32)
    own = rng.normal(0, 1, (4, 64)).astype(np.float32)
    # Grain runs along y: read tiles with the axes exchanged, drawn out along the grain.
    along = Patch(p.y, p.x, p.px, p.maps, p.parts)
    slow, bend = p.texture("smoke", rng, 3.2), along.texture("smoke", rng, 2.6, 5.0)
    rings = (p.x + 0.10 * bend + 0.02 * own[0][plank & 63] * p.y) * lot["rings"] + 3 * own[1][plank & 63]
    knot = rng.random() < 0.3
    kx, ky, kr = float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-0.7, 0.7)), float(rng.uniform(0.035, 0.06))
    if knot:  # the rings flow around it
        reach = np.exp(-((p.x - kx) ** 2 / (3.5 * kr) ** 2 + (p.y - ky) ** 2 / (7 * kr) ** 2))
        rings = rings + reach * kr * lot["rings"] * 1.3 * np.tanh((p.x - kx) / (0.6 * kr))
    saw = rings - np.floor(rings)
    late = saw**2.5 * np.clip((1 - saw) * 12, 0, 1)  # slow rise to the dark late wood, quick fall
    pores, fine = along.texture("streak", rng, 0.55, 2.0), along.texture("fibre", rng, 0.6, 3.0)
    pore = np.clip(pores - 1.0, 0, 1.6) * (0.4 + 0.6 * late)
    tone = 1 + 0.045 * fine + 0.05 * pores + 0.07 * own[2][plank & 63] + 0.06 * slow
    tone = tone * (1 - 0.30 * pore)
    gap = np.abs(position - plank - 0.5) * width
    seam = shapes.step(gap, width * 0.5 - 0.012, width * 0.5) if planks > 1 else np.zeros_like(p.x)
    height = 0.05 - 0.0012 * pore + 0.0002 * fine + 0.0005 * late - 0.03 * seam
    p.paint(1.0, light, tone=np.maximum(tone, 0.2), part=1, height=height, gloss=lot["gloss"], rough=0.55)
    p.paint(0.62 * late, dark, tone=np.maximum(tone, 0.2))
    if knot:
        d = shapes.ellipse(p.x - kx, p.y - ky, kr * 0.8, kr * 1.15)
        p.paint(shapes.cover(d, p.px, 3), darker(dark, 0.6), tone=np.maximum(1 + 0.2 * fine, 0.2), part=2)
    if planks > 1:
        p.paint(seam, darker(dark, 0.45))
        p.parts[seam > 0.5] = 3
    return {"colours": {"wood": lot["colour"]}, "counts": {}}


PRODUCT = Product(
    name="wood_panel",
    words="wooden panel",
    category="wood",
    parts=(Part("wood", "wood"), Part("knot", "wood"), Part("joint", "wood")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=None,
    symmetry=180,
    size=(0.95, 1.15),
    defects={
        "scratch": ("wood",),
        "dent": ("wood",),
        "crack": ("wood",),
        "hole": ("wood",),
        "stain": ("wood",),
        "discolouration": ("wood",),
        "foreign object": ("wood",),
        "thread": ("wood",),
    },
    good="The grain runs in one direction, the surface is smooth and closed and its colour is even; a small sound knot is "
    "allowed.",
    looks={
        "scratch": "A thin light line cuts across the grain and shows raw wood.",
        "dent": "A soft hollow in the wood, visible only by its shading, with the grain running on through it.",
        "crack": "A dark jagged split opens along or across the grain.",
        "hole": "A round dark opening with pale splintered wood around it.",
        "stain": "A blotch of liquid has dried on the wood, often with a darker rim.",
        "discolouration": "One area has turned greyish, bleached or burnt while its surface stays smooth.",
        "foreign object": "Something solid that is not wood lies on the panel and casts a shadow.",
        "thread": "A curled fibre lies on the varnish.",
    },
    effects={
        "scratch": "The varnish is open there and moisture can creep into the wood.",
        "dent": "The hollow stays visible under lacquer and the panel has to be filled and sanded.",
        "crack": "The split grows as the wood dries and the panel loses its strength.",
        "hole": "The panel cannot be used on a visible side and has to be plugged.",
        "stain": "Lacquer will not hold well on the soiled patch and the mark stays visible.",
        "discolouration": "The panel does not match its neighbours in furniture.",
        "foreign object": "The object would be pressed into the surface when panels are stacked.",
        "thread": "The fibre would be sealed in by the next coat of varnish.",
    },
    purpose="make furniture fronts and floors",
)
