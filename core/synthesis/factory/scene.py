"""What lies under the camera, before light: one stack of maps that products paint into and defects spoil.

Maps (float32 [7, H, W]): albedo (3, linear light), height (object units), gloss (strength of the highlight), roughness
and metal (0..1); beside them the part label of every pixel. Because a dent changes height and a scratch height and
gloss, light treats a defect as it treats the product.

Object units: the picture is 2 wide, its middle is (0, 0), x to the right and y down, before the pose turns them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.synthesis.factory import tiles

Array = np.ndarray
Colour = Sequence[float]  # sRGB, three values 0..1
HEIGHT, GLOSS, ROUGH, METAL = 3, 4, 5, 6
MAPS = 7


@dataclass(frozen=True, slots=True)
class Pose:
    """How the product lies: place of its middle (picture units), turn in radians (clockwise), scale."""

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    scale: float = 1.0


def darker(colour: Colour, share: float) -> Colour:
    """The colour at `share` of its brightness."""
    return tuple(min(1.0, share * value) for value in colour)


class Patch:
    """A window of the scene with its own coordinates; painting into it paints the scene.

    Attributes:
        x, y: float32 [h, w], object coordinates of every pixel, relative to the patch's own middle and turn.
        px: width of a pixel in object units.
        maps, parts: views of the scene's maps [7, h, w] and part labels [h, w].
    """

    def __init__(self, x: Array, y: Array, px: float, maps: Array, parts: Array) -> None:
        self.x, self.y, self.px, self.maps, self.parts = x, y, px, maps, parts

    @classmethod
    def empty(cls, size: int, pose: Pose) -> Patch:
        """The whole picture, `size` pixels square."""
        line = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
        x, y = line[None, :] - np.float32(pose.x), line[:, None] - np.float32(pose.y)
        c, s = math.cos(pose.angle) / pose.scale, math.sin(pose.angle) / pose.scale
        maps = np.zeros((MAPS, size, size), np.float32)
        maps[ROUGH] = 0.5
        return cls(
            (c * x + s * y).astype(np.float32), (c * y - s * x).astype(np.float32), 2.0 / size / pose.scale,
            maps, np.zeros((size, size), np.uint8),
        )  # fmt: skip

    def copy(self) -> Patch:
        return Patch(self.x, self.y, self.px, self.maps.copy(), self.parts.copy())

    def at(self, x: float, y: float, reach: float, turn: float = 0.0) -> Patch:
        """The window that holds all points within `reach` of (x, y), with its own middle there, turned by `turn`."""
        rows, columns = self.window(x, y, reach)
        dx, dy = self.x[rows, columns] - np.float32(x), self.y[rows, columns] - np.float32(y)
        if turn:
            c, s = np.float32(math.cos(turn)), np.float32(math.sin(turn))
            dx, dy = c * dx + s * dy, c * dy - s * dx
        return Patch(dx, dy, self.px, self.maps[:, rows, columns], self.parts[rows, columns])

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """Rows and columns that hold all points within `reach` of (x, y), cut at the picture's border."""
        # Coordinates are an affine map of (row, column): invert it from the corner pixels.
        height, width = self.x.shape
        if height < 2 or width < 2:
            return slice(0, height), slice(0, width)
        ux, uy = float(self.x[0, 1] - self.x[0, 0]), float(self.y[0, 1] - self.y[0, 0])
        vx, vy = float(self.x[1, 0] - self.x[0, 0]), float(self.y[1, 0] - self.y[0, 0])
        determinant = ux * vy - uy * vx
        dx, dy = x - float(self.x[0, 0]), y - float(self.y[0, 0])
        column, row = (dx * vy - dy * vx) / determinant, (dy * ux - dx * uy) / determinant
        r = reach / self.px + 1.5
        clip = lambda value, end: int(min(max(value, 0), end))  # noqa: E731
        return (
            slice(clip(row - r, height), clip(row + r + 1, height)),
            slice(clip(column - r, width), clip(column + r + 1, width)),
        )

    def paint(
        self,
        cover: Array | float,
        colour: Colour | None = None,
        *,
        tone: Array | float | None = None,
        part: int | None = None,
        height: Array | float | None = None,
        relief: Array | float | None = None,
        gloss: Array | float | None = None,
        rough: Array | float | None = None,
        metal: float | None = None,
    ) -> None:
        """Lay a material over what is there, where `cover` (0..1) says so.

        Args:
            colour: sRGB 0..1; `tone` multiplies it (linear light) pixel by pixel.
            part: label written where more than half of a pixel is covered.
            height: replaces the height; relief: is added to it.
        """
        if not self.x.size:
            return
        if colour is not None:
            for channel, value in zip(self.maps[:3], colour, strict=True):
                linear = np.float32(value * value)
                channel += ((linear if tone is None else linear * tone) - channel) * cover
        elif tone is not None:
            self.maps[:3] *= 1.0 + (tone - 1.0) * cover
        for index, level in ((HEIGHT, height), (GLOSS, gloss), (ROUGH, rough), (METAL, metal)):
            if level is not None:
                self.maps[index] += (level - self.maps[index]) * cover
        if relief is not None:
            self.maps[HEIGHT] += relief * cover
        if part is not None:
            self.parts[np.broadcast_to(np.asarray(cover) > 0.5, self.parts.shape)] = part

    def texture(self, name: str, rng: np.random.Generator, size: float, stretch: float = 1.0) -> Array:
        """A tile laid over the patch at a random place: `size` object units for its 512 texels; mean 0, spread 1.

        `stretch` > 1 draws it out along x. Textures stick to the object: they turn and move with the pose.
        """
        offset = rng.uniform(0, tiles.SIZE, 2)
        scale = np.float32(tiles.SIZE / size)
        # Kept positive: conversion to integers cuts towards zero.
        shift = 64.0 * tiles.SIZE
        return tiles.read(
            name, self.x * (scale / np.float32(stretch)), self.y * scale, (offset[0] + shift, offset[1] + shift)
        )
