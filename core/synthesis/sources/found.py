"""What a source finds: a Sample that also says where its pixels are now.

A source never copies or opens pictures. It yields `Found` samples, whose `image` is the key the picture will have in the
benchmark (`dataset/product/...`), and whose further fields say from which files picture, mask and aligned reference are
made (`core.synthesis.placing` does that).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError, explain_os_error
from core.mmad import Sample
from core.pictures import SUFFIXES

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom lie outside
Skip = Callable[[str, str], None]  # (what, why): a thing that is left out, counted and listed
_LONGEST = 180  # bytes of a file name that leave room for what we append


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Sample):
    """A sample and the files it is made of.

    `mask` is where the mask will lie in the benchmark, None without one.

    Attributes:
        file: the picture as it lies in the data set.
        box: the part of it that is the sample, None for the whole.
        mask_files: masks to unite; their size is that of `file`.
        shapes: defect regions where there is no mask file: boxes (4 numbers) or polygons (x, y, x, y, ...: 6 or more),
            in pixels of the sample's picture.
        runs: regions as run lengths, (height, width, counts): column by column, background first (COCO's RLE).
        reference: the file and part that show the same place without a defect ("aligned pair").
    """

    file: Path
    box: Box | None = None
    mask_files: tuple[Path, ...] = ()
    shapes: tuple[tuple[float, ...], ...] = ()
    runs: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    reference: tuple[Path, Box | None] | None = None

    def __post_init__(self) -> None:
        if self.mask is None and (self.mask_files or self.shapes or self.runs):
            object.__setattr__(self, "mask", self._place_of_mask())

    def _place_of_mask(self) -> str:
        """Where the mask will lie, relative to dataset/product: named like the picture, with the mask's own ending."""
        inside = self.image.split("/", 2)[2]
        whole = self.box is None and len(self.mask_files) == 1 and not self.shapes and not self.runs
        ending = self.mask_files[0].suffix.lower() if whole else ".png"
        return f"ground_truth/{inside}" + ("" if inside.lower().endswith(ending) else ending)


def log_skip(what: str, why: str) -> None:
    """The default `Skip`: one line in the log."""
    logging.getLogger(__name__).warning("left out %s: %s", what, why)


def key(*parts: str) -> str:
    """The benchmark path of a picture: '/' between parts, nothing in a name that MMAD or another system refuses."""
    names = [name for part in parts for name in part.split("/") if name not in {"", "."}]
    return "/".join(_safe(name) for name in names)


def _safe(name: str) -> str:
    name = re.sub(r"[\\:\x00-\x1f]", "_", name)
    name = "_" if name == ".." else name
    if len(name.encode()) <= _LONGEST:
        return name
    stem, suffix = os.path.splitext(name)
    tail = hashlib.sha256(name.encode()).hexdigest()[:8] + suffix
    return stem.encode()[: _LONGEST - len(tail.encode()) - 1].decode(errors="ignore") + "-" + tail


def folders(root: Path) -> list[Path]:
    """The folders in `root`, by name; hidden ones are left out.

    Raises:
        UserError: `root` is missing or cannot be read.
    """
    return [Path(entry.path) for entry in _scan(root) if entry.is_dir()]


def pictures(root: Path, *, deep: bool = False) -> Iterator[Path]:
    """The picture files in `root` by name, with `deep` those below it too; nothing is opened, links into a loop end."""
    seen: set[tuple[int, int]] = set()

    def walk(folder: Path) -> Iterator[Path]:
        if deep:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                return
            seen.add((status.st_dev, status.st_ino))
        for entry in _scan(folder):
            if os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
                yield Path(entry.path)
            elif deep and entry.is_dir():
                yield from walk(Path(entry.path))

    if root.is_dir():
        yield from walk(root)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise explain_os_error(error, folder) from error


def products(root: Path, wanted: Callable[[Path], bool], layout: str) -> list[Path]:
    """The product folders in `root`; `root` itself where it is one.

    Raises:
        UserError: none is there; the sentence says what the layout is.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the data set's folder.")
    found = [root] if wanted(root) else [folder for folder in folders(root) if wanted(folder)]
    if not found:
        raise UserError(f"{root} holds no {layout}: give the folder that does, or another --source.")
    return found


class Masks:
    """Finds masks by the name of their picture; each folder is listed once, so that 150,000 pictures stay quick."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, places: Iterable[Path], stem: str, suffixes: tuple[str, ...] = ("_mask", "")) -> Path | None:
        """The first mask in `places` (folders) that is named like the picture, with one of the suffixes."""
        for place in places:
            if place not in self._listed:
                self._listed[place] = {file.stem: file for file in reversed(list(pictures(place)))}
            for suffix in suffixes:
                if found := self._listed[place].get(stem + suffix):
                    return found
        return None
