"""VISION: 14 products from real lines, annotated in COCO's format.

    <root>/<product>/{train,val}/_annotations.coco.json
    <root>/<product>/{train,val}/000000.jpg
    <root>/<product>/inference/000000.jpg           without annotations: not used

Bai et al., "VISION Datasets: a benchmark for vision-based industrial inspection", arXiv 2306.07890. CC BY-NC 4.0; single
products have licences of their own. https://huggingface.co/datasets/VISION-Workshop/VISION-Datasets
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.synthesis.sources.coco import load, samples
from core.synthesis.sources.found import Found, Skip, log_skip, products

DATASET = "VISION"
FILE = "_annotations.coco.json"
SPLITS = ("train", "val")
LAYOUT = f"<product>/train/{FILE}"


def read(root: Path, *, skip: Skip = log_skip) -> Iterator[Found]:
    """Every annotated picture; a picture without annotations is normal."""
    return _read(products(root, lambda folder: any((folder / s / FILE).is_file() for s in SPLITS), LAYOUT), skip)


def _read(found: list[Path], skip: Skip) -> Iterator[Found]:
    for product in found:
        for split in SPLITS:
            file = product / split / FILE
            if file.is_file():
                yield from samples(load(file), file, [file.parent], DATASET, product.name, split, "vision", 0, skip)
