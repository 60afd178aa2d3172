"""MVTec AD: 15 products, normal training pictures, normal and defective test pictures with pixel masks.

    <root>/<product>/train/good/000.png
    <root>/<product>/test/good/000.png
    <root>/<product>/test/<defect>/000.png
    <root>/<product>/ground_truth/<defect>/000_mask.png

Bergmann et al., "MVTec AD: A comprehensive real-world dataset for unsupervised anomaly detection", CVPR 2019.
CC BY-NC-SA 4.0 (research use). https://www.mvtec.com/company/research/datasets/mvtec-ad
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.mmad import GOOD
from core.synthesis.sources.found import Found, Masks, Skip, folders, key, log_skip, pictures, products

LAYOUT = "<product>/test/<defect>/ folders"


def read(root: Path, *, skip: Skip = log_skip, dataset: str = "MVTec-AD", source: str = "mvtec") -> Iterator[Found]:
    """Every picture of every product; masks are optional."""
    return _read(products(root, lambda folder: (folder / "test").is_dir(), LAYOUT), dataset, source)


def _read(found: list[Path], dataset: str, source: str) -> Iterator[Found]:
    masks = Masks()
    for product in found:
        for split in ("train", "test"):
            if (product / split).is_dir():
                for label in folders(product / split):
                    place = product / "ground_truth" / label.name
                    for file in pictures(label):
                        good = label.name == GOOD
                        mask = None if good else masks.find([place], file.stem)
                        yield Found(
                            image=key(dataset, product.name, split, label.name, file.name),
                            dataset=dataset,
                            product=product.name,
                            defect=None if good else label.name,
                            split=split,
                            source=source,
                            file=file,
                            mask_files=(mask,) if mask else (),
                        )
