"""Which samples are used, and on which side: splits by name and at most N per product and defect.

Everything is decided by hashes of names and a seed, so that the same folder gives the same benchmark on any machine, and a
picture that is added later moves no other.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from core.errors import UserError
from core.mmad import SPLITS, Sample

S = TypeVar("S", bound=Sample)
SHARES = (("train", 0.7), ("val", 0.1), ("test", 0.2))


def fraction(name: str, seed: int = 0) -> float:
    """A fixed number in [0, 1) for a name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big") / 2**56


def split_of(name: str, seed: int = 0) -> str:
    """The split of one thing that can stand alone: 70 % train, 10 % validation, 20 % test."""
    left = fraction(name, seed)
    for split, share in SHARES:
        if left < share:
            return split
        left -= share
    return "test"


def split_groups(names: Iterable[str], seed: int = 0) -> dict[str, str]:
    """A split for each of a few groups that must not be torn apart: from three on, every split gets one.

    One group is all test (nothing could be judged otherwise), of two one is train and one test.
    """
    order = sorted(set(names), key=lambda name: fraction(name, seed))
    tests = max(1, round(0.25 * len(order))) if order else 0
    vals = max(1, round(0.1 * len(order))) if len(order) >= 3 else 0
    return {
        name: "test" if i < tests else "val" if i < tests + vals else "train" for i, name in enumerate(order)
    }  # fmt: skip


def assign_splits(samples: Iterable[S], how: str = "own", seed: int = 0) -> list[S]:
    """`samples` with other splits.

    Args:
        how: "own" keeps what the source said; "auto" splits by name within each product and defect; a split's name puts
            everything there.

    Raises:
        UserError: another `how`.
    """
    if how == "own":
        return list(samples)
    if how in SPLITS:
        return [replace(sample, split=how) for sample in samples]
    if how != "auto":
        raise UserError(f"{how!r} is no way to split: use own, auto, {', '.join(SPLITS)}.")
    groups: dict[tuple[str, str, str], list[S]] = defaultdict(list)
    for sample in samples:
        groups[sample.dataset, sample.product, sample.label].append(sample)
    splits: dict[str, str] = {}
    for members in groups.values():
        # By rank, so that a defect with five pictures is found in training and in test.
        order = sorted(members, key=lambda sample: fraction(sample.image, seed))
        tests = round(0.2 * len(order)) or (len(order) > 1)
        vals = round(0.1 * len(order))
        for rank, sample in enumerate(order):
            splits[sample.image] = "test" if rank < tests else "val" if rank < tests + vals else "train"
    return [replace(sample, split=splits[sample.image]) for members in groups.values() for sample in members]


def at_most(samples: Sequence[S], most: int | None, *, seed: int = 0) -> list[S]:
    """At most `most` samples per split, product and defect (EMIT draws 100), in the order they came.

    Of normal ones there are as many times more as the product has defects there, so that "is there a defect?" stays even.
    """
    if most is None:
        return list(samples)
    labels: dict[tuple[str, str, str], dict[str | None, list[S]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        labels[sample.split, sample.dataset, sample.product][sample.defect].append(sample)
    chosen: set[str] = set()
    for defects in labels.values():
        kinds = sum(defect is not None for defect in defects)
        for defect, members in defects.items():
            limit = most * max(1, kinds) if defect is None else most
            if len(members) > limit:
                members = sorted(members, key=lambda sample: fraction(sample.image, seed))[:limit]
            chosen.update(sample.image for sample in members)
    return [sample for sample in samples if sample.image in chosen]
