"""Mask files to mask summaries: fast, in parallel, and never twice for the same content.

Most of a mask is background, so Pillow finds the box of the foreground in C and only that box is counted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from core.errors import UserError
from core.files import file_digest
from core.pictures import image_size, open_mask
from core.synthesis.regions import MaskSummary, summarise
from core.synthesis.sources.found import Found
from core.synthesis.store import Store


def summarise_file(path: Path) -> MaskSummary:
    """Open a mask and count it.

    Raises:
        UserError: missing, not a picture or damaged.
    """
    try:
        with Image.open(path) as image:
            if image.mode in {"L", "1"} and image.format != "JPEG":
                size = image.size
                box = image.getbbox()  # decodes, and looks at every pixel, in C
                if box is None:
                    return MaskSummary(*size, (0,) * 9)
                return summarise(np.asarray(image.crop(box)) > 0, offset=box[:2], size=size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass  # the general way says in one sentence what is wrong
    return summarise(open_mask(path))


def mask_of(sample: Found) -> Path | np.ndarray | None:
    """The mask of a sample as a source found it: its file where one fits as it is, else its pixels (bool [H, W]).

    Raises:
        UserError: it cannot be read, or does not fit the picture.
    """
    if not sample.mask_files and not sample.shapes and not sample.runs:
        return None
    width, height = size = image_size(sample.file)
    for file in sample.mask_files:
        if not file.is_file() or not file.stat().st_size:
            raise UserError(f"its mask {file.name} is empty (0 bytes) or not there")
        if image_size(file) != size:
            wide, high = image_size(file)
            raise UserError(f"its mask is {wide} x {high}, the picture {width} x {height} pixels")
    if len(sample.mask_files) == 1 and sample.box is None and not sample.shapes and not sample.runs:
        return sample.mask_files[0]
    left, top, right, bottom = sample.box or (0, 0, width, height)
    mask = _drawn(sample.shapes, (right - left, bottom - top))
    for file in sample.mask_files:
        mask |= open_mask(file)[top:bottom, left:right]
    for high, wide, counts in sample.runs:
        if (wide, high) != size or sum(counts) != wide * high or min(counts, default=0) < 0:
            raise UserError(f"its run-length mask is {wide} x {high}, the picture {width} x {height} pixels")
        values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        mask |= values.reshape((high, wide), order="F")[top:bottom, left:right]
    return mask


def _drawn(shapes: Iterable[tuple[float, ...]], size: tuple[int, int]) -> np.ndarray:
    """Boxes (right and bottom outside) and polygons as a mask."""
    image = Image.new("1", size)
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        if len(shape) == 4:
            left, top, right, bottom = (round(value) for value in shape)
            draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=1)
        else:
            draw.polygon([float(value) for value in shape], fill=1, outline=1)
    return np.array(image)


class MaskReader:
    """Reads mask summaries and remembers them by the content of the file.

    Args:
        store: where they are kept between runs; None keeps them in memory.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    def read(self, path: Path | None) -> MaskSummary:
        """The summary of one mask.

        Raises:
            UserError: it cannot be read; the sentence names the file.
        """
        [summary] = self.read_all([path])
        if isinstance(summary, UserError):
            raise summary
        return summary

    def read_all(
        self, paths: Sequence[Path | MaskSummary | UserError | None], progress: Callable[[int, int], None] | None = None
    ) -> list[MaskSummary | UserError]:
        """The summaries of many masks in order; a mask that cannot be read gives its error in that place.

        What is a summary or an error already stays what it is.
        """
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            keys = list(pool.map(_key, paths))
            known = self.store.get("mask", [key for key in keys if isinstance(key, str)])
            missing = [i for i, key in enumerate(keys) if isinstance(key, str) and key not in known]
            fresh: dict[str, bytes] = {}
            results: list[MaskSummary | UserError | None] = [None if isinstance(key, str) else key for key in keys]
            done = len(paths) - len(missing)
            for index, summary in zip(missing, pool.map(_summary, (paths[i] for i in missing)), strict=True):
                done += 1
                results[index] = summary
                if isinstance(summary, MaskSummary):
                    fresh[str(keys[index])] = json.dumps([summary.width, summary.height, summary.areas]).encode()
                if progress:
                    progress(done, len(paths))
        self.store.put("mask", fresh)
        return [
            result if result is not None else _decode(known[str(key)])
            for result, key in zip(results, keys, strict=True)
        ]


def _key(path: Path | MaskSummary | UserError | None) -> str | MaskSummary | UserError:
    if isinstance(path, UserError | MaskSummary):
        return path
    try:
        if path is None:
            raise UserError("The mask is not there: check its path.")
        if not path.stat().st_size:
            raise UserError(f"{path} is empty (0 bytes): export the mask again.")
        return file_digest(path)
    except UserError as error:
        return error
    except OSError:
        return UserError(f"{path} does not exist: check the path of the mask.")


def _summary(path: Path | MaskSummary | UserError | None) -> MaskSummary | UserError:
    try:
        assert isinstance(path, Path)
        return summarise_file(path)
    except UserError as error:
        return error


def _decode(value: bytes) -> MaskSummary:
    width, height, areas = json.loads(value)
    return MaskSummary(width, height, tuple(areas))
