"""Patch comparison as matrix products.

The definition (EMIT, section on the heatmap-guided contrastive embedding): per layer, the cosine of every query patch
with every patch of the rotated references; a pair whose rows or columns lie more than `window` apart counts as 0; the
best of them is the similarity; averaged over layers, 1 - similarity is the map. A tower that learns to compare gets its gradient
through it.

So the similarity is max(0, best cosine inside the window), and patches outside need not be touched: a band of query rows
meets only the reference rows around it. The cosines of a band are one matrix product, divided by the lengths; one band of
one rotation is all that is ever held, but for a query that learns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def anomaly_map(
    query: Sequence[Tensor], reference: Sequence[Tensor], *, window: int = 6, grid: tuple[int, int] | None = None
) -> Tensor:
    """How little each query patch resembles the reference near its own place.

    Args:
        query: over layers, patch features [B, H*W, D] in row-major order. D may differ between layers.
        reference: over the same layers, without a gradient, [B, R*H*W, D]: R rotations of the reference, one after the other,
            each patch at the place it has in the rotated picture.
        window: largest difference of rows and of columns that may be compared, in patches; 0 is the same place only.
        grid: (H, W); a square is assumed if None.

    Returns:
        float32 [B, 1, H, W] between 0 (the same) and 1 (nothing alike in the window).

    Raises:
        ValueError: shapes that do not belong together, or a negative window.
    """
    height, width = _check(query, reference, window, grid)
    batch, patches = query[0].shape[:2]
    device = query[0].device
    bands = _bands(height, width, window, device)
    with torch.autocast(device.type, enabled=False):  # training's would undo the 32 bits below
        similarity = _similarity(query, reference, bands)
    return (1 - similarity).view(batch, 1, height, width)


def _similarity(
    query: Sequence[Tensor], reference: Sequence[Tensor], bands: list[tuple[slice, slice, Tensor]]
) -> Tensor:
    """Of each query patch, averaged over layers: float32 [B, patches]."""
    batch, patches = query[0].shape[:2]
    similarity = query[0].new_zeros(batch, patches, dtype=torch.float32)
    for features, references in zip(query, reference, strict=True):
        # Half precision would round cosines near 1, where normal patches lie, to steps of 0.004.
        left = normalize(features.float(), dim=-1)
        best = torch.zeros_like(similarity)  # a pair outside the window counts as 0, so 0 is the least
        for turned in references.split(patches, dim=1):
            right = turned.float()
            # Lengths are divided out of the products: a normalised copy of the references is never made. In place, which
            # only the query's gradient allows.
            scale = 1 / right.norm(dim=-1).clamp_min(1e-12)
            found = []
            for rows, near, outside in bands:
                cosines = (left[:, rows] @ right[:, near].mT).mul_(scale[:, None, near])
                found.append(cosines.masked_fill_(outside, 0).amax(-1))
            best = torch.maximum(best, torch.cat(found, dim=1))
        similarity = similarity + best
    return similarity / len(query)


def _bands(height: int, width: int, window: int, device: torch.device) -> list[tuple[slice, slice, Tensor]]:
    """Bands of query rows: (their patches, the reference patches in reach, which pairs are too far apart)."""
    # Bands of the window's own height: fewer products than the full matrix, and still large ones.
    step = min(height, max(4, window))
    row = torch.arange(height * width, device=device) // width
    column = torch.arange(height * width, device=device) % width
    bands = []
    for top in range(0, height, step):
        rows = slice(top * width, min(top + step, height) * width)
        near = slice(max(top - window, 0) * width, min(top + step + window, height) * width)
        outside = (row[rows, None] - row[near]).abs() > window
        outside |= (column[rows, None] - column[near]).abs() > window
        bands.append((rows, near, outside))
    return bands


def _check(
    query: Sequence[Tensor], reference: Sequence[Tensor], window: int, grid: tuple[int, int] | None
) -> tuple[int, int]:
    if not len(query) or len(query) != len(reference):
        raise ValueError(f"as many layers of query as of reference are needed, got {len(query)} and {len(reference)}")
    if window < 0:
        raise ValueError(f"window must be 0 or more, got {window}")
    patches = query[0].shape[1]
    height, width = grid or (math.isqrt(patches),) * 2
    if height * width != patches:
        raise ValueError(f"{patches} patches are no grid of {height} x {width}: give grid=(H, W)")
    for left, right in zip(query, reference, strict=True):
        if left.ndim != 3 or right.ndim != 3 or left.shape[::2] != right.shape[::2] or left.shape[1] != patches:
            raise ValueError(f"query {tuple(left.shape)} and reference {tuple(right.shape)} do not belong together")
        if right.shape[1] == 0 or right.shape[1] % patches:
            raise ValueError(f"{right.shape[1]} reference patches are no whole number of rotations of {patches}")
    return height, width
