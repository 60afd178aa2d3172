"""Changes of a product's own parts, as marks are drawn: a part gone, shifted or turned, its lines blurred or doubled, a notch.

What is drawn on a product stands out by itself; what is gone from it stands out only to who knows the product, or holds it
against another piece. So the tiny base is shown both. The changes are made on the finished picture, from the labels of its parts
alone: no relief, no light, nothing of the factory's ways to spoil a product while it is built. Still they look somewhat as a
part that is missing or misplaced, a misprint and a broken edge do; only nobody says so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

# (picture float32 [H, W, 3], parts uint8 [H, W]) as they are after the change.
Changed = tuple[np.ndarray, np.ndarray]
LEAST, MOST = 0.0008, 0.12  # of a picture, that a part covers which is gone or shifted


def gone(image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Changed | None:
    """A part, or a piece of a large one, is not there: what surrounds it goes on instead."""
    piece = _piece(parts, rng)
    return None if piece is None else _without(image, parts, piece, rng)


def shifted(image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Changed | None:
    """A part lies beside its place, or turned about its middle."""
    piece = _piece(parts, rng)
    if piece is None:
        return None
    unit = len(parts) / 112
    left, labels = _without(image, parts, piece, rng)
    turn = 0.0 if rng.random() < 0.4 else math.radians(rng.choice([90, 180, rng.uniform(12, 60), -rng.uniform(12, 60)]))
    away = 0.0 if turn and rng.random() < 0.4 else unit * rng.uniform(3, 14)
    heading = rng.uniform(0, 2 * math.pi)
    middle = np.argwhere(piece).mean(0)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    start = middle - matrix @ (middle + away * np.array([math.sin(heading), math.cos(heading)]))

    def moved(values: np.ndarray, order: int) -> np.ndarray:
        return ndimage.affine_transform(values, matrix, start, order=order, mode="constant")

    alpha = moved(ndimage.binary_dilation(piece).astype(np.float32), 1) * (parts > 0)
    body = np.stack([moved(image[..., channel], 1) for channel in range(3)], -1)
    there = moved(piece.astype(np.uint8), 0).astype(bool) & (parts > 0)
    if there.sum() < 0.7 * piece.sum():  # off the product: gone rather than shifted
        return None
    label = int(parts[piece][0])
    return left + (body - left) * alpha[..., None], np.where(there, label, labels).astype(parts.dtype)


def blurred(image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Changed | None:
    """Somewhere, lines are blurred, wiped, doubled or missing; rather on a part than on the body."""
    rows, columns = np.nonzero(parts > 1 if rng.random() < 0.7 and (parts > 1).any() else parts > 0)
    if not len(rows):
        return None
    unit, at = len(parts) / 112, rng.randrange(len(rows))
    area = _blob(parts.shape, (rows[at], columns[at]), unit * rng.uniform(5, 14), rng)
    way = rng.choice(("blurred", "wiped", "doubled", "faint"))
    if way == "blurred":
        other = ndimage.gaussian_filter(image, (unit * rng.uniform(1.2, 2.5),) * 2 + (0,))
    elif way == "faint":
        other = image + 0.85 * (ndimage.gaussian_filter(image, (unit * 6,) * 2 + (0,)) - image)
    else:
        heading, far = rng.uniform(0, 2 * math.pi), unit * rng.uniform(2, 6)
        steps = (1.0,) if way == "doubled" else (0.25, 0.5, 0.75, 1.0)
        copies = [ndimage.shift(image, (s * far * math.sin(heading), s * far * math.cos(heading), 0), order=1, mode="nearest")
                  for s in steps]  # fmt: skip
        other = np.mean([image, *copies], axis=0)
    alpha = ndimage.gaussian_filter(area.astype(np.float32), 0.7 * unit) * (parts > 0)
    return image + (other - image) * alpha[..., None], parts


def notched(image: np.ndarray, parts: np.ndarray, rng: random.Random) -> Changed | None:
    """A bit of the outline is gone: the ground shows, behind a narrow face of another tone."""
    ground = parts == 0
    if ground.mean() < 0.03:
        return None
    rows, columns = np.nonzero(~ground & ndimage.binary_dilation(ground))
    inner = (np.minimum(rows, columns) > 2) & (np.maximum(rows, columns) < len(parts) - 3)
    rows, columns = rows[inner], columns[inner]
    if not len(rows):
        return None
    unit, at = len(parts) / 112, rng.randrange(len(rows))
    area = _blob(parts.shape, (rows[at], columns[at]), unit * rng.uniform(3.5, 11), rng) & ~ground
    depth = unit * rng.uniform(0.7, 2.5)
    hole = area & (ndimage.distance_transform_edt(area | ground) > depth)
    if not hole.any():
        return None
    far = ground & (ndimage.distance_transform_edt(ground) > 3 * unit)  # beyond the shadow
    source = far if far.any() else ground
    nearest = ndimage.distance_transform_edt(~source, return_distances=False, return_indices=True)
    face = image.mean((0, 1)) * 0.3 + image[area].mean(0) * 0.7
    result = image + (face * rng.uniform(0.6, 1.4) - image) * _soft(area)[..., None] * rng.uniform(0.5, 0.9)
    result = result + (image[nearest[0], nearest[1]] - result) * _soft(hole)[..., None]
    return result, np.where(hole, 0, parts).astype(parts.dtype)


CHANGES: Mapping[str, Callable[[np.ndarray, np.ndarray, random.Random], Changed | None]] = {
    "gone": gone, "shifted": shifted, "blurred": blurred, "notch": notched,
}  # fmt: skip


def _piece(parts: np.ndarray, rng: random.Random) -> np.ndarray | None:
    """A part other than the body, bool [H, W]; of one too large, or grown together with its like, a piece."""
    labels = [int(label) for label in np.unique(parts) if label > 1]
    if not labels:
        return None
    whole, count = ndimage.label(parts == rng.choice(labels))
    piece = whole == rng.randint(1, count)
    if piece.mean() > MOST:
        rows, columns = np.nonzero(piece)
        at, unit = rng.randrange(len(rows)), len(parts) / 112
        piece &= _blob(parts.shape, (rows[at], columns[at]), unit * rng.uniform(4, 10), rng)
    return piece if piece.mean() > LEAST else None


def _without(image: np.ndarray, parts: np.ndarray, piece: np.ndarray, rng: random.Random) -> Changed:
    unit = max(1, round(len(parts) / 112))
    hole = ndimage.binary_dilation(piece, iterations=unit)
    ring = ndimage.binary_dilation(hole, iterations=2 * unit) & ~hole
    label = int(np.bincount(parts[ring]).argmax()) if ring.any() else 0
    filled = _elsewhere(image, (parts == label) & ~hole, hole, ring, rng)
    if filled is None:
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
        filled = ndimage.gaussian_filter(image[nearest[0], nearest[1]], (unit, unit, 0))
    return image + (filled - image) * _soft(hole)[..., None], np.where(piece, label, parts).astype(parts.dtype)


def _elsewhere(
    image: np.ndarray, free: np.ndarray, hole: np.ndarray, ring: np.ndarray, rng: random.Random
) -> np.ndarray | None:
    """The picture moved so that `hole` falls on pixels that are `free`, as light as its ring; None if it nowhere does."""
    rows, columns = np.nonzero(hole)
    size = len(hole)
    for _ in range(60):
        down, right = (
            rng.randint(-rows.min(), size - 1 - rows.max()),
            rng.randint(-columns.min(), size - 1 - columns.max()),
        )
        if free[rows + down, columns + right].all():
            moved = np.roll(image, (-down, -right), (0, 1))
            return moved + (np.median(image[ring], 0) - np.median(moved[hole], 0))
    return None


def _blob(shape: tuple[int, ...], at: tuple[int, int], radius: float, rng: random.Random) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y, x = y - at[0], x - at[1]
    angle = np.arctan2(y, x)
    edge = ragged(angle, rng)
    cut = rng.uniform(0, 2 * math.pi)
    return (np.hypot(x, y) < radius * edge) & (x * math.cos(cut) + y * math.sin(cut) < 0.7 * radius)


def ragged(angle: np.ndarray, rng: random.Random) -> np.ndarray:
    """How far an area with a ragged outline reaches at each angle (radians), about 1."""
    waves = (rng.uniform(-0.3, 0.3) / n * np.sin(n * angle + rng.uniform(0, 6)) for n in (2, 3, 4, 5))
    return 1 + sum(waves, np.zeros_like(angle))


def _soft(area: np.ndarray) -> np.ndarray:
    return np.clip(ndimage.gaussian_filter(area.astype(np.float32), 0.6), 0, 1)
