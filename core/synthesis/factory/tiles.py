"""Endless textures: square tiles that repeat without a seam, made once per process and read at any place, angle and scale.

A picture draws a random offset into a tile, so two pictures never show the same piece; reading is one table look-up a
pixel, which is what makes a rendered picture cost milliseconds. Tiles have mean 0 and standard deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

Array = np.ndarray
SIZE = 512  # a power of two: wrapping is then a bit mask


def _standard(values: Array) -> Array:
    values = values - values.mean()
    return (values / values.std()).astype(np.float32)


def _spectrum(seed: int, power: float, stretch: float = 1.0, low: float = 1.0) -> Array:
    """Noise whose amplitude falls as 1/f^power; `stretch` > 1 draws it out along the rows (second axis)."""
    white = np.random.default_rng(seed).standard_normal((SIZE, SIZE))
    fy, fx = np.meshgrid(np.fft.fftfreq(SIZE) * SIZE, np.fft.rfftfreq(SIZE) * SIZE, indexing="ij")
    radius = np.hypot(fy, fx * stretch)
    gain = np.where(radius < low, 0.0, 1.0 / np.maximum(radius, 1.0) ** power)
    return _standard(np.fft.irfft2(np.fft.rfft2(white) * gain, s=(SIZE, SIZE)))


def _cells(seed: int, count: int) -> tuple[Array, Array]:
    """Distances to the nearest and second nearest of `count` jittered points on the torus, in texels."""
    rng = np.random.default_rng(seed)
    side = int(round(count**0.5))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    points = ((grid + 0.5 + rng.uniform(-0.46, 0.46, grid.shape)) * SIZE / side) % SIZE
    # Cells of an even grid look machined: bend the plane a little before measuring.
    warp = [_spectrum(seed + 7 + axis, 2.2, low=2.0) * SIZE / side * 0.22 for axis in (0, 1)]
    where = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1) + np.stack(warp, -1)
    near, _ = cKDTree(points, boxsize=SIZE).query(where.reshape(-1, 2) % SIZE, k=2)
    return near[:, 0].reshape(SIZE, SIZE), near[:, 1].reshape(SIZE, SIZE)


def _leather() -> Array:
    """Pebbles of two sizes between fine creases: 0 in the crease, rising to the middle of the pebble."""
    first, second = _cells(31, 34 * 34)
    small_first, small_second = _cells(32, 60 * 60)
    large = np.clip((second - first) / 6.0, 0, 1) ** 0.6
    small = np.clip((small_second - small_first) / 4.0, 0, 1) ** 0.6
    return _standard(ndimage.gaussian_filter(np.minimum(large, 0.45 + 0.55 * small), 0.8, mode="wrap"))


def _blobs() -> Array:
    """Soft spots of one size, as in glazed stone: noise of a narrow band, its peaks cut off."""
    band = _spectrum(41, 0.9, low=26.0)
    return _standard(np.tanh(ndimage.gaussian_filter(band, 1.7, mode="wrap") * 2.2))


MAKERS: dict[str, Callable[[], Array]] = {
    "white": lambda: _spectrum(11, 0.0),
    "grain": lambda: _spectrum(12, 0.7),
    "cloud": lambda: _spectrum(13, 1.6),
    "smoke": lambda: _spectrum(14, 2.4),
    "streak": lambda: _spectrum(15, 0.75, stretch=40.0),
    "fibre": lambda: _spectrum(16, 0.9, stretch=9.0),
    "leather": _leather,
    "blobs": _blobs,
    "crumb": lambda: _standard(np.abs(_spectrum(17, 1.1))),
}


@cache
def tile(name: str) -> Array:
    """The named tile, float32 [512, 512]; raises KeyError for an unknown name."""
    values = MAKERS[name]()
    values.setflags(write=False)
    return values


@cache
def _fourfold(name: str) -> Array:
    """The tile twice in each direction, so that any piece up to its size is a plain slice."""
    return np.tile(tile(name), (2, 2))


def read(name: str, u: Array, v: Array, offset: tuple[float, float] = (0.0, 0.0)) -> Array:
    """The tile at texel coordinates `u` (along rows) and `v`, nearest texel, wrapped; shapes as u and v broadcast."""
    columns = (u + np.float32(offset[0])).astype(np.int64) & (SIZE - 1)
    rows = (v + np.float32(offset[1])).astype(np.int64) & (SIZE - 1)
    rows <<= 9
    rows += columns
    return tile(name).reshape(-1).take(rows)


def crop(name: str, rng: np.random.Generator, height: int, width: int) -> Array:
    """A random axis-aligned piece (at most 512 x 512), randomly mirrored: sensor noise at the price of a slice."""
    top, left = (int(n) for n in rng.integers(0, SIZE, 2))
    piece = _fourfold(name)[top : top + height, left : left + width]
    return piece[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
