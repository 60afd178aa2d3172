"""Dense targets for the tiny vision tower: what part lies under every patch, and what colours the patch holds.

A label for each of the 196 patches of a picture teaches a small tower in minutes what single answer letters do not teach
in a quarter of an hour. Colours keep what the part names would throw away, and what a comparison with a reference needs.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from torch import Tensor, nn

from core.synthesis.factory import PRODUCTS

# Every part of every product has a class of its own; 0 is the ground.
_STARTS = dict(zip(PRODUCTS, accumulate((len(p.parts) for p in PRODUCTS.values()), initial=0), strict=False))
CLASSES = 1 + sum(len(p.parts) for p in PRODUCTS.values())
COLOURS = 2  # a patch's colours are averaged over COLOURS x COLOURS fields


class DenseHeads(nn.Module):
    """Linear readouts of patch features [N, patches, D]; thrown away after pretraining."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.part = nn.Linear(width, CLASSES)
        self.colour = nn.Linear(width, 3 * COLOURS * COLOURS)

    def loss(self, features: Tensor, parts: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, share of patches whose part is read off rightly)."""
        logits = self.part(features)
        part = nn.functional.cross_entropy(logits.flatten(0, 1), parts.flatten())
        colour = nn.functional.smooth_l1_loss(self.colour(features), colours)
        return part + colour, (logits.argmax(-1) == parts).float().mean()


def part_targets(parts: np.ndarray, product: str, grid: int) -> np.ndarray:
    """The class of each patch, int64 [grid * grid]: the part that covers most of it."""
    side = parts.shape[0] // grid
    squares = parts[: side * grid, : side * grid].reshape(grid, side, grid, side).transpose(0, 2, 1, 3)
    cells = squares.reshape(grid * grid, side * side)
    labels = len(PRODUCTS[product].parts) + 1
    counts = np.stack([(cells == label).sum(1) for label in range(labels)], axis=1)
    winner = counts.argmax(1)
    return np.where(winner > 0, winner + _STARTS[product], 0).astype(np.int64)


def colour_targets(pixels: Tensor, grid: int) -> Tensor:
    """Mean colours of each patch's fields from pixel values [N, 3, h, w]: [N, grid * grid, 3 * COLOURS^2]."""
    fields = nn.functional.adaptive_avg_pool2d(pixels, grid * COLOURS)
    count = len(fields)
    fields = fields.reshape(count, 3, grid, COLOURS, grid, COLOURS).permute(0, 2, 4, 1, 3, 5)
    return fields.reshape(count, grid * grid, -1)
