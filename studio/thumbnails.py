"""Small pictures, made once and kept in a folder; the only folder that is served from disk.

A small picture is named by its original's path, size and time, so a changed original gets a new one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from core.errors import UserError
from core.files import write_atomic
from core.pictures import open_image, open_mask

# A JPEG is decoded at a half, a quarter or an eighth of its size: 224 is just below a quarter of the 900 pixels that
# pictures of inspection often have, which makes a small picture in half the time that 240 takes.
SMALL, LARGE = 224, 960
PATIENCE = 10.0  # seconds that work ahead rests at most
MARK = (255, 46, 99)  # the mask's colour: no product of a line is magenta


class Thumbnails:
    """The cache of small pictures below one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two: more would only compete with the page that waits for them.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="thumbnails")
        # What may be looked at next is made by one more, which rests while a page waits.
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="thumbnails-ahead")
        self._pages, self._lock, self._quiet = 0, threading.Lock(), threading.Event()
        self._quiet.set()

    def url(self, picture: Path, *, size: int = SMALL, mask: Path | None = None) -> str | None:
        """The address of the small picture, made now if it is not there; None when the original cannot be opened."""
        file = self._file(picture, size, mask)
        if file is None:
            return None
        if not file.is_file():
            try:
                write_atomic(file, lambda place: _shrink(picture, size, mask).save(place, quality=86))
            except UserError:
                return None
        return f"/gradio_api/file={quote(file.as_posix())}"

    def urls(self, pictures: Iterable[Path]) -> list[str | None]:
        """`url` of many, at the same time."""
        self._count(1)
        try:
            return list(self._pool.map(self.url, pictures))
        finally:
            self._count(-1)

    def prepare(self, pictures: Iterable[Path]) -> None:
        """Make them in the background, while no page waits: what is likely looked at next."""
        for picture in pictures:
            self._ahead.submit(self._when_quiet, picture)

    def _when_quiet(self, picture: Path) -> None:
        self._quiet.wait(PATIENCE)
        self.url(picture)

    def _count(self, step: int) -> None:
        with self._lock:
            self._pages += step
            (self._quiet.clear if self._pages else self._quiet.set)()

    def close(self) -> None:
        for pool in (self._ahead, self._pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _file(self, picture: Path, size: int, mask: Path | None) -> Path | None:
        key = f"{size}"
        for path in (picture, mask):
            if path is None:
                continue
            try:
                stat = path.stat()
            except OSError:
                return None
            key += f"|{path}|{stat.st_size}|{stat.st_mtime_ns}"
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.jpg"


def _shrink(picture: Path, size: int, mask: Path | None) -> Image.Image:
    image = _open_small(picture, size) if mask is None else open_image(picture)
    if mask is not None:
        shape = Image.fromarray(open_mask(mask))
        image = outline(image, np.asarray(shape.resize(image.size) if shape.size != image.size else shape))
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image


def _open_small(picture: Path, size: int) -> Image.Image:
    """The picture as RGB, at least `size` pixels long; a JPEG is decoded small at once, which is four times as fast."""
    try:
        with Image.open(picture) as image:
            if image.format == "JPEG" and image.mode == "RGB":
                image.draft("RGB", (size, size))
                return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # `open_image` knows more ways, and the words for what is wrong
    return open_image(picture)


def outline(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The picture with the mask [H, W] as a light veil and a clear edge, both readable on any product."""
    width = max(3, round(max(image.size) / 200)) | 1
    shape = Image.fromarray((mask * 255).astype(np.uint8))
    edge = Image.fromarray(np.asarray(shape.filter(ImageFilter.MaxFilter(width))) - np.asarray(shape))
    veil = Image.new("RGB", image.size, MARK)
    image = Image.composite(Image.blend(image, veil, 0.28), image, shape)
    image.paste(veil, mask=edge)
    return image
