"""Where a defect is: the mask's share of each cell of a 3 x 3 grid (EMIT, "Multi-task dataset").

Cells that hold mask pixels are ranked by area; the right answer is the largest, and no touched cell may ever be offered as
a wrong one. Each cell has several wordings, so that a model learns the place and not a phrase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# reading order; the first wording is the cell's name
WORDINGS: tuple[tuple[str, ...], ...] = (
    ("top left", "upper left", "left top", "upper left corner"),
    ("top", "top center", "upper middle", "middle of the upper edge"),
    ("top right", "upper right", "right top", "upper right corner"),
    ("left", "center left", "middle left", "middle of the left edge"),
    ("center", "middle", "central area", "middle of the picture"),
    ("right", "center right", "middle right", "middle of the right edge"),
    ("bottom left", "lower left", "left bottom", "lower left corner"),
    ("bottom", "bottom center", "lower middle", "middle of the lower edge"),
    ("bottom right", "lower right", "right bottom", "lower right corner"),
)
REGIONS = tuple(wordings[0] for wordings in WORDINGS)


@dataclass(frozen=True, slots=True)
class MaskSummary:
    """All that questions need to know about a mask.

    Attributes:
        width, height: in pixels.
        areas: foreground pixels in each of the nine cells, in reading order.
    """

    width: int
    height: int
    areas: tuple[int, ...]

    @property
    def is_empty(self) -> bool:
        return not any(self.areas)

    @property
    def ranked(self) -> tuple[int, ...]:
        """Indices of the touched cells, largest area first; equal areas in reading order."""
        return tuple(sorted((i for i in range(9) if self.areas[i]), key=lambda i: (-self.areas[i], i)))


def cuts(length: int) -> tuple[int, int]:
    """The first pixel of the middle and of the last third; a pixel belongs to the third its centre lies in."""
    return (2 * length + 3) // 6, (4 * length + 3) // 6


def summarise(
    mask: np.ndarray, *, offset: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None
) -> MaskSummary:
    """Count a mask's foreground per cell.

    Args:
        mask: bool [H, W].
        offset: (left, top) of `mask` within the whole when it is a part of it.
        size: (width, height) of the whole.
    """
    width, height = size or (mask.shape[1], mask.shape[0])
    columns = [0, *(min(max(cut - offset[0], 0), mask.shape[1]) for cut in cuts(width)), mask.shape[1]]
    rows = [0, *(min(max(cut - offset[1], 0), mask.shape[0]) for cut in cuts(height)), mask.shape[0]]
    areas = tuple(
        int(np.count_nonzero(mask[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]))
        for r in range(3)
        for c in range(3)
    )
    return MaskSummary(width, height, areas)


def region_names(mask: np.ndarray) -> tuple[str, ...]:
    """Names of the cells a mask (bool [H, W]) touches, largest share first; () for an empty one.

    >>> mask = np.zeros((90, 90), bool); mask[5:20, 50:70] = True
    >>> region_names(mask)
    ('top', 'top right')
    """
    return tuple(REGIONS[i] for i in summarise(np.asarray(mask, bool)).ranked)


def cells_of(side: int) -> list[int]:
    """The ninth of the picture in which each of side x side fields lies, row by row."""
    ninths = [int(3 * (place + 0.5) / side) for place in range(side)]
    return [3 * row + column for row in ninths for column in ninths]
