"""`stream`: rendered pairs without end, for training that never sees a picture twice and never touches the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from core.synthesis.factory.holdouts import SEEN_PRODUCTS, seed_of, trained_defects
from core.synthesis.factory.rendering import SIZE, Picture, render_pair


def stream(
    seed: int,
    *,
    products: Iterable[str] = SEEN_PRODUCTS,
    defective: float = 0.5,
    difficulty: tuple[float, float] = (0.0, 1.0),
    size: int = SIZE,
    start: int = 0,
    step: int = 1,
) -> Iterator[tuple[Picture, Picture]]:
    """Endless (query, normal reference of the same lot) pairs of the training split.

    Args:
        products: to draw from, evenly. Unseen products only ever come without defects.
        defective: share of queries with a defect; 0 shows normal pieces only (the base model learns from these).
        difficulty: range it is drawn from.
        start, step: worker i of n takes (i, n); the n streams together are the stream (0, 1).
    """
    names = tuple(products)
    number = start
    while True:
        rng = np.random.default_rng(seed_of("stream", seed, number))
        product = names[int(rng.integers(len(names)))]
        kinds = trained_defects(product)
        bad = bool(rng.random() < defective) and bool(kinds)
        defect = str(rng.choice(kinds)) if bad else None
        yield render_pair(
            product, defect, seed_of("stream", seed, number, "piece"), float(rng.uniform(*difficulty)),
            lot=seed_of("stream", seed, number, "lot"), cell=int(rng.integers(9)), size=size,
        )  # fmt: skip
        number += step
