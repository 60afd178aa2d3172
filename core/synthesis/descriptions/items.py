"""Which texts are wanted, and from which pictures each is written.

One item per (dataset, product, defect) and one "good" item per product. A defect is shown by a normal reference, a
defective picture and its mask (EMIT, "GPT-written descriptions"); a normal product by one normal picture. Pictures of the
training split are preferred, so that a description does not leak what the test shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.files import digest
from core.mmad import GOOD, SPLITS, Benchmark, Sample
from core.pictures import image_size, open_mask
from core.synthesis.descriptions.suggestions import Failure, Key

# Damaged pictures are passed over; after so many the defect is reported instead.
CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a prompt: its role in words and its path relative to the benchmark's root."""

    role: str
    path: str


@dataclass(frozen=True, slots=True)
class Item:
    """One text to write."""

    dataset: str
    product: str
    label: str
    shown: tuple[Shown, ...]
    splits: tuple[str, ...]

    @property
    def key(self) -> Key:
        return (self.dataset, self.product, self.label)

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(shown.path for shown in self.shown)


def group_samples(bench: Benchmark, products: Iterable[str] | None = None) -> dict[Key, list[Sample]]:
    """Samples with a picture by (dataset, product, label), in the order of the benchmark.

    Args:
        products: names ("bolt") or dataset and name ("shop/bolt"); all when None.

    Raises:
        UserError: a named product is not in the benchmark.
    """
    wanted = None if products is None else set(products)
    groups: dict[Key, list[Sample]] = defaultdict(list)
    names = set()
    for sample in bench:
        own = {sample.product, f"{sample.dataset}/{sample.product}"}
        if sample.text is None and (wanted is None or own & wanted):
            groups[(sample.dataset, sample.product, sample.label)].append(sample)
            names |= own
    if wanted and wanted - names:
        missing = sorted(wanted - names)[0]
        known = ", ".join(sorted({s.product for s in bench})[:20])
        raise UserError(f"The benchmark has no pictures of product {missing!r}: choose one of {known}.")
    return dict(groups)


def picture_path(bench: Benchmark, relative: str) -> Path:
    """`bench.path`, with a sentence for a path that leaves the benchmark."""
    try:
        return bench.path(relative)
    except ValueError as error:
        raise UserError(f"The benchmark names a picture outside its folder ({error}): repair mmad.json.") from error


def mask_file(bench: Benchmark, sample: Sample) -> Path | None:
    """The sample's mask when the file is there."""
    try:
        path = bench.mask_path(sample)
    except ValueError as error:
        raise UserError(f"The benchmark names a mask outside its folder ({error}): repair mmad.json.") from error
    return path if path and path.is_file() else None


def preferred(samples: Iterable[Sample], seed: int) -> list[Sample]:
    """Training pictures first, then those with a mask; a seeded order within."""
    return sorted(samples, key=lambda s: (SPLITS.index(s.split), not s.mask, digest([seed, s.image])))


def in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Distinct splits in the order train, val, test, then others."""
    found = set(splits)
    return tuple(s for s in SPLITS if s in found) + tuple(sorted(found - set(SPLITS)))


def find_items(
    bench: Benchmark, products: Iterable[str] | None = None, *, seed: int = 0
) -> tuple[list[Item], list[Failure]]:
    """All texts the benchmark wants, defects before the "good" of each product, and what no picture can be shown for."""
    groups = group_samples(bench, products)
    items: list[Item] = []
    failures: list[Failure] = []
    for dataset, product in dict.fromkeys(key[:2] for key in groups):
        labels = [key[2] for key in groups if key[:2] == (dataset, product) and key[2] != GOOD]
        normal = preferred(groups.get((dataset, product, GOOD), []), seed)
        for label in labels:
            found = _defect_item(bench, groups[(dataset, product, label)], normal, seed)
            if isinstance(found, Item):
                items.append(found)
            else:
                failures.append(Failure(dataset, product, label, found))
        good = _normal_item(bench, (dataset, product), normal, [i for i in items if i.key[:2] == (dataset, product)])
        if isinstance(good, Item):
            items.append(good)
        else:
            failures.append(Failure(dataset, product, GOOD, good))
    return items, failures


def _defect_item(bench: Benchmark, samples: Sequence[Sample], normal: Sequence[Sample], seed: int) -> Item | str:
    reason = ""
    for sample in preferred(samples, seed)[:CANDIDATES]:
        try:
            image_size(picture_path(bench, sample.image))
            shown = [Shown("defective", sample.image)]
            splits = {sample.split}
            reference = _reference(bench, sample, normal)
            if reference:
                image_size(picture_path(bench, reference))
                shown.insert(0, Shown("normal", reference))
                known = bench.by_image.get(reference)
                splits.add(known.split if known else sample.split)
            mask = mask_file(bench, sample)
            if mask and open_mask(mask).any():
                shown.append(Shown("mask", mask.relative_to(bench.root).as_posix()))
            return Item(sample.dataset, sample.product, sample.label, tuple(shown), in_order(splits))
        except UserError as error:
            reason = str(error)
    return reason


def _reference(bench: Benchmark, sample: Sample, normal: Sequence[Sample]) -> str | None:
    """The sample's own template unless that would bring a test picture in where a training one is there."""
    template = bench.reference(sample)
    known = bench.by_image.get(template) if template else None
    if template and (known is None or known.split == sample.split or not normal):
        return template
    return normal[0].image if normal else template


def _normal_item(
    bench: Benchmark, product: tuple[str, str], normal: Sequence[Sample], defects: list[Item]
) -> Item | str:
    choices = [(s.image, s.split) for s in normal[:CANDIDATES]]
    # A benchmark may hold normal pictures only as templates of its defective ones.
    choices += [(i.shown[0].path, i.splits[-1]) for i in defects if i.shown[0].role == "normal"]
    reason = f"There is no normal picture of {product[1]}: add one to its folder {GOOD}/."
    for image, split in choices:
        try:
            image_size(picture_path(bench, image))
            return Item(*product, GOOD, (Shown("normal", image),), (split,))
        except UserError as error:
            reason = str(error)
    return reason


def choose_items(
    bench: Benchmark,
    products: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    *,
    only_missing: bool = False,
    seed: int = 0,
) -> tuple[list[Item], list[Failure]]:
    """`find_items` narrowed to some labels, or to what the benchmark's knowledge has no text for.

    Raises:
        UserError: a named product or label is not in the benchmark.
    """
    items, failures = find_items(bench, products, seed=seed)
    chosen = None if labels is None else set(labels)
    missing = sorted((chosen or set()) - {i.label for i in items} - {f.label for f in failures})
    if missing:
        raise UserError(f"No product here has {missing[0]!r}: choose {GOOD!r} or the name of a defect folder.")

    def wanted(dataset: str, product: str, label: str) -> bool:
        known = bench.descriptions(dataset, product).get(label, "").strip()
        return (chosen is None or label in chosen) and not (only_missing and known)

    return [i for i in items if wanted(*i.key)], [f for f in failures if wanted(f.dataset, f.product, f.label)]
