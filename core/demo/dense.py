"""Dense targets for the tiny vision tower: which part lies under every patch, its colours, its fine detail, its place.

A label for each of the 196 patches of a picture teaches a small tower in minutes what single answer letters do not teach
in a quarter of an hour. Colours and detail keep what the part names would throw away and what a comparison with a
reference needs; the place keeps "where" readable.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from core.demo.marks import GIST, NAMES
from core.synthesis.factory import PRODUCTS
from core.training.grounding import gist_loss, patch_loss

# Every part of every product has a class of its own; 0 is the ground.
_STARTS = dict(zip(PRODUCTS, accumulate((len(p.parts) for p in PRODUCTS.values()), initial=0), strict=False))
CLASSES = 1 + sum(len(p.parts) for p in PRODUCTS.values())
COLOURS = 2  # a patch's colours are averaged over COLOURS x COLOURS fields


DETAIL = 8  # a patch's brightness around its mean, in DETAIL x DETAIL fields
_LOUDER = 4.0  # detail is faint beside colour: a scratch moves few pixels a little


class DenseHeads(nn.Module):
    """Linear readouts of patch features [N, patches, D]; thrown away after pretraining."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.part = nn.Linear(width, CLASSES)
        self.colour = nn.Linear(width, 3 * COLOURS * COLOURS)
        self.detail = nn.Linear(width, DETAIL * DETAIL)
        self.place = nn.Linear(width, 2)
        self.mark = nn.Linear(width, 1 + len(NAMES))
        self.gist = nn.Linear(width, GIST)

    def loss(self, features: Tensor, parts: Tensor, pixels: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        """(loss, share of patches whose part is read off rightly).

        Args:
            parts: int64 [N, grid * grid], see `part_targets`.
            pixels: what the tower saw, [N, 3, h, w].
        """
        logits = self.part(features)
        near = nn.functional.smooth_l1_loss
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), parts.flatten())
        loss = loss + near(self.colour(features), fields(pixels, grid, COLOURS))
        grey = fields(pixels.mean(1, keepdim=True), grid, DETAIL)
        loss = loss + near(self.detail(features), _LOUDER * (grey - grey.mean(-1, keepdim=True)))
        loss = loss + near(self.place(features), places(grid).to(features.device).expand(len(features), -1, -1))
        return loss, (logits.argmax(-1) == parts).float().mean()

    def mark_loss(self, features: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, share of covered patches whose mark is read off rightly).

        Args:
            marks: which drawn mark covers a patch, int64 [N, patches], 0 for none; few are covered, so both halves count.
        """
        return patch_loss(self.mark(features), marks)

    def gist_loss(self, features: Tensor, gists: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, share of patches that say rightly whether the picture bears a mark at all).

        Every patch shall know what any of them knows, before grounding makes tokens say it: a language model of this size
        reads what all tokens of a picture say in minutes, and does not learn in hours to look for the one that says it.

        Args:
            gists: see `gist_targets`, float [N, GIST]; the same is asked of all patches.
        """
        return gist_loss(self.gist(features), gists)


def part_targets(parts: np.ndarray, product: str, grid: int) -> np.ndarray:
    """The class of each patch, int64 [grid * grid]: the part that covers most of it."""
    side = parts.shape[0] // grid
    squares = parts[: side * grid, : side * grid].reshape(grid, side, grid, side).transpose(0, 2, 1, 3)
    cells = squares.reshape(grid * grid, side * side)
    labels = len(PRODUCTS[product].parts) + 1
    counts = np.stack([(cells == label).sum(1) for label in range(labels)], axis=1)
    winner = counts.argmax(1)
    return np.where(winner > 0, winner + _STARTS[product], 0).astype(np.int64)


def fields(pixels: Tensor, grid: int, count: int) -> Tensor:
    """Mean of each patch's count x count fields: [N, C, h, w] -> [N, grid * grid, C * count^2]."""
    means = nn.functional.adaptive_avg_pool2d(pixels, grid * count)
    number, channels = means.shape[:2]
    means = means.reshape(number, channels, grid, count, grid, count).permute(0, 2, 4, 1, 3, 5)
    return means.reshape(number, grid * grid, -1)


def places(grid: int) -> Tensor:
    """Row and column of each patch, from -1 to 1: [grid * grid, 2]."""
    line = torch.linspace(-1, 1, grid)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1).reshape(grid * grid, 2)
