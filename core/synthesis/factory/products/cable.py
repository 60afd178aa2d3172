"""Cross-section of a three-core cable: sheath, three coloured insulations, bundles of copper strands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Patch

_SHEATHS = {
    "white": (0.86, 0.88, 0.88),
    "grey": (0.55, 0.57, 0.59),
    "black": (0.16, 0.16, 0.17),
    "orange": (0.86, 0.46, 0.14),
}
_CORES = {"green": (0.40, 0.48, 0.22), "blue": (0.18, 0.32, 0.60), "brown": (0.40, 0.27, 0.20)}


def lot(rng: Rng) -> Lot:
    return {
        "sheath": str(rng.choice(list(_SHEATHS))),
        "outer": float(rng.uniform(0.76, 0.84)),
        "core": float(rng.uniform(0.27, 0.30)),
        "strands": int(rng.choice([3, 3, 4])),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    outer = lot["outer"]
    radius = np.sqrt(p.x * p.x + p.y * p.y)
    angle = np.arctan2(p.y, p.x)
    d = radius - outer + 0.008 * np.cos(2 * angle + rng.uniform(0, 6))
    cloud, grain = p.texture("cloud", rng, 1.4), p.texture("grain", rng, 1.2)
    cut = p.texture("fibre", rng, 1.0)  # marks of the blade
    p.paint(
        shapes.cover(d, p.px),
        _SHEATHS[lot["sheath"]],
        tone=1 + 0.03 * cloud + 0.025 * cut,
        part=1,
        gloss=0.25,
        rough=0.5,
        height=0.25 * shapes.bevel(d, 0.03) + 0.0007 * cut + 0.001 * cloud,
    )
    filler = radius - (outer - 0.085)
    p.paint(
        shapes.cover(filler, p.px, 1.5),
        _SHEATHS[lot["sheath"]],
        tone=0.72 + 0.05 * cloud + 0.04 * grain,
        height=0.21 + 0.002 * grain,
        gloss=0.15,
        rough=0.6,
    )
    size = lot["core"]
    away = min(outer - 0.10 - size, size * 1.17)
    names = list(_CORES)
    swapped = plan.befalls("misplaced part", "insulation")
    if swapped:
        k = int(plan.rng.integers(3))
        names[k], names[(k + 1) % 3] = names[(k + 1) % 3], names[k]
    gone = plan.pick("missing part", "insulation", 3)
    bare = plan.pick("missing part", "strand", 3)
    for k, name in enumerate(names):
        own = fork(rng)
        turn = -math.pi / 2 + k * 2 * math.pi / 3
        q = p.at(away * math.cos(turn), away * math.sin(turn), size * 1.1)
        pit = shapes.circle(q.x, q.y, size * 1.03)
        q.paint(shapes.cover(pit, q.px, 2), (0.10, 0.10, 0.10), tone=1.0, height=0.12, part=1)
        if k == gone:
            continue
        _core(q, name, size, lot["strands"], own, bare=plan.between(0.2, 0.9) if k == bare else 0.0, plan=plan)
    counts = {"insulation": 3 - (gone >= 0)}
    return {"colours": {"sheath": lot["sheath"]}, "counts": counts}


def _core(q: Patch, name: str, size: float, rings: int, rng: Rng, bare: float, plan: Plan) -> None:
    d = shapes.circle(q.x, q.y, size)
    cut = q.texture("fibre", rng, 0.9)
    q.paint(
        shapes.cover(d, q.px),
        _CORES[name],
        tone=1 + 0.04 * q.texture("cloud", rng, 1.0) + 0.05 * cut,
        part=2,
        height=0.22 + 0.03 * shapes.bevel(d, 0.02) + 0.0008 * cut,
        gloss=0.25,
        rough=0.5,
    )
    bore = size * 0.62
    q.paint(shapes.cover(shapes.circle(q.x, q.y, bore), q.px), (0.12, 0.08, 0.06), height=0.15)
    # Strands lie in rings around one in the middle.
    radius = bore / (2 * rings - 1) * 0.98
    spin, k = float(rng.uniform(0, 6.28)), 0
    lost = int(bare * 3 * rings * (rings - 1))
    for ring in range(rings):
        number = max(1, 6 * ring)
        for step in range(number):
            own = rng.normal(0, 1, 5)
            turn = spin * (1 + ring) + 2 * math.pi * step / number
            away = 2 * radius * ring * 0.97
            x, y = away * math.cos(turn) + 0.08 * radius * own[0], away * math.sin(turn) + 0.08 * radius * own[1]
            k += 1
            if ring and k - 1 <= lost:
                continue
            s = q.at(x, y, radius * 1.3)
            e = shapes.circle(s.x, s.y, radius * 0.97)
            tone = 1 + 0.25 * own[2]
            tilt = (s.x * own[3] + s.y * own[4]) * 0.5  # every end is cut at a slant of its own
            s.paint(
                shapes.cover(e, s.px),
                (0.88, 0.60, 0.44),
                tone=max(0.4, tone),
                part=3,
                gloss=0.5,
                rough=0.35,
                metal=0.9,
                height=0.19 + 0.02 * shapes.bevel(e, radius * 0.5) + tilt,
            )


PRODUCT = Product(
    name="cable",
    words="cross-section of a three-core cable",
    category="plastic",
    parts=(Part("sheath", "rubber"), Part("insulation", "plastic"), Part("strand", "copper")),
    lot=lot,
    build=build,
    turn="any",
    ground=("mat", "bench", "paper", "dark"),
    symmetry=360,
    defects={
        "missing part": ("insulation", "strand"),
        "misplaced part": ("insulation",),
        "scratch": ("sheath", "insulation"),
        "hole": ("sheath",),
        "broken edge": ("sheath",),
        "crack": ("sheath", "insulation"),
        "thread": ("sheath",),
        "foreign object": ("insulation", "sheath"),
        "stain": ("sheath",),
    },
    good="Three cores, one green, one blue and one brown in this order clockwise, lie in a round closed sheath; each is full "
    "of copper strands.",
    looks={
        "missing part": "A core or a group of strands is absent and a dark empty space is left.",
        "misplaced part": "Two cores have changed places, so the order of their colours is wrong.",
        "scratch": "A thin line is cut into the plastic.",
        "hole": "A dark opening goes through the sheath.",
        "broken edge": "A piece of the sheath's outline is torn away.",
        "crack": "A dark jagged gap splits the plastic.",
        "thread": "A fibre lies across the cut.",
        "foreign object": "A chip or crumb lies on the cut face.",
        "stain": "A blotch of grease or dirt covers part of the cut.",
    },
    effects={
        "missing part": "The cable carries less current than it must, or none on one core.",
        "misplaced part": "It will be connected wrongly and can put a housing under voltage.",
        "scratch": "The insulation is thinner there and may break down.",
        "hole": "Water enters the cable and reaches the cores.",
        "broken edge": "The sheath no longer protects the cores from wear.",
        "crack": "The plastic has gone brittle and the insulation fails when it is bent.",
        "thread": "The fibre can carry moisture along the cores.",
        "foreign object": "A conducting particle can bridge two cores.",
        "stain": "The residue can attack the plastic and must be identified.",
    },
    purpose="carry electric current",
)
