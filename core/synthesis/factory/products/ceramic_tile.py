"""Glazed ceramic tiles: speckled stoneware filling the picture, with or without a grout joint."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_GLAZES = {
    "grey": ((0.66, 0.68, 0.65), (0.34, 0.38, 0.36)),
    "beige": ((0.82, 0.76, 0.66), (0.55, 0.46, 0.36)),
    "blue": ((0.50, 0.60, 0.72), (0.26, 0.34, 0.50)),
    "white": ((0.88, 0.88, 0.86), (0.62, 0.62, 0.62)),
}


def lot(rng: Rng) -> Lot:
    return {
        "glaze": str(rng.choice(list(_GLAZES))),
        "speck": float(rng.uniform(1.1, 2.0)),
        "joint": bool(rng.random() < 0.55),
        "gloss": float(rng.uniform(0.2, 0.5)),
        "at": (float(rng.uniform(-0.35, 0.35)), float(rng.uniform(-0.35, 0.35))),
        "much": float(rng.uniform(0.45, 0.9)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    light, dark = _GLAZES[lot["glaze"]]
    blobs, fine = p.texture("blobs", rng, lot["speck"] * 1.6), p.texture("grain", rng, 1.4)
    slow = p.texture("smoke", rng, 4.0)
    spots = p.texture("grain", rng, lot["speck"] * 2.0)
    speck = np.maximum(shapes.step(blobs * 0.7 + 0.5 * fine, 0.35, 0.9), 0.8 * shapes.step(spots, 1.1, 1.7))
    tone = 1 + 0.05 * fine + 0.03 * slow
    height = 0.06 + 0.00035 * blobs + 0.0006 * slow
    p.paint(1.0, light, tone=tone, part=1, height=height, gloss=lot["gloss"], rough=0.3)
    p.paint(speck * lot["much"], dark, tone=tone)
    if lot["joint"]:
        x, y = lot["at"]

        d = np.minimum(np.abs(p.x - x), np.abs(p.y - y)) - 0.022
        tiles = shapes.cover(-d, p.px)
        p.paint(
            1 - tiles,
            (0.70, 0.69, 0.66),
            tone=1 + 0.08 * p.texture("grain", rng, 1.0),
            height=0.03,
            gloss=0.02,
            rough=0.9,
        )
        p.paint(tiles, relief=0.02 * (shapes.bevel(-d, 0.035) - 1))
        p.parts[tiles < 0.5] = 2
    return {"colours": {"glaze": lot["glaze"]}, "counts": {}}


PRODUCT = Product(
    name="ceramic_tile",
    words="speckled ceramic tile",
    category="ceramic",
    parts=(Part("glaze", "ceramic"), Part("joint", "ceramic")),
    lot=lot,
    build=build,
    turn="quarter",
    ground=None,
    symmetry=90,
    size=(0.9, 1.1),
    defects={
        "crack": ("glaze",),
        "scratch": ("glaze",),
        "hole": ("glaze",),
        "stain": ("glaze",),
        "discolouration": ("glaze",),
        "foreign object": ("glaze",),
        "thread": ("glaze",),
        "dent": ("glaze",),
    },
    good="The glaze is closed and evenly speckled; where tiles meet, the joint is straight and filled.",
    looks={
        "crack": "A dark jagged line runs through glaze and speckles alike.",
        "scratch": "A thin straight line has been scored into the glaze.",
        "hole": "A pit with a pale unglazed rim opens in the surface.",
        "stain": "A cloudy blotch lies over the speckles and hides them.",
        "discolouration": "One area has another tint although its speckles go on unchanged.",
        "foreign object": "Something solid lies on the tile and casts a shadow.",
        "thread": "A curled fibre lies on the glaze.",
        "dent": "The smooth surface sinks in; reflections bend around the hollow.",
    },
    effects={
        "crack": "Water gets in and the tile breaks under load or frost.",
        "scratch": "Dirt settles in the line and can no longer be wiped off.",
        "hole": "The open body soaks up water and dirt.",
        "stain": "The tile cannot be sold as first choice unless the mark washes off.",
        "discolouration": "The tile stands out from its neighbours once it is laid.",
        "foreign object": "It scratches the tile below when tiles are stacked.",
        "thread": "The fibre points to a dirty packing line; it is wiped off before packing.",
        "dent": "Water stands in the hollow and the floor looks uneven.",
    },
    purpose="cover floors and walls",
)
