"""Putting found samples into a benchmark folder: pictures linked or copied, crops cut, masks united and drawn.

    <root>/<dataset>/<product>/...                        pictures, as the source named them
    <root>/<dataset>/<product>/ground_truth/...           masks, same path with the ending .png
    <root>/<dataset>/<product>/reference/...              aligned references

A sample whose files are broken or do not fit is left out and listed; the rest goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from core.errors import UserError, explain_os_error
from core.mmad import Sample
from core.pictures import open_image
from core.synthesis.masks import mask_of
from core.synthesis.sources.found import Box, Found, Skip, log_skip

LINKS = ("link", "copy", "symlink")


def place_samples(
    found: Iterable[Found],
    root: Path,
    *,
    link: str = "link",
    skip: Skip = log_skip,
    progress: Callable[[int], None] | None = None,
) -> list[Sample]:
    """Bring the files of `found` to `root` and return plain samples that refer to them.

    Args:
        link: "link" makes hard links where the disk can (else copies), "copy" copies, "symlink" links by path.
        progress: told how many are done.

    Raises:
        UserError: the disk is full or not writable.
    """
    samples = []
    taken: set[str] = set()
    for done, sample in enumerate(found, 1):
        try:
            if sample.image in taken:
                raise _Unfit("its name is taken by another picture")
            samples.append(_place(sample, root, link))
            taken.add(sample.image)
        except _Unfit as error:
            skip(str(sample.file), str(error))
        if progress:
            progress(done)
    return samples


class _Unfit(Exception):
    """This sample cannot be used; the others can."""


def _place(sample: Found, root: Path, link: str) -> Sample:
    # Reading errors concern one sample; writing errors (a full disk) concern all of them and are not caught here.
    mask = _mask(sample)
    target = root / sample.image
    inside = PurePosixPath(*PurePosixPath(sample.image).parts[2:])
    product = PurePosixPath(sample.dataset, sample.product)
    if sample.box is None:
        _bring(sample.file, target, link)
    else:
        _save(_cut(sample.file, sample.box), target)
    if isinstance(mask, Path):
        _bring(mask, root / product / str(sample.mask), link)
    elif mask is not None:
        _save(Image.fromarray(mask.astype(np.uint8) * 255), root / product / str(sample.mask))
    similar = sample.similar_templates
    extra = dict(sample.extra)
    if sample.reference:
        reference = f"{product}/reference/{inside}"
        file, box = sample.reference
        if box is None:
            _bring(file, root / reference, link)
        else:
            _save(_cut(file, box), root / reference)
        similar = (reference, *similar)
        # Same place, same board: such a pair may look the same without anything being wrong.
        extra["aligned"] = True
    return Sample(
        image=sample.image, dataset=sample.dataset, product=sample.product, defect=sample.defect,
        mask=sample.mask, split=sample.split, source=sample.source, questions=sample.questions, similar_templates=similar,
        random_templates=sample.random_templates, text=sample.text, extra=extra,
    )  # fmt: skip


def _mask(sample: Found) -> Path | np.ndarray | None:
    try:
        if not sample.file.stat().st_size:
            raise _Unfit("the picture is empty (0 bytes)")
        return mask_of(sample)
    except UserError as error:
        raise _Unfit(str(error)) from error
    except OSError as error:
        raise _Unfit(str(explain_os_error(error, sample.file))) from error


@lru_cache(maxsize=4)
def _opened(file: Path) -> Image.Image:
    image = open_image(file)
    # Grey pictures stay grey: a third of the bytes, and the same picture when it is opened again.
    red, green, blue = (np.asarray(band) for band in image.split())
    return image.convert("L") if (red == green).all() and (green == blue).all() else image


def _cut(file: Path, box: Box) -> Image.Image:
    try:
        return _opened(file).crop(box)
    except UserError as error:
        raise _Unfit(str(error)) from error


def _save(image: Image.Image, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, compress_level=4)
    except OSError as error:
        raise explain_os_error(error, target) from error


def _bring(file: Path, target: Path, link: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            # Never write into it: it may be a hard link to somebody's picture.
            raise _Unfit(f"the name {target.name} is taken by another picture")
        if link == "symlink":
            target.symlink_to(file.resolve())
            return
        if link == "link":
            try:
                os.link(file.resolve(), target)
                return
            except OSError:
                pass  # another disk, or links are not allowed there
        shutil.copyfile(file, target)
    except OSError as error:
        if not os.access(file, os.R_OK):
            raise _Unfit(str(explain_os_error(error, file))) from error
        raise explain_os_error(error, target) from error
