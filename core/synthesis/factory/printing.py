"""Print: text, bars and logos drawn once as a decal and laid onto a surface; and the ways a print can go wrong."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from core.synthesis.factory.scene import Patch

Array = np.ndarray
DPI = 150  # decal pixels per object unit


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class Decal:
    """Ink on a rectangle of `width` x `height` object units: coverage 0..1, drawn with Pillow."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._image = Image.new("L", (max(4, round(width * DPI)), max(4, round(height * DPI))), 0)
        self._draw = ImageDraw.Draw(self._image)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x + self.width / 2) * DPI, (y + self.height / 2) * DPI

    def text(self, x: float, y: float, words: str, height: float, ink: int = 255, anchor: str = "mm") -> Decal:
        self._draw.text(self._at(x, y), words, fill=ink, font=font(max(6, round(height * DPI))), anchor=anchor)
        return self

    def box(self, x: float, y: float, half_width: float, half_height: float, ink: int = 255, radius: float = 0.0,
            outline: float = 0.0) -> Decal:  # fmt: skip
        corners = [self._at(x - half_width, y - half_height), self._at(x + half_width, y + half_height)]
        options = {"outline": ink, "width": max(1, round(outline * DPI))} if outline else {"fill": ink}
        self._draw.rounded_rectangle([*corners[0], *corners[1]], radius * DPI, **options)  # type: ignore[arg-type]
        return self

    def disc(self, x: float, y: float, radius: float, ink: int = 255, outline: float = 0.0) -> Decal:
        corners = [*self._at(x - radius, y - radius), *self._at(x + radius, y + radius)]
        options = {"outline": ink, "width": max(1, round(outline * DPI))} if outline else {"fill": ink}
        self._draw.ellipse(corners, **options)  # type: ignore[arg-type]
        return self

    def shape(self, points: list[tuple[float, float]], ink: int = 255) -> Decal:
        self._draw.polygon([self._at(*point) for point in points], fill=ink)
        return self

    def bars(self, x: float, y: float, half_width: float, half_height: float, rng: np.random.Generator) -> Decal:
        """A barcode."""
        at = x - half_width
        while at < x + half_width:
            width = 0.011 * int(rng.integers(1, 4))
            self.box(min(at + width / 2, x + half_width), y, width / 2, half_height)
            at += width + 0.011 * int(rng.integers(1, 4))
        return self

    def ink(self) -> Array:
        """Coverage [h, w], float32 0..1."""
        return np.asarray(self._image, np.float32) * np.float32(1 / 255)


def sample(ink: Array, patch: Patch, width: float, height: float, x: float = 0.0, y: float = 0.0) -> Array:
    """The decal's coverage at every pixel of the patch, its middle at (x, y); 0 outside."""
    u = (patch.x - np.float32(x - width / 2)) * np.float32(DPI) - 0.5
    v = (patch.y - np.float32(y - height / 2)) * np.float32(DPI) - 0.5
    blur = patch.px * DPI * 0.35  # decals are finer than the picture: average what a pixel sees
    smooth = ndimage.gaussian_filter(ink, blur) if blur > 0.4 else ink
    return ndimage.map_coordinates(smooth, [v, u], order=1, mode="constant", prefilter=False)


def spoil(ink: Array, rng: np.random.Generator, amount: float) -> Array:
    """A misprint of the decal: doubled, smeared, partly missing, or cut by a dry stripe."""
    h, w = ink.shape
    way = int(rng.integers(4))
    if way == 0:  # doubled
        shift = 0.02 + 0.05 * amount
        dy, dx = (int(round(s * DPI)) for s in (rng.choice([-1, 1]) * shift * 0.6, rng.choice([-1, 1]) * shift))
        return np.maximum(ink, 0.8 * ndimage.shift(ink, (dy, dx), order=0))
    line = np.arange(w, dtype=np.float32)[None, :] / w
    column = np.arange(h, dtype=np.float32)[:, None] / h
    if way == 1:  # smeared along one direction, in a band
        length = max(3, int((0.06 + 0.12 * amount) * DPI))
        smeared = ndimage.uniform_filter1d(ink, length, axis=1, origin=-(length // 2) + 1, mode="constant")
        middle, half = rng.uniform(0.25, 0.75), 0.15 + 0.2 * amount
        weight = np.clip((half - np.abs(column - middle)) * 12, 0, 1)
        return ink + (np.minimum(smeared * 1.5, 1) - ink) * weight
    if way == 2:  # a corner did not print
        cx, cy = rng.choice([0.0, 1.0]), rng.choice([0.0, 1.0])
        reach = 0.45 + 0.35 * amount
        ragged = 0.05 * np.sin(line * 37 + rng.uniform(0, 6)) + 0.05 * np.sin(column * 29 + rng.uniform(0, 6))
        return ink * np.clip((np.hypot(line - cx, column - cy) + ragged - reach) * 10, 0, 1)
    middle, half = rng.uniform(0.3, 0.7), 0.07 + 0.13 * amount  # a dry stripe of the roller
    axis = line if rng.random() < 0.5 else column
    return ink * np.clip((np.abs(axis - middle) - half) * 20, 0.05, 1)
