"""Masks that people draw in the browser: the canvas they start from, and the file that is kept."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError
from core.files import write_atomic
from core.mmad import Benchmark, Sample
from core.pictures import open_image
from studio.thumbnails import LARGE

FOLDER = "corrections"  # below the benchmark's root: a mask path may not leave it


def canvas(bench: Benchmark, sample: Sample) -> dict[str, Any] | None:
    """The picture to draw on; None for a text sample. What is drawn takes the place of the present mask."""
    if sample.text is not None:
        return None
    picture = open_image(bench.path(sample.image))
    picture.thumbnail((LARGE, LARGE))
    return {"background": picture, "layers": [], "composite": None}


def keep(bench: Benchmark, image: str, drawn: dict[str, Any] | None) -> str | None:
    """Write what was drawn as a mask of the picture's own size; its path below the root, None when nothing was drawn.

    Raises:
        UserError: the benchmark's folder cannot be written.
    """
    layers = [np.asarray(layer.convert("RGBA"))[..., 3] > 0 for layer in (drawn or {}).get("layers") or ()]
    if not layers or not np.any(layers):
        return None
    if bench.by_image[image].text is not None:
        raise UserError("A text sample has no mask: leave the drawing empty.")
    shape = Image.fromarray(np.any(layers, axis=0)).resize(open_image(bench.path(image)).size)
    content = np.asarray(shape.convert("L"))
    name = hashlib.sha256(image.encode() + content.tobytes()).hexdigest()[:24]
    path = f"{FOLDER}/{name}.png"
    write_atomic(bench.path(path), lambda place: Image.fromarray(content).save(place))
    return path
