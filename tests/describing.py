"""A small benchmark of generated pictures for tests of the describer: gray plates with marks of known place and kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from core.mmad import Benchmark, Knowledge, Sample

SIZE = 96
# defect -> how it is drawn into picture and mask
MARKS = {
    "scratch": lambda draw, color: draw.line([(50, 80), (90, 84)], fill=color, width=2),
    "hole": lambda draw, color: draw.ellipse([8, 8, 24, 24], fill=color),
    "stain": lambda draw, color: draw.ellipse([40, 40, 60, 58], fill=color),
}
COLORS = {"scratch": (200, 200, 200), "hole": (10, 10, 10), "stain": (150, 60, 40)}


def make_bench(
    root: Path,
    products: Iterable[str] = ("plate",),
    defects: Iterable[str] = ("scratch", "hole"),
    *,
    splits: Iterable[str] = ("train", "test"),
    masks: bool = True,
    normals: int = 2,
    knowledge: Knowledge | None = None,
) -> Benchmark:
    """`normals` normal pictures and one picture per defect, per product and split."""
    samples = []
    for product in products:
        for split in splits:
            for number in range(normals):
                image = f"shop/{product}/good/{split}{number}.png"
                _write(root / image, _plate(product, split, number))
                samples.append(Sample(image, "shop", product, split=split))
            for defect in defects:
                image, mask = f"shop/{product}/{defect}/{split}.png", f"masks/{defect}/{split}.png"
                picture, drawn = _plate(product, split, defect), Image.new("L", (SIZE, SIZE))
                mark = MARKS.get(defect, MARKS["stain"])
                mark(ImageDraw.Draw(picture), COLORS.get(defect, COLORS["stain"]))
                mark(ImageDraw.Draw(drawn), 255)
                _write(root / image, picture)
                if masks:
                    _write(root / f"shop/{product}/{mask}", drawn)
                samples.append(Sample(image, "shop", product, defect, mask if masks else None, split))
    return Benchmark(root, tuple(samples), knowledge or {})


def _plate(*name: object) -> Image.Image:
    noise = np.random.default_rng(sum(map(ord, "/".join(map(str, name))))).normal(0, 3, (SIZE, SIZE, 1))
    return Image.fromarray(np.clip(110 + noise.repeat(3, 2), 0, 255).astype(np.uint8))


def _write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
