"""MVTec LOCO AD: five products with structural anomalies (damage) and logical ones (something is missing or misplaced).

    <root>/<product>/train/good/000.png
    <root>/<product>/validation/good/000.png
    <root>/<product>/test/{good,logical_anomalies,structural_anomalies}/000.png
    <root>/<product>/ground_truth/<label>/000/{000,001,...}.png     several masks of one picture: they are united

Bergmann et al., "Beyond dents and scratches: logical constraints in unsupervised anomaly detection and localization",
IJCV 2022. CC BY-NC-SA 4.0 (research use). https://www.mvtec.com/company/research/datasets/mvtec-loco
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.mmad import GOOD
from core.synthesis.sources.found import Found, Skip, folders, key, log_skip, pictures, products

DATASET = "MVTec-LOCO"
LAYOUT = "<product>/test/<label>/ folders"
_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def read(root: Path, *, skip: Skip = log_skip) -> Iterator[Found]:
    """Every picture of every product."""
    return _read(products(root, lambda folder: (folder / "test").is_dir(), LAYOUT))


def _read(found: list[Path]) -> Iterator[Found]:
    for product in found:
        for place, split in _SPLITS.items():
            if (product / place).is_dir():
                for label in folders(product / place):
                    good = label.name == GOOD
                    masks = product / "ground_truth" / label.name
                    for file in pictures(label):
                        yield Found(
                            image=key(DATASET, product.name, place, label.name, file.name),
                            dataset=DATASET,
                            product=product.name,
                            defect=None if good else label.name,
                            split=split,
                            source="mvtec-loco",
                            file=file,
                            mask_files=() if good else tuple(pictures(masks / file.stem)),
                        )
