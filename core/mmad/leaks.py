"""The leak guard: what was trained on is never what is judged.

Exact duplicates are found by the content of the file and refused by name. Near duplicates (perceptual hash) are listed:
aligned industrial pictures look alike without anything being wrong. Text can leak too: descriptions that name the defects
of the test, or were written from its pictures, put a label on every figure that is got with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from core.errors import UserError
from core.files import file_digest
from core.mmad.vocabulary import GOOD, Benchmark
from core.pictures import open_image

NAMES_DEFECTS = "knowledge names the test's defect classes"
FROM_TEST_IMAGES = "knowledge was written from test images"
# Bits of 64 in which two perceptual hashes may differ and still count as the same view.
NEAR = 4


@dataclass(frozen=True, slots=True)
class Leak:
    """A test picture that is also in training.

    Attributes:
        test, train: image paths; equal when the very same file is on both sides.
        distance: differing bits of the perceptual hash, 0 for an exact duplicate.
    """

    test: str
    train: str
    distance: int = 0


def shown(bench: Benchmark, *splits: str) -> list[str]:
    """Every picture, query or template, that the named splits show."""
    paths: dict[str, None] = {}
    for sample in bench.split(*splits):
        if sample.text is None:
            paths[sample.image] = None
        paths.update(dict.fromkeys((*sample.similar_templates, *sample.random_templates)))
    return list(paths)


def queries(bench: Benchmark, *splits: str) -> list[str]:
    """The query pictures of the named splits."""
    return [sample.image for sample in bench.split(*splits) if sample.text is None]


def hash_pictures(bench: Benchmark, paths: Iterable[str]) -> dict[str, str]:
    """Image path -> SHA-256 of its file, in order.

    Raises:
        UserError: a picture is missing; it is named.
    """
    paths = list(paths)
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(paths, pool.map(lambda path: file_digest(bench.path(path)), paths), strict=True))


def find_leaks(trained: Mapping[str, str], tested: Mapping[str, str]) -> list[Leak]:
    """Exact duplicates.

    Args:
        trained: SHA-256 -> image of what training shows (`Snapshot.trained_hashes`).
        tested: image -> SHA-256 of what is judged.
    """
    return [Leak(image, trained[value]) for image, value in tested.items() if value in trained]


def refuse_leaks(
    bench: Benchmark, *, trained: Mapping[str, str] | None = None, hashes: Mapping[str, str] | None = None
) -> None:
    """Do nothing when no test picture of `bench` is in the training part.

    Args:
        trained: SHA-256 -> image of what a model was trained on; by default what the training split of `bench` shows.
        hashes: image -> SHA-256 where they are known already (a snapshot has them).

    Raises:
        UserError: a test picture or an exact duplicate is there; the pictures are named.
    """
    if trained is None and not (any(s.split == "train" for s in bench) and any(s.split == "test" for s in bench)):
        return
    known = dict(hashes or {})
    tested = queries(bench, "test")
    needed = tested if trained is not None else [*tested, *shown(bench, "train")]
    known.update(hash_pictures(bench, [path for path in dict.fromkeys(needed) if path not in known]))
    if trained is None:
        trained = {known[path]: path for path in shown(bench, "train")}
    leaks = find_leaks(trained, {path: known[path] for path in tested})
    if leaks:
        named = ", ".join(leak.test if leak.test == leak.train else f"{leak.test} = {leak.train}" for leak in leaks[:5])
        more = f" and {len(leaks) - 5} more" if len(leaks) > 5 else ""
        raise UserError(
            f"{len(leaks)} of {len(tested)} test pictures are in the training part ({named}{more}): "
            "take them out of one side."
        )


def near_duplicates(
    bench: Benchmark, *, most: int = NEAR, progress: Callable[[int, int], None] | None = None
) -> list[Leak]:
    """Pairs of a test and a training picture that look alike, the closest first; for people to look at.

    Opens every query picture once. A picture that cannot be opened is left out.
    """
    train, test = queries(bench, "train"), queries(bench, "test")
    codes = _perceptual(bench, [*train, *test], progress)
    train, test = ([path for path in paths if path in codes] for paths in (train, test))
    if not train or not test:
        return []
    left = np.array([codes[path] for path in test], np.uint64)
    right = np.array([codes[path] for path in train], np.uint64)
    found: list[Leak] = []
    for start in range(0, len(left), 256):  # blocks: 10,000 x 10,000 distances are never held at once
        distances = np.bitwise_count(left[start : start + 256, None] ^ right[None])
        for row, column in zip(*np.nonzero(distances <= most), strict=True):
            found.append(Leak(test[start + row], train[column], int(distances[row, column])))
    return sorted(found, key=lambda leak: (leak.distance, leak.test, leak.train))


def _perceptual(
    bench: Benchmark, paths: list[str], progress: Callable[[int, int], None] | None
) -> dict[str, int]:  # fmt: skip
    import imagehash

    def code(path: str) -> int | None:
        try:
            return int(str(imagehash.phash(open_image(bench.path(path)))), 16)
        except UserError:
            return None

    codes: dict[str, int] = {}
    with ThreadPoolExecutor(4) as pool:
        for done, (path, value) in enumerate(zip(paths, pool.map(code, paths), strict=True), 1):
            if value is not None:
                codes[path] = value
            if progress:
                progress(done, len(paths))
    return codes


def knowledge_labels(bench: Benchmark, described_from: Iterable[str] = ()) -> tuple[str, ...]:
    """What must be said beside every figure that was got with the knowledge of `bench`.

    Args:
        described_from: the pictures its texts were written from.
    """
    labels = []
    judged = {(s.dataset, s.product, s.defect) for s in bench if s.split == "test" and s.defect not in {None, GOOD}}
    if any(defect in bench.descriptions(dataset, product) for dataset, product, defect in judged):
        labels.append(NAMES_DEFECTS)
    tested = set(queries(bench, "test"))
    if any(path in tested for path in described_from):
        labels.append(FROM_TEST_IMAGES)
    return tuple(labels)
