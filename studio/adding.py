"""A picture that was judged wrongly becomes a sample of the benchmark: with its right label, a drawn mask and questions."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from core.errors import UserError
from core.files import write_atomic
from core.mmad import GOOD, Benchmark, Sample, read_mmad, write_mmad

if TYPE_CHECKING:
    from studio.services import Opened, Services

TEMPLATES = 10
_writing = threading.Lock()  # two people may add at the same time; the file is read and written as one


def add_picture(
    services: Services, opened: Opened, picture: Image.Image, *, product: str, label: str, drawn: dict[str, Any] | None
) -> Sample:
    """Write the picture, its mask and its entry into the benchmark's folder; it is a training sample from then on.

    Args:
        product: "dataset/product", one of the benchmark's.
        label: "good" or a defect's name.
        drawn: what `gr.ImageEditor` gives; its layers are the mask.

    Raises:
        UserError: an unknown product, a name that is no folder name, the picture is there already, or the folder cannot be
            written.
    """
    from core.synthesis import build_questions

    label = label.strip()
    if not label or label.startswith(".") or any(c in '/\\:*?"<>|' or ord(c) < 32 for c in label) or len(label) > 80:
        raise UserError('The label must be a name without / \\ : * ? " < > |, or good.')
    with _writing:
        bench = read_mmad(opened.bench.root)
        dataset, _, name = product.partition("/")
        fellows = [sample for sample in bench if (sample.dataset, sample.product) == (dataset, name)]
        if not fellows:
            raise UserError("This product is not in the benchmark: choose one of the list.")
        stem = "inspected-" + hashlib.sha256(picture.tobytes()).hexdigest()[:12]
        image = f"{dataset}/{name}/image/{label}/{stem}.png"
        if any(sample.image.endswith(f"/{stem}.png") for sample in fellows):
            raise UserError("This picture is in the benchmark already: correct its label on the Browse page.")
        write_atomic(bench.path(image), lambda place: picture.save(place))
        mask = None
        shape = mask_of(drawn, picture.size)
        if label != GOOD and shape is not None:
            mask = f"mask/{label}/{stem}.png"
            write_atomic(bench.path(f"{dataset}/{name}/{mask}"), lambda place: shape.save(place))
        normals = tuple(sample.image for sample in fellows if sample.is_normal and sample.text is None)[:TEMPLATES]
        fresh = Sample(
            image, dataset, name, defect=None if label == GOOD else label, mask=mask, split="train", source="inspected",
            similar_templates=normals, random_templates=normals,
        )  # fmt: skip
        # One sample of every kind is enough to draw wrong options from; their masks need not be opened.
        kinds = {(s.dataset, s.product, s.defect): replace(s, mask=None) for s in bench}
        asked = build_questions(Benchmark(bench.root, (*kinds.values(), fresh), bench.knowledge))
        fresh = next((sample for sample in asked if sample.image == image), fresh)
        write_mmad(replace(bench, samples=(*bench.samples, fresh)))
    return fresh


def mask_of(drawn: dict[str, Any] | None, size: tuple[int, int]) -> Image.Image | None:
    """What was drawn as a black-and-white picture of `size` (width, height), None when nothing was drawn."""
    layers = [np.asarray(layer.convert("RGBA"))[..., 3] > 0 for layer in (drawn or {}).get("layers") or ()]
    if not layers or not np.any(layers):
        return None
    shape = Image.fromarray((np.any(layers, axis=0) * 255).astype(np.uint8))
    return shape.resize(size, Image.Resampling.NEAREST)
