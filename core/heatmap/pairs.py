"""Comparing two pictures outside of any question: what inspection and the studio show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


@torch.no_grad()
def compare_pictures(
    model: Any,
    processor: Any,
    query: Any,
    reference: Any,
    *,
    window: int | None = None,
    rotations: Sequence[int] | None = None,
) -> np.ndarray:
    """The anomaly map of a query picture against a normal reference.

    Args:
        model, processor: as `core.model.load_model` gives them.
        query, reference: Pillow images or paths; size, aspect and mode may differ.
        window: in patches, and rotations: in degrees; None takes the model's settings. Aligned products want a small
            window and no rotations, parts that lie about want both.

    Returns:
        float32 [H, W], one value a patch, 0 (as the reference) to 1; `overlay` scales it to the picture.
    """
    maps = model.anomaly_maps(
        processor.thumbnail(query), processor.thumbnail(reference), window=window, rotations=rotations
    )
    return maps[0, 0].float().cpu().numpy()
