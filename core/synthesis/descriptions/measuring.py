"""What can be measured of a defect: where it is, how large, of what shape, and how it differs from a normal surface.

Colours are compared in CIE L*a*b*, where equal distances look about equally different. The surface a defect is compared
with is the same place of an aligned reference where there is one, else the ring around the defect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from core.synthesis.regions import summarise

WORKING_SIDE = 512  # px; longer pictures are measured at this size
SMALL_PART = 0.05  # parts below this share of the whole mask are specks
VISIBLE = 15.0  # L*a*b* distance that counts as a change against an aligned reference
SEEN_TEXTURE = 1.5  # local deviation of L* below which a surface looks even
ALIGNED = 0.85  # correlation of the pictures outside the mask, from which a reference lies on the picture


@dataclass(frozen=True, slots=True)
class Measures:
    """One defective picture in numbers.

    Attributes:
        places: regions of the 3 x 3 grid (0..8, reading order) that hold at least a sixth of the defect, largest first.
        share: defect area as share of the picture, 0..1.
        parts: separate spots, specks not counted.
        length: longest extent of the largest part as share of the picture's longer side.
        elongation: length over width of the largest part, by its second moments; 1 is round.
        solidity: its area over that of its convex hull; 1 is compact, below 0.6 ragged or bent.
        angle: direction of the long axis in degrees, 0 horizontal, 90 vertical, in [0, 180).
        lightness, red_green, yellow_blue: difference to the normal surface in L*, a*, b* (L* runs 0..100).
        inside, outside: mean L*a*b* of the defect and of what it is compared with.
        roughness: local contrast in the defect over that of the normal surface; 1 when one is too narrow to tell.
        aligned: compared with a reference, not with the ring around it.
    """

    places: tuple[int, ...]
    share: float
    parts: int
    length: float
    elongation: float
    solidity: float
    angle: float
    lightness: float
    red_green: float
    yellow_blue: float
    inside: tuple[float, float, float]
    outside: tuple[float, float, float]
    roughness: float
    aligned: bool


def measure(image: Image.Image, mask: np.ndarray, reference: Image.Image | None = None) -> Measures | None:
    """Measure the defect `mask` (bool [H, W]) of an RGB `image`; None when the mask is empty.

    Args:
        reference: a normal picture; it is used where it lies on the picture, else only the surroundings are.
    """
    if not mask.any():
        return None
    image, mask = shrink(image), shrink_mask(mask)
    if mask.shape != (image.height, image.width):  # rounding
        mask = np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST))
    colour = lab(image)
    surface = _aligned(colour, mask, reference)
    if surface is not None:
        mask = _changed(colour, surface, mask)
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    counted = int((areas >= max(SMALL_PART * mask.sum(), 2)).sum()) or 1
    part = labels == int(areas.argmax()) + 1
    length, elongation, solidity, angle = _shape(part)
    if surface is not None:
        normal, where, striking = surface, mask, mask
    else:
        normal, where = colour, _ring(mask)
        striking = _striking(colour, mask, where)
    inside, outside = colour[striking].mean(0), normal[where].mean(0)
    difference = inside - outside
    return Measures(
        places=_places(mask),
        share=float(mask.mean()),
        parts=counted,
        length=length / max(mask.shape),
        elongation=elongation,
        solidity=solidity,
        angle=angle,
        lightness=float(difference[0]),
        red_green=float(difference[1]),
        yellow_blue=float(difference[2]),
        inside=(float(inside[0]), float(inside[1]), float(inside[2])),
        outside=(float(outside[0]), float(outside[1]), float(outside[2])),
        roughness=_roughness(_contrast(colour, mask), _contrast(normal, where)),
        aligned=surface is not None,
    )


def shrink(image: Image.Image, side: int = WORKING_SIDE) -> Image.Image:
    """`image` with its long side at most `side` px."""
    scale = min(1.0, side / max(image.size))
    if scale == 1.0:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def shrink_mask(mask: np.ndarray, side: int = WORKING_SIDE) -> np.ndarray:
    """bool [H, W] at `shrink`'s size; a shrunk pixel that holds any foreground is foreground."""
    small = shrink(Image.fromarray(mask.astype(np.uint8) * 255), side)
    return np.asarray(small) > 0


def lab(image: Image.Image) -> np.ndarray:
    """RGB picture (sRGB, D65) -> CIE L*a*b*, float32 [H, W, 3]."""
    rgb = np.asarray(image.convert("RGB"), np.float32) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089], np.float32)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def _places(mask: np.ndarray) -> tuple[int, ...]:
    summary = summarise(mask)
    return tuple(region for region in summary.ranked if summary.areas[region] >= mask.sum() / 6)


def _shape(part: np.ndarray) -> tuple[float, float, float, float]:
    """(length in px, elongation, solidity, angle) of one connected part."""
    rows, columns = np.nonzero(part)
    points = np.stack([columns, rows], 1).astype(np.float64)
    if len(points) < 3:
        return float(len(points)), float(len(points)), 1.0, 0.0
    # A pixel is a square, not a point: its own second moment is 1/12.
    values, vectors = np.linalg.eigh(np.cov(points.T) + np.eye(2) / 12)
    axis = vectors[:, 1]
    along = points @ axis
    length = float(along.max() - along.min() + 1)
    angle = float(np.degrees(np.arctan2(-axis[1], axis[0])) % 180)  # rows grow downwards
    return length, float(np.sqrt(values[1] / values[0])), _solidity(points), angle


def _solidity(points: np.ndarray) -> float:
    from scipy.spatial import ConvexHull, QhullError

    corners = np.concatenate([points + [dx, dy] for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)])
    try:
        return min(1.0, len(points) / float(ConvexHull(corners).volume))
    except QhullError:
        return 1.0


def _ring(mask: np.ndarray) -> np.ndarray:
    """The surroundings of the mask, about as wide as the defect; a few px of soft edge are left out."""
    width = int(np.clip(np.sqrt(mask.sum()) / 2, 4, 24))
    near = ndimage.binary_dilation(mask, iterations=2)
    ring = ndimage.binary_dilation(near, iterations=width) & ~near
    return ring if ring.any() else ~mask if not mask.all() else mask


def _aligned(colour: np.ndarray, mask: np.ndarray, reference: Image.Image | None) -> np.ndarray | None:
    """The reference in L*a*b* when it shows the same thing at the same place, else None."""
    if reference is None:
        return None
    height, width = mask.shape
    if abs(reference.width / reference.height - width / height) > 0.01 * width / height:
        return None
    other = lab(reference.resize((width, height), Image.Resampling.BOX))
    outside = ~ndimage.binary_dilation(mask, iterations=4)
    if outside.mean() < 0.1:
        return None
    here, there = colour[..., 0][outside], other[..., 0][outside]
    if here.std() < 1 or there.std() < 1:
        return None
    return other if float(np.corrcoef(here, there)[0, 1]) >= ALIGNED else None


def _changed(colour: np.ndarray, surface: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of the mask that really looks different: a mask made from a box is mostly sound surface."""
    changed = mask & (np.linalg.norm(colour - surface, axis=-1) > VISIBLE)
    changed = ndimage.binary_opening(changed) if ndimage.binary_opening(changed).any() else changed
    return changed if changed.sum() >= 0.02 * mask.sum() else mask


def _striking(colour: np.ndarray, mask: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """The pixels of a generous mask that its surroundings hardly have; the whole mask when there are few of them."""
    distance = np.linalg.norm(colour - np.median(colour[ring], axis=0), axis=-1)
    striking = mask & (distance > np.quantile(distance[ring], 0.95))
    return striking if striking.sum() >= 0.15 * mask.sum() else mask


def _contrast(colour: np.ndarray, where: np.ndarray) -> float | None:
    """Mean local deviation of lightness (3 x 3 px) well inside `where`; None when it is too narrow to have a texture."""
    light = colour[..., 0]
    mean = ndimage.uniform_filter(light, 3)
    variance = ndimage.uniform_filter(light * light, 3) - mean * mean
    # The defect's own outline is not its texture.
    inner = ndimage.binary_erosion(where, iterations=2)
    return float(np.sqrt(np.maximum(variance, 0))[inner].mean()) if inner.sum() >= 30 else None


def _roughness(defect: float | None, normal: float | None) -> float:
    if defect is None or normal is None:
        return 1.0
    return max(defect, SEEN_TEXTURE) / max(normal, SEEN_TEXTURE)
