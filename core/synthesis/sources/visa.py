"""VisA: 12 products, from circuit boards to sweets; the 1-class split says what is training and what is test.

    <root>/split_csv/1cls.csv                       object,split,label,image,mask   (paths relative to <root>)
    <root>/<product>/Data/Images/{Normal,Anomaly}/0000.JPG
    <root>/<product>/Data/Masks/Anomaly/0000.png    0 is background, other values are kinds of defects

Zou et al., "SPot-the-Difference self-supervised pre-training for anomaly detection and segmentation", ECCV 2022.
CC BY 4.0. https://github.com/amazon-science/spot-diff
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError, explain_os_error
from core.mmad import GOOD
from core.synthesis.sources.found import Found, Skip, key, log_skip

DATASET = "VisA"
DEFECT = "bad"  # what MMAD calls every anomaly of VisA
_COLUMNS = ("object", "split", "label", "image", "mask")


def read(root: Path, *, skip: Skip = log_skip) -> Iterator[Found]:
    """Every row of the 1-class split."""
    table = root / "split_csv" / "1cls.csv"
    if not table.is_file():
        raise UserError(f"{table} is not there: give VisA's folder as it was unpacked.")
    try:
        with open(table, newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise explain_os_error(error, table) from error
    if not rows or any(name not in rows[0] for name in _COLUMNS):
        raise UserError(f"{table} must have the columns {', '.join(_COLUMNS)}: unpack VisA again.")
    return _read(root, rows, skip)


def _read(root: Path, rows: list[dict[str, str]], skip: Skip) -> Iterator[Found]:
    for row in rows:
        image, mask = ((row[name] or "").strip().replace("\\", "/") for name in ("image", "mask"))
        if ".." in Path(image).parts or ".." in Path(mask).parts or not (root / image).is_file():
            skip(image, "it is in 1cls.csv but not in the folder")
            continue
        good = row["label"].strip() == "normal"
        product = row["object"].strip()
        split = "test" if row["split"].strip() == "test" else "train"
        has_mask = not good and mask and (root / mask).is_file()
        yield Found(
            image=key(DATASET, product, split, GOOD if good else DEFECT, Path(image).name),
            dataset=DATASET,
            product=product,
            defect=None if good else DEFECT,
            split=split,
            source="visa",
            file=root / image,
            mask_files=(root / mask,) if has_mask else (),
        )
