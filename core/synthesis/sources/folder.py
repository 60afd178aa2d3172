"""Any folder of one's own: pictures in `good/` and in a folder for each defect, masks where there are some.

    <root>[/<product>]/good/*.png                 also named ok, normal
    <root>[/<product>]/<defect>/*.png
    masks, all optional, named like the picture, with `_mask` or without:
    <root>[/<product>]/{ground_truth,masks,mask}/<defect>/*_mask.png    or    <defect>/*_mask.png beside the pictures

One product, or a folder of products. With folders `train/`, `val/`, `test/` above `good/` the splits are yours; without
them the pictures are split by their names, the same way every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.mmad import GOOD, SPLITS
from core.synthesis.sources.found import Found, Masks, Skip, folders, key, log_skip, pictures, products
from core.synthesis.splits import split_of

LAYOUT = "folder of pictures named good/ (nor a product folder with one)"
GOOD_NAMES = frozenset({GOOD, "ok", "normal"})
MASK_FOLDERS = ("ground_truth", "masks", "mask")
_SPLIT_NAMES = {**{name: name for name in SPLITS}, "validation": "val"}


def read(
    root: Path, *, skip: Skip = log_skip, dataset: str = "own", product: str | None = None, seed: int = 0
) -> Iterator[Found]:
    """Every picture below the label folders.

    Args:
        dataset: name of the data set in the benchmark.
        product: name of the product where `root` is one; the folder's name by default.
        seed: of the split, where the folder has none.
    """
    found = products(root, _is_product, LAYOUT)
    return _read(found, dataset, product if found == [root] else None, seed, skip)


def _is_product(folder: Path) -> bool:
    inside = [folder, *(folder / name for name in _SPLIT_NAMES)]
    return any(label.name.lower() in GOOD_NAMES for place in inside if place.is_dir() for label in folders(place))


def _read(found: list[Path], dataset: str, name: str | None, seed: int, skip: Skip) -> Iterator[Found]:
    for folder in found:
        product = name or folder.resolve().name
        own = [place for place in folders(folder) if place.name.lower() in _SPLIT_NAMES]
        for place in own or [folder]:
            split = _SPLIT_NAMES.get(place.name.lower()) if own else None
            for label in folders(place):
                if label.name.lower() not in MASK_FOLDERS:
                    yield from _label(folder, place, label, product, dataset, split, seed, skip)


def _label(
    folder: Path, place: Path, label: Path, product: str, dataset: str, split: str | None, seed: int, skip: Skip
) -> Iterator[Found]:
    good = label.name.lower() in GOOD_NAMES
    places = [base / name / label.name for base in (place, folder) for name in MASK_FOLDERS]
    masks = Masks()
    count = 0
    for file in pictures(label, deep=True):
        if file.stem.endswith("_mask"):
            continue
        count += 1
        inside = file.parent.relative_to(label)
        mask = None
        if not good:
            mask = masks.find([place / inside for place in places], file.stem)
            mask = mask or masks.find([file.parent], file.stem, ("_mask",))
        # The label is the picture's folder in MMAD, so what lies deeper is put into the name.
        flat = "-".join([*inside.parts, file.name])
        image = key(dataset, product, split or "", GOOD if good else label.name, flat)
        yield Found(
            image=image,
            dataset=dataset,
            product=key(product),
            defect=None if good else key(label.name),
            split=split or split_of(f"{product}/{label.name}/{flat}", seed),
            source="folder",
            file=file,
            mask_files=(mask,) if mask else (),
        )
    if not count:
        skip(str(label), "it holds no pictures")
