"""Which pictures a demo benchmark holds: a list of production lots, each with its references and its samples.

A lot belongs to one split. Its references are normal pieces that nobody is asked about; its samples are the questions'
pictures, half of them normal. All is fixed by the seed before anything is rendered, so lots can be made in any order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.mmad import GOOD
from core.synthesis.factory.holdouts import UNSEEN_DEFECTS, UNSEEN_PRODUCTS, seed_of, trained_defects
from core.synthesis.factory.products import PRODUCTS

DATASET = "Factory"
# Below a thousand training pictures a tower learns the pictures and not the defects.
LOTS = {"train": 12, "val": 1, "test": 2}
PER_LOT = {"train": 6, "val": 4, "test": 6}
# For tuning that is meant to last: ten times the training pictures, the same validation and test.
LARGE = {"lots": {"train": 60}, "per_lot": {"train": 12}}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to make; `image` is its path below the benchmark's root, `defect` None for a normal piece."""

    image: str
    product: str
    defect: str | None
    seed: int
    difficulty: float = 0.0
    cell: int | None = None
    holdout: str | None = None

    @property
    def mask(self) -> str | None:
        """The mask's path relative to dataset/product/, as MMAD writes it."""
        if self.defect is None:
            return None
        return "ground_truth/" + self.image.split("/", 2)[2].removesuffix(".jpg") + "_mask.png"


@dataclass(frozen=True, slots=True)
class LotPlan:
    """A production lot: its seed, split, reference shots and sample shots."""

    name: str
    product: str
    split: str
    seed: int
    references: tuple[Shot, ...]
    samples: tuple[Shot, ...]

    def __len__(self) -> int:
        return len(self.references) + len(self.samples)


def plan_lots(
    *, seed: int, products: tuple[str, ...], splits: tuple[str, ...], lots: dict[str, int], per_lot: dict[str, int],
    references: int,
) -> list[LotPlan]:  # fmt: skip
    """Every lot of a demo benchmark, split by split."""
    return [
        _lot(seed, product, split, number, per_lot[split], references)
        for split in splits
        for product in products
        if split == "test" or product not in UNSEEN_PRODUCTS
        for number in range(lots[split])
    ]


def _lot(seed: int, product: str, split: str, number: int, count: int, references: int) -> LotPlan:
    name = f"{split[:2]}{number:02d}"
    rng = random.Random(f"{seed}/{product}/{name}")
    kinds = list(_kinds(product, split, count, number, rng))
    # What a product is built around lies in its middle; surface defects keep away from there to even the places out.
    cells = rng.sample((0, 1, 2, 3, 5, 6, 7, 8), 8) * (count // 8 + 1)

    def shot(role: str, index: int, defect: str | None, holdout: str | None) -> Shot:
        place = f"{DATASET}/{product}/{role}/{(defect or GOOD).replace(' ', '_')}/{name}_{index:02d}.jpg"
        own = seed_of(split, seed, product, number, role, index)
        # Even steps from plain to barely visible, in random order over the kinds.
        hard = (index + rng.random()) / max(1, count)
        return Shot(place, product, defect, own, round(hard, 3) if defect else 0.0, cells[index], holdout)

    return LotPlan(
        name, product, split, seed_of(split, seed, product, number, "lot"),
        tuple(shot("reference", index, None, None) for index in range(references)),
        tuple(shot(split, index, *kind) for index, kind in enumerate(kinds)),
    )  # fmt: skip


def _kinds(
    product: str, split: str, count: int, number: int, rng: random.Random
) -> Iterator[tuple[str | None, str | None]]:
    """(defect, holdout) for each sample of a lot: every second one normal, defects in turn."""
    unseen = product in UNSEEN_PRODUCTS
    if unseen:
        groups: list[tuple[list[str], str | None]] = [(list(PRODUCTS[product].defects), "products")]
    else:
        groups = [(list(trained_defects(product)), "instances" if split == "test" else None)]
        if split == "test":
            groups.append((list(UNSEEN_DEFECTS[product]), "defects"))
    turn = number * ((count + 1) // 2)
    order: list[tuple[str | None, str | None]] = []
    for index in range(count):
        group, holdout = groups[(index // 2) % len(groups)]
        if index % 2:
            order.append((None, "products" if unseen else "instances" if split == "test" else None))
        else:
            order.append((group[(turn + index // 2 // len(groups)) % len(group)], holdout))
    rng.shuffle(order)
    yield from order


def as_json(lot: LotPlan) -> dict[str, Any]:
    """For the worker processes."""
    from dataclasses import asdict

    return asdict(lot)


def from_json(value: dict[str, Any]) -> LotPlan:
    shots = {key: tuple(Shot(**shot) for shot in value[key]) for key in ("references", "samples")}
    return LotPlan(**{**value, **shots})
