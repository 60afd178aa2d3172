"""Materials: what a part is made of decides how it shines and what shows when it is torn, chipped or worn."""

from __future__ import annotations

from dataclasses import dataclass

from core.synthesis.factory.scene import Colour


@dataclass(frozen=True, slots=True)
class Material:
    """Attributes:
    words: as a person says it.
    inside: colour of a fresh break; `dark` of a deep crack or hole.
    gloss, rough, metal: how a break or a bare scratch reflects.
    bright: a scratch is brighter than the surface (bare metal, whitened plastic) rather than darker.
    """

    words: str
    inside: Colour
    dark: Colour = (0.08, 0.07, 0.06)
    gloss: float = 0.15
    rough: float = 0.8
    metal: float = 0.0
    bright: bool = True


MATERIALS: dict[str, Material] = {
    "steel": Material("steel", (0.72, 0.73, 0.75), gloss=0.5, rough=0.45, metal=0.8),
    "brass": Material("brass", (0.85, 0.72, 0.42), gloss=0.5, rough=0.45, metal=0.8),
    "copper": Material("copper", (0.85, 0.52, 0.36), gloss=0.5, rough=0.45, metal=0.8),
    "aluminium": Material("aluminium", (0.82, 0.83, 0.84), gloss=0.4, rough=0.5, metal=0.7),
    "painted metal": Material("painted metal", (0.66, 0.67, 0.68), gloss=0.4, rough=0.5, metal=0.6),
    "plastic": Material("plastic", (0.86, 0.86, 0.84)),
    "rubber": Material("rubber", (0.30, 0.30, 0.30)),
    "glass": Material("glass", (0.80, 0.88, 0.86), dark=(0.10, 0.14, 0.13), gloss=0.9, rough=0.2),
    "ceramic": Material("ceramic", (0.88, 0.84, 0.76), bright=False),
    "fabric": Material("fabric", (0.70, 0.67, 0.62), bright=False),
    "leather": Material("leather", (0.72, 0.56, 0.42)),
    "wood": Material("wood", (0.86, 0.70, 0.50), dark=(0.14, 0.09, 0.06)),
    "circuit board": Material("circuit board", (0.76, 0.72, 0.52)),
    "cardboard": Material("cardboard", (0.80, 0.70, 0.56), dark=(0.2, 0.15, 0.1)),
    "paper": Material("paper", (0.93, 0.92, 0.89), dark=(0.3, 0.28, 0.25)),
    "dough": Material("dough", (0.93, 0.82, 0.62), dark=(0.3, 0.18, 0.09), bright=False),
    "chocolate": Material("chocolate", (0.46, 0.30, 0.21), dark=(0.12, 0.07, 0.05)),
    "tablet": Material("pressed powder", (0.95, 0.94, 0.91), bright=False),
    "foil": Material("aluminium foil", (0.60, 0.60, 0.62), gloss=0.5, rough=0.4, metal=0.5),
}
