"""Finding a defect without a mask: what in a picture has no counterpart in normal pictures of the product.

A small, training-free relative of patch-memory detectors (PatchCore, arXiv 2106.08265): overlapping patches are described
by colour, contrast and edge directions at two scales, and each patch of the picture is compared with the most similar patch
of the normal pictures. How far normal pictures are from each other says what is still normal. It is a guess, good enough
for a suggested sentence and never for a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from core.synthesis.descriptions.measuring import lab

SIDE = 256  # px of the long side
STEP = 6  # px between patches
WINDOW = 9  # px, the smaller scale; the larger is twice that
PLACE_WEIGHT = 3.0  # pull towards the same place, when normal pictures lie on each other
QUANTILE = 0.999
STRICTNESS = 1.35  # a patch is different from so many times the largest distance among normal pictures


class NormalLook:
    """What normal pictures of one product look like, patch by patch.

    Args:
        pictures: normal pictures.
        others: pictures with other defects than the one sought; they are normal nearly everywhere, and help where there
            are few normal ones. At least two pictures are needed in all.
    """

    def __init__(self, pictures: Sequence[Image.Image], others: Sequence[Image.Image] = ()) -> None:
        if not pictures or len(pictures) + len(others) < 2:
            raise ValueError("a normal picture and at least one more are needed")
        features = [_features(picture) for picture in (*pictures, *others)]
        everything = np.concatenate([f.reshape(-1, f.shape[-1]) for f in features])
        self._mean, self._scale = everything.mean(0), everything.std(0) + 1e-3
        self._fixed = _lie_on_each_other(pictures)
        patches = [self._patches(f) for f in features]
        self._tree = cKDTree(np.concatenate(patches))
        # Leave one out: the farthest patch of each normal picture from all the others.
        extremes = [
            np.quantile(cKDTree(np.concatenate(patches[:i] + patches[i + 1 :])).query(patches[i])[0], QUANTILE)
            for i in range(len(pictures))
        ]
        self.threshold = STRICTNESS * float(np.median(extremes))

    def difference(self, picture: Image.Image) -> np.ndarray:
        """How different each place is, float [H, W] of the picture; above 1 is different."""
        features = _features(picture)
        distance = self._tree.query(self._patches(features))[0].reshape(features.shape[:2])
        smooth = ndimage.gaussian_filter(distance / self.threshold, 1.0)
        scaled = Image.fromarray(smooth.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
        return np.asarray(scaled)

    def find(self, picture: Image.Image) -> np.ndarray:
        """The different places as a mask, bool [H, W]; empty when nothing stands out."""
        difference = self.difference(picture)
        if difference.max() < 1:
            return np.zeros(difference.shape, bool)
        # The core must be clearly different, its fringe at least half as much.
        labels, _ = ndimage.label(difference > max(0.75, 0.5 * float(difference.max())))
        cores = np.unique(labels[difference >= 1])
        return np.isin(labels, cores[cores > 0])

    def _patches(self, features: np.ndarray) -> np.ndarray:
        rows, columns, depth = features.shape
        patches = (features.reshape(-1, depth) - self._mean) / self._scale
        if self._fixed:
            y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
            place = np.stack([y, x], -1).reshape(-1, 2) * PLACE_WEIGHT * np.sqrt(depth)
            patches = np.concatenate([patches, place], 1)
        return patches.astype(np.float32)


def _features(picture: Image.Image) -> np.ndarray:
    """float [rows, columns, 16]: per scale mean L*a*b*, contrast and four edge directions."""
    scale = SIDE / max(picture.size)
    size = (max(WINDOW, round(picture.width * scale)), max(WINDOW, round(picture.height * scale)))
    colour = lab(picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
    dy, dx = (ndimage.sobel(colour[..., 0], axis) / 4 for axis in (0, 1))
    edges = [np.abs(dy), np.abs(dx), np.abs(dx + dy) / np.sqrt(2), np.abs(dx - dy) / np.sqrt(2)]
    planes = []
    for window in (WINDOW, 2 * WINDOW + 1):
        means = [ndimage.uniform_filter(colour[..., i], window) for i in range(3)]
        spread = ndimage.uniform_filter(colour[..., 0] ** 2, window) - means[0] ** 2
        planes += [*means, np.sqrt(np.maximum(spread, 0)), *(ndimage.uniform_filter(e, window) for e in edges)]
    return np.stack(planes, -1)[STEP // 2 :: STEP, STEP // 2 :: STEP]


def _lie_on_each_other(pictures: Sequence[Image.Image]) -> bool:
    """Whether normal pictures agree place by place (a fixture holds the product), unlike loose parts or a cloth."""
    small = [np.asarray(p.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32).ravel() for p in pictures]
    if len(small) < 2 or any(s.std() < 1 for s in small):
        return False
    likeness = np.atleast_2d(np.corrcoef(np.stack(small)))
    return float(np.median(likeness[np.triu_indices(len(small), 1)])) > 0.8
