"""Real-IAD: 30 products, each item seen from five sides (C1 top, C2 to C5 round it), with a mask for each side.

    <root>[/realiad_1024]/<product>/OK/S0001/<product>_0001_OK_C1_20231023.jpg
    <root>[/realiad_1024]/<product>/NG/<code>/S0001/<product>_0001_NG_<code>_C1_20231023.{jpg,png}      .png: the mask
    <root>/realiad_jsons/<product>.json     optional: {"train": [{image_path, mask_path, anomaly_class}], "test": [...]}

Codes: AK pit, BX deformation, CH abrasion, HS scratch, PS damage, QS missing parts, YW foreign objects, ZW contamination.
A side on which the defect cannot be seen has no mask, and is a normal picture.

Wang et al., "Real-IAD: a real-world multi-view dataset for benchmarking versatile industrial anomaly detection", CVPR 2024.
Research use on request. https://huggingface.co/datasets/Real-IAD/Real-IAD

Without the JSON files the splits are by item, so that no item has one side in training and another in the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError
from core.files import read_json
from core.mmad import GOOD
from core.synthesis.sources.found import Found, Skip, folders, key, log_skip, pictures, products
from core.synthesis.splits import split_of

DATASET = "Real-IAD"
CODES = {
    "AK": "pit", "BX": "deformation", "CH": "abrasion", "HS": "scratch",
    "PS": "damage", "QS": "missing parts", "YW": "foreign objects", "ZW": "contamination",
}  # fmt: skip
LAYOUT = "<product>/OK and <product>/NG folders"


def read(root: Path, *, skip: Skip = log_skip, seed: int = 0) -> Iterator[Found]:
    """Every side of every item."""
    places = [root, *(folder for folder in folders(root) if folder.name.startswith("realiad_"))]
    for place in places:
        try:
            found = products(place, lambda folder: (folder / "OK").is_dir() or (folder / "NG").is_dir(), LAYOUT)
        except UserError:
            continue
        lists = next(
            (f for base in (root, root.parent) for f in sorted(base.glob("realiad_json*")) if f.is_dir()), None
        )
        return _read(found, lists, seed, skip)
    raise UserError(f"{root} holds no {LAYOUT}: give the folder that does, or another --source.")


def _read(found: list[Path], lists: Path | None, seed: int, skip: Skip) -> Iterator[Found]:
    for product in found:
        listed = lists / f"{product.name}.json" if lists else None
        if listed and listed.is_file():
            yield from _listed(product, listed, skip)
        else:
            yield from _walked(product, seed, skip)


def _listed(product: Path, file: Path, skip: Skip) -> Iterator[Found]:
    content = read_json(file)
    for split in ("train", "test"):
        rows = content.get(split, []) if isinstance(content, dict) else []
        for row in (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ():
            path, code, mask = (str(row.get(k) or "") for k in ("image_path", "anomaly_class", "mask_path"))
            picture = product / path.replace("\\", "/")
            if ".." in picture.parts or not path or not picture.is_file():
                skip(str(picture), f"it is in {file.name} but not in the folder")
                continue
            masks = (product / mask.replace("\\", "/"),) if mask and ".." not in mask else ()
            yield from _side(product, picture, None if code == "OK" else code, split, masks, skip)


def _walked(product: Path, seed: int, skip: Skip) -> Iterator[Found]:
    labels: list[tuple[Path, str | None]] = [(product / "OK", None)] if (product / "OK").is_dir() else []
    labels += [(folder, folder.name) for folder in folders(product / "NG")] if (product / "NG").is_dir() else []
    for place, code in labels:
        for item in folders(place):
            split = split_of(f"{product.name}/{place.name}/{item.name}", seed)
            files = list(pictures(item))
            masks = {file.stem: file for file in files if file.suffix.lower() == ".png"}
            for file in files:
                if file.suffix.lower() != ".png":
                    mask = masks.get(file.stem) if code else None
                    yield from _side(product, file, code if mask else None, split, (mask,) if mask else (), skip)


def _side(
    product: Path, file: Path, code: str | None, split: str, masks: tuple[Path, ...], skip: Skip
) -> Iterator[Found]:
    if code is not None and code not in CODES:
        skip(str(file), f"{code!r} is no defect code of Real-IAD")
        return
    defect = CODES[code] if code else None
    view = re.search(r"_(C\d)_", file.name)
    yield Found(
        image=key(DATASET, product.name, split, defect or GOOD, file.name),
        dataset=DATASET,
        product=product.name,
        defect=defect,
        split=split,
        source="real-iad",
        file=file,
        mask_files=masks,
        extra={"view": view.group(1)} if view else {},
    )
