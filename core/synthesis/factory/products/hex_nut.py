"""Hexagonal steel nut from above: chamfered faces, a threaded bore."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng
from core.synthesis.factory.scene import Patch

_FINISHES = {
    "silver grey": ((0.74, 0.75, 0.77), 0.35),
    "dark grey": ((0.46, 0.46, 0.48), 0.5),
    "golden yellow": ((0.80, 0.70, 0.42), 0.35),
}


def lot(rng: Rng) -> Lot:
    finish = str(rng.choice(list(_FINISHES)))
    return {
        "finish": finish,
        "width": float(rng.uniform(0.60, 0.68)),
        "bore": float(rng.uniform(0.50, 0.58)),
        "pitch": float(rng.uniform(0.030, 0.042)),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    colour, rough = _FINISHES[lot["finish"]]
    inradius, bore = lot["width"], lot["width"] * lot["bore"]
    radius = np.sqrt(p.x * p.x + p.y * p.y)
    scale = 1 + 0.05 * p.texture("grain", rng, 1.3)
    hexagon = shapes.polygon(p.x, p.y, 6, inradius, 0.02)
    # Forging leaves a conical chamfer that cuts the six corners to arcs.
    cone = np.clip((inradius * 1.06 - radius) / 0.16, 0, 1)
    height = 0.16 + 0.10 * np.minimum(shapes.chamfer(hexagon, 0.03), 1) * (0.35 + 0.65 * np.sqrt(cone))
    # The face is turned on a lathe: fine circles that fan the light out in two bright sectors.
    turned = np.sin(radius * (2 * math.pi / 0.034) + 0.8 * p.texture("smoke", rng, 2.0))
    height = height + 0.00016 * turned * (hexagon < -0.04) + 0.00010 * p.texture("fibre", rng, 1.2)
    fan = np.cos(2 * (np.arctan2(p.y, p.x) - float(rng.uniform(0, math.pi))))
    scale = scale * (1 + 0.16 * fan * shapes.step(-hexagon, 0.02, 0.08) + 0.03 * turned)
    p.paint(shapes.cover(hexagon, p.px), colour, tone=scale, part=1, height=height, gloss=0.35, rough=rough, metal=0.92)
    p.parts[(hexagon < 0) & (radius > inradius * 0.92)] = 3
    # Bore: countersink, then threads falling away into the dark.
    inside = radius - bore
    sink = np.clip(-inside / 0.05, 0, 1)
    turns = np.sin((radius + lot["pitch"] * np.arctan2(p.y, p.x) / (2 * math.pi)) * (2 * math.pi / lot["pitch"]))
    deep = np.clip((bore - radius - 0.05) / (0.11), 0, 1)
    bore_height = 0.24 - 0.10 * sink - 0.22 * deep + 0.010 * turns * (1 - deep) * (sink > 0.9)
    p.paint(
        shapes.cover(inside, p.px),
        colour,
        tone=(1 - 0.75 * deep) * (0.85 + 0.15 * turns),
        part=2,
        height=bore_height,
        gloss=0.3,
        rough=rough,
        metal=0.9,
    )
    through = radius - (bore - 0.15)
    hole = p.maps[:, :1, :1] * 0 + np.array([0.02, 0.02, 0.02, -0.02, 0.0, 0.9, 0.0], np.float32)[:, None, None]
    p.maps += (hole - p.maps) * shapes.cover(through, p.px, 2.0)
    return {"colours": {"hexagon": lot["finish"]}, "counts": {}}


PRODUCT = Product(
    name="hex_nut",
    words="hexagonal steel nut",
    category="metal",
    parts=(Part("hexagon", "steel"), Part("threaded bore", "steel"), Part("chamfer", "steel")),
    lot=lot,
    build=build,
    turn="any",
    ground=("white", "paper", "bench", "dark"),
    symmetry=60,
    defects={
        "scratch": ("hexagon",),
        "dent": ("hexagon",),
        "crack": ("hexagon",),
        "broken edge": ("hexagon",),
        "stain": ("hexagon",),
        "discolouration": ("hexagon",),
        "foreign object": ("hexagon", "threaded bore"),
    },
    good="The nut has six even flanks with clean chamfered corners, a round threaded bore in its middle and one even "
    "metallic finish.",
    looks={
        "scratch": "A thin bright line runs across the top face and breaks the even reflection of the metal.",
        "dent": "A shallow hollow on the face shows as a soft pair of light and dark without any sharp line.",
        "crack": "A dark jagged line starts in the steel and thins out towards its ends.",
        "broken edge": "At one corner of the hexagon a piece is broken away and a rough grey face is exposed.",
        "stain": "A patch of dried oil or dirt lies on the metal and dulls its reflection.",
        "discolouration": "Part of the face has turned brownish or bluish, as if it had been overheated.",
        "foreign object": "A loose chip or crumb lies on the nut and casts a small shadow.",
    },
    effects={
        "scratch": "The protective coating is broken there, so rust can begin along the line.",
        "dent": "The face no longer seats flat, so the clamping force spreads unevenly.",
        "crack": "The nut can split under load and must not be used.",
        "broken edge": "A spanner slips on the damaged corner and the torque cannot be applied.",
        "stain": "Residue on the face changes the friction and with it the tightening torque.",
        "discolouration": "Heat has altered the hardness of the steel, so its strength is no longer certain.",
        "foreign object": "The particle can be carried into the thread and jam the nut.",
    },
    purpose="fasten a threaded bolt",
)
