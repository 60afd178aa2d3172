"""Plain words for what a picture mostly shows: its colors, its ground, how even it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.synthesis.descriptions.measuring import lab
from core.synthesis.names import spoken

SIDE = 48  # px: colors are counted on a thumbnail
# Lightness below which a gray has the name, and L*a*b* hue angle below which a color has it.
_GRAYS = ((20, "black"), (40, "dark gray"), (65, "gray"), (85, "light gray"), (101, "white"))
_HUES = (
    (45, "red"), (78, "orange"), (112, "yellow"), (170, "green"), (220, "turquoise"), (312, "blue"), (350, "purple"),
    (361, "red"),
)  # fmt: skip


def describe_picture(pictures: Sequence[Image.Image], product: str, *, normal: bool = True) -> str:
    """Two sentences about what pictures of a product have in common; `normal` says that they show its normal state."""
    thumbnails = np.stack([lab(p.resize((SIDE, SIDE), Image.Resampling.BOX)) for p in pictures])
    ground, product_colors = _split_ground(thumbnails)
    names, counts = np.unique([color_name(c) for c in product_colors], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    main = [str(names[i]) for i in order if counts[i] >= 0.12 * len(product_colors)][:3] or [str(names[order[0]])]
    listed = main[0] if len(main) == 1 else f"{', '.join(main[:-1])} and {main[-1]}"
    spread = float(np.std(product_colors[:, 0]))
    evenness = "even" if spread < 8 else "moderately varied" if spread < 20 else "rich in contrast"
    where = f" on a {ground} background" if ground else ""
    the = "In its normal state, the" if normal else "The"
    return f"{the} {spoken(product)} appears mainly {listed}{where}. Its brightness is {evenness}."


def color_name(color: np.ndarray) -> str:
    """A plain name for an L*a*b* color (float [3])."""
    light, a, b = (float(v) for v in color)
    if np.hypot(a, b) < 10:
        return next(name for top, name in _GRAYS if light < top)
    angle = float(np.degrees(np.arctan2(b, a)) % 360)
    if np.hypot(a, b) < 45 and 35 <= angle < 112 and light >= 15:  # pale reds to yellows: wood, leather, cardboard
        return "beige" if angle >= 78 and light >= 50 else "light brown" if light >= 50 else "brown"
    hue = next(name for top, name in _HUES if angle < top)
    return f"dark {hue}" if light < 30 else hue


def _split_ground(thumbnails: np.ndarray) -> tuple[str, np.ndarray]:
    """(name of the ground or "", the product's colors [N, 3]) of thumbnails [P, H, W, 3].

    There is a ground when the pictures' edges have one color that part of the middle has not.
    """
    edge = np.ones((SIDE, SIDE), bool)
    edge[3:-3, 3:-3] = False
    tone = np.median(thumbnails[:, edge].reshape(-1, 3), axis=0)
    like = np.linalg.norm(thumbnails - tone, axis=-1) < 12
    at_edge, inside = float(like[:, edge].mean()), float(like[:, ~edge].mean())
    if at_edge < 0.85 or at_edge - inside < 0.05:
        return "", thumbnails.reshape(-1, 3)
    return color_name(tone), thumbnails[~like]
