"""Which normal pictures are shown beside a sample: the k most similar ones, and k random ones (EMIT, "Multi-task dataset").

Features come in as a function `encode(images) -> [N, D]`; they are kept by the content of the file, so that a second run
opens no picture. Similarities are computed in blocks: memory does not grow with the product of both numbers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import file_digest
from core.mmad import Benchmark, Sample
from core.pictures import open_image
from core.synthesis.features import Encode, describe_pixels
from core.synthesis.sources.found import Skip, log_skip
from core.synthesis.store import Store

_BATCH = 32  # pictures in memory at once
_BLOCK = 256  # queries compared at once


def similar_templates(
    queries: Sequence[str | Path],
    normals: Sequence[str | Path],
    encode: Encode = describe_pixels,
    *,
    k: int = 10,
    store: Store | None = None,
    skip: Skip = log_skip,
) -> list[list[int]]:
    """For each query the indices of its k most similar normals, best first, by cosine similarity.

    A normal with the query's content (the same file, or another file of the same bytes) is never its template, and of
    normals with equal content only the first is.

    Args:
        queries, normals: picture files.
        encode: RGB images -> features [N, D]. Its attribute `cache_name`, if any, names it in `store`.
        store: where features are kept; None keeps them for this call.
        skip: told (file, why) of pictures that cannot be opened; such a query gets no templates.
    """
    features = Features(encode, store or Store(), skip)
    left, left_keys = features(queries)
    right, right_keys = features(normals)
    return nearest(left, left_keys, right, right_keys, k)


def nearest(
    left: np.ndarray, left_keys: Sequence[str], right: np.ndarray, right_keys: Sequence[str], k: int
) -> list[list[int]]:
    """Indices of the k nearest rows of `right` for each row of `left` (unit rows; a zero row is nobody's neighbour).

    Rows with equal keys are the same picture. Peak memory is `_BLOCK` x len(right) numbers.
    """
    usable: dict[str, int] = {}
    for index, key in enumerate(right_keys):
        if right[index].any():
            usable.setdefault(key, index)
    rows = np.fromiter(usable.values(), int, len(usable))
    where = {key: place for place, key in enumerate(usable)}
    pool = right[rows]
    found: list[list[int]] = []
    for start in range(0, len(left), _BLOCK):
        block = left[start : start + _BLOCK]
        scores = block @ pool.T
        for line, key in enumerate(left_keys[start : start + _BLOCK]):
            if key in where:
                scores[line, where[key]] = -np.inf
        count = min(k + 1, len(pool))
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count] if count else np.zeros((len(block), 0), int)
        for line, candidates in enumerate(best):
            # Equal scores in the order of the pool: the same input gives the same templates everywhere.
            order = sorted(candidates.tolist(), key=lambda c: (-scores[line, c], c))
            order = [c for c in order if np.isfinite(scores[line, c])] if block[line].any() else []
            found.append([int(rows[c]) for c in order[:k]])
    return found


class Features:
    """Unit features of picture files, kept by content.

    Calling it with files gives ([N, D] float32, [N] content keys); a file that cannot be opened has a zero row.
    """

    def __init__(self, encode: Encode, store: Store, skip: Skip = log_skip) -> None:
        self.encode, self.store, self.skip = encode, store, skip
        self.kind = f"feature/{getattr(encode, 'cache_name', '') or id(encode)}"

    def __call__(
        self, files: Sequence[str | Path], progress: Callable[[int, int], None] | None = None
    ) -> tuple[np.ndarray, list[str]]:
        keys = [self._key(file) for file in files]
        first = {key: Path(file) for key, file in zip(reversed(keys), reversed(list(files)), strict=True) if key}
        known = {key: np.frombuffer(value, np.float32) for key, value in self.store.get(self.kind, first).items()}
        missing = [key for key in first if key not in known]
        with ThreadPoolExecutor(2) as pool:
            for start in range(0, len(missing), _BATCH):
                part = missing[start : start + _BATCH]
                opened = [
                    (key, image)
                    for key, image in zip(part, pool.map(self._open, (first[k] for k in part)), strict=True)
                ]
                good = [(key, image) for key, image in opened if image is not None]
                if good:
                    rows = np.asarray(self.encode([image for _, image in good]), np.float32)
                    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12
                    fresh = {key: row.copy() for (key, _), row in zip(good, rows, strict=True)}
                    # Saved batch by batch: what a killed run has computed is not computed again.
                    self.store.put(self.kind, {key: row.tobytes() for key, row in fresh.items()})
                    known.update(fresh)
                if progress:
                    progress(min(start + _BATCH, len(missing)), len(missing))
        width = len(next(iter(known.values()))) if known else 1
        zero = np.zeros(width, np.float32)
        return np.stack([known.get(key, zero) for key in keys]) if keys else np.zeros((0, width), np.float32), keys

    def _key(self, file: str | Path) -> str:
        try:
            return file_digest(file)
        except UserError as error:
            self.skip(str(file), str(error))
            return ""

    def _open(self, file: Path):  # type: ignore[no-untyped-def]
        try:
            image = open_image(file)
        except UserError as error:
            self.skip(str(file), str(error))
            return None
        # No feature looks at more; a batch of line-scan pictures would not fit into memory.
        image.thumbnail((1024, 1024))
        return image


def with_templates(
    bench: Benchmark,
    encode: Encode = describe_pixels,
    *,
    k: int = 10,
    seed: int = 0,
    store: Store | None = None,
    skip: Skip = log_skip,
    progress: Callable[[int, int], None] | None = None,
) -> list[Sample]:
    """The samples with k similar and k random normal pictures of the same product each.

    Templates are taken from the training split where it has normal pictures of the product; a test picture is never shown
    to a training sample. What a source has already stated (aligned pairs) stays first. A picture that cannot be opened is
    left out, as sample and as template.
    """
    if k <= 0:
        return list(bench)
    store = store or Store()
    broken: set[str] = set()

    def leave_out(file: str, why: str) -> None:
        if file not in broken:
            broken.add(file)
            skip(file, why)

    features = Features(encode, store, leave_out)
    products: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in bench:
        if sample.text is None:
            products[sample.dataset, sample.product].append(sample)
    changed: dict[str, Sample] = {}
    done = 0
    for members in products.values():
        rows, keys = features([bench.path(sample.image) for sample in members])
        for some, places in _pools(members):
            found = nearest(rows[some], [keys[i] for i in some], rows[places], [keys[p] for p in places], k)
            usable = [p for p in places if rows[p].any()]
            for place, best in zip(some, found, strict=True):
                if rows[place].any():
                    sample = members[place]
                    order = random.Random(f"{seed}/templates/{sample.image}")
                    # A few more than asked for, in case the query itself is among them.
                    drawn = order.sample(usable, min(k + 3, len(usable)))
                    others = [members[p].image for p in drawn if keys[p] != keys[place]]
                    near = (members[places[p]].image for p in best)
                    changed[sample.image] = replace(
                        sample,
                        similar_templates=_first((*sample.similar_templates, *near), k),
                        random_templates=_first((*sample.random_templates, *others), k),
                    )
        done += len(members)
        if progress:
            progress(done, len(bench))
    return [changed.get(s.image, s) for s in bench if s.text is not None or s.image in changed]


def _pools(members: list[Sample]) -> list[tuple[list[int], list[int]]]:
    """(samples, normal pictures they may be shown) as places in `members`: a test picture is never shown in training."""
    normal = [i for i, sample in enumerate(members) if sample.is_normal]
    trained = [i for i in normal if members[i].split == "train"]
    if trained:
        return [(list(range(len(members))), trained)]
    seen = [i for i in normal if members[i].split != "test"]
    test = [i for i, sample in enumerate(members) if sample.split == "test"]
    rest = [i for i, sample in enumerate(members) if sample.split != "test"]
    return [(test, normal), (rest, seen)]


def _first(paths: Iterable[str], k: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paths))[:k]
