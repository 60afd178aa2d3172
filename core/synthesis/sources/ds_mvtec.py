"""DS-MVTec: the variant of MVTec AD that MMAD asks about, with finer defect masks (Defect Spectrum).

    <root>/<product>/image/{good,<defect>}/000.png
    <root>/<product>/mask/<defect>/000_mask.png              with `_mask` or without

Yang et al., "Defect Spectrum: a granular look of large-scale defect datasets with rich semantics", ECCV 2024. Pictures:
MVTec AD, CC BY-NC-SA 4.0 (research use). https://huggingface.co/datasets/DefectSpectrum/Defect_Spectrum

All of it is test data (it is half of MMAD). In the original release `pill/image/good/000` to `021` show metal nuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.mmad import GOOD
from core.synthesis.sources.found import Found, Masks, Skip, folders, key, log_skip, pictures, products

DATASET = "DS-MVTec"
LAYOUT = "<product>/image/<defect>/ folders"


def read(root: Path, *, skip: Skip = log_skip, nuts: str = "skip") -> Iterator[Found]:
    """Every picture of every product.

    Args:
        nuts: "keep" for a release in which the pills are pills.
    """
    return _read(products(root, lambda folder: (folder / "image").is_dir(), LAYOUT), skip, nuts)


def _read(found: list[Path], skip: Skip, nuts: str) -> Iterator[Found]:
    masks = Masks()
    for product in found:
        for label in folders(product / "image"):
            good = label.name == GOOD
            places = [product / name / label.name for name in ("mask", "masks", "ground_truth")]
            for file in pictures(label):
                if nuts != "keep" and good and product.name == "pill" and file.stem.isdigit() and int(file.stem) <= 21:
                    skip(str(file), "it shows a metal nut in the original release (nuts=keep takes it all the same)")
                    continue
                mask = None if good else masks.find(places, file.stem)
                yield Found(
                    image=key(DATASET, product.name, "image", label.name, file.name),
                    dataset=DATASET,
                    product=product.name,
                    defect=None if good else label.name,
                    split="test",
                    source="ds-mvtec",
                    file=file,
                    mask_files=(mask,) if mask else (),
                )
