"""A pool of normal factory pictures for pretraining, rendered once and kept in one file.

Only normal pieces: no defect, and no label of one, is part of the base model's education.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.files import digest, write_atomic

# Rendered with another seed than any benchmark: lots, pieces and shots of the pool occur nowhere else.
SEED = 7_000_001
CHUNK = 50


@dataclass(frozen=True)
class Pool:
    """Pictures with what is known about them.

    Attributes:
        images: uint8 [N, H, W, 3].
        parts: uint8 [N, H, W], part labels as in `factory.Picture`.
        metas: facts of each picture.
    """

    images: np.ndarray
    parts: np.ndarray
    metas: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.images)

    def fellow(self, index: int) -> int:
        """The other piece of a picture's lot; the picture itself where the pool ends within a lot."""
        return min(index ^ 1, len(self) - 1)


def _render(chunk: int, size: int) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    from itertools import islice

    from core.synthesis.factory import PRODUCTS, stream

    pairs = stream(SEED + chunk, products=PRODUCTS, defective=0.0, size=size)
    pictures = [picture for pair in islice(pairs, CHUNK // 2) for picture in pair]
    return (
        np.stack([p.image for p in pictures]),
        np.stack([p.parts for p in pictures]),
        [dict(p.meta) for p in pictures],
    )


def load_pool(
    count: int, size: int, cache: Path, *, workers: int = 2, progress: Callable[[int, int], None] | None = None
) -> Pool:
    """`count` pictures of `size` pixels (two of each lot), from the cache file or rendered into it."""
    from core.synthesis.factory import PRODUCTS

    chunks = -(-count // CHUNK)
    key = digest([SEED, CHUNK, chunks, size, sorted(PRODUCTS)])[:12]
    path = cache / f"pool-{key}.npz"
    if not path.is_file():
        found = []
        with ProcessPoolExecutor(workers) as executor:
            for done, part in enumerate(executor.map(partial(_render, size=size), range(chunks)), 1):
                found.append(part)
                if progress:
                    progress(done * CHUNK, chunks * CHUNK)
        images, parts, metas = zip(*found, strict=True)
        facts = json.dumps([meta for part in metas for meta in part])
        arrays: dict[str, Any] = {
            "images": np.concatenate(images),
            "parts": np.concatenate(parts),
            "metas": np.array(facts),
        }
        write_atomic(path, lambda temporary: np.savez(temporary, **arrays))
    with np.load(path) as stored:
        return Pool(stored["images"][:count], stored["parts"][:count], json.loads(str(stored["metas"]))[:count])
