"""What products lie on: a few inspection tables, each a colour, a texture and a sheen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.synthesis.factory import shapes
from core.synthesis.factory.scene import Colour, Patch


@dataclass(frozen=True, slots=True)
class Ground:
    colour: Colour
    texture: str
    amount: float  # how much the texture changes brightness
    size: float  # object units of one tile
    gloss: float = 0.05
    rough: float = 0.9
    metal: float = 0.0
    relief: float = 0.0


GROUNDS: dict[str, Ground] = {
    "paper": Ground((0.80, 0.80, 0.79), "grain", 0.015, 2.2),
    "white": Ground((0.93, 0.93, 0.92), "grain", 0.01, 2.2),
    "dark": Ground((0.13, 0.13, 0.14), "grain", 0.10, 1.6, relief=0.0008),
    "felt": Ground((0.20, 0.22, 0.25), "fibre", 0.16, 1.2, relief=0.0015),
    "mat": Ground((0.30, 0.42, 0.50), "cloud", 0.10, 1.8),
    "bench": Ground((0.55, 0.57, 0.59), "cloud", 0.05, 2.6, gloss=0.1),
    "steel": Ground((0.62, 0.63, 0.65), "streak", 0.05, 1.4, gloss=0.2, rough=0.5, metal=0.7, relief=0.0005),
    "wood": Ground((0.66, 0.52, 0.38), "streak", 0.10, 2.0, gloss=0.1, rough=0.7),
}


def lay(scene: Patch, name: str, rng: np.random.Generator) -> None:
    """Cover the whole scene with a ground."""
    ground = GROUNDS[name]
    texture = scene.texture(ground.texture, rng, ground.size)
    slow = scene.texture("smoke", rng, 5.0)
    scene.paint(
        1.0, ground.colour, tone=np.maximum(1.0 + ground.amount * texture + 0.02 * slow, 0.1),
        height=ground.relief * texture if ground.relief else 0.0,
        gloss=ground.gloss, rough=ground.rough, metal=ground.metal,
    )  # fmt: skip


def scatter_dust(scene: Patch, rng: np.random.Generator) -> None:
    """A few specks and lint beside the product, on some pictures: dirt on the table is no defect of the product."""
    if rng.random() < 0.55:
        return
    for _ in range(int(rng.integers(1, 9))):
        x, y, size = float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)), float(rng.uniform(0.004, 0.013))
        light, length = float(rng.choice([0.12, 0.25, 0.85])), float(rng.choice([0.0, 0.0, 0.06]))
        turn = float(rng.uniform(0, 6.28))
        q = scene.at(x, y, size + length + 0.02, turn)
        if not q.parts.size or q.parts.any():
            continue
        d = shapes.segment(q.x, q.y, (-length, 0.0), (length, 0.3 * length), size * (0.5 if length else 1.0))
        q.paint(shapes.cover(d, q.px) * 0.8, (light, light, light), height=size * 0.6, metal=0.0, gloss=0.05)
