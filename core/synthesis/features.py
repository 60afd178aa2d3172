"""A plain image feature in numpy, for commands that have no model at hand: small grey and colour thumbnails and gradient
histograms.

`encode(images) -> array [N, D]` is all this room asks of a feature; a vision model's (CLIP in EMIT, or the tiny base's own
vision tower) is passed in from above and gives better neighbours for pictures that are not aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

Encode = Callable[[Sequence[Image.Image]], np.ndarray]
_SIDE = 32


def describe_pixels(images: Sequence[Image.Image]) -> np.ndarray:
    """RGB images of any size -> float32 [N, 960]: 16 x 16 grey, 8 x 8 colour, 8 x 8 x 8 gradient directions."""
    return np.stack([_describe(image) for image in images]) if images else np.zeros((0, 960), np.float32)


def _describe(image: Image.Image) -> np.ndarray:
    # `reduce` first: it only averages blocks, and the resize that follows then is of a small picture.
    factor = max(1, min(image.size) // (4 * _SIDE))
    small = (image.reduce(factor) if factor > 1 else image).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32) / 255
    grey = pixels.mean(2)
    dy, dx = np.gradient(grey)
    direction = ((np.arctan2(dy, dx) / np.pi + 1) * 4).astype(int) % 8
    histogram = np.zeros((8, 8, 8), np.float32)
    cells = np.indices((_SIDE, _SIDE)) // 4
    np.add.at(histogram, (cells[0], cells[1], direction), np.hypot(dx, dy))
    parts = (
        grey.reshape(16, 2, 16, 2).mean((1, 3)) - grey.mean(),
        pixels.reshape(8, 4, 8, 4, 3).mean((1, 3)) - 0.5,
        histogram,
    )
    # Each part has the same say.
    return np.concatenate([part.ravel() / (np.linalg.norm(part) + 1e-6) for part in parts]).astype(np.float32)


describe_pixels.cache_name = "pixels-1"  # type: ignore[attr-defined]
