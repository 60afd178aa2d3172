"""Pictures of a course, cut into tiles once: the same ones come back in every pass over the questions."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature

from core.pictures import open_image

LIMIT = 256 * 2**20  # bytes of tiles that are kept
_PATH = "path of a kept picture"  # in `Image.info`, which copies and conversions carry along


class Pictures:
    """Opens pictures and stands in for the image processor; the least recently used tiles are forgotten.

    Args:
        image_processor: cuts a picture into tiles, with settings that do not change.
        limit: bytes of tiles kept.
    """

    def __init__(self, image_processor: Any, limit: int = LIMIT) -> None:
        self.image_processor, self.limit = image_processor, limit
        self._tiles: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.image_processor, name)

    def open(self, path: str) -> Image.Image:
        """The picture at `path`, or a blank that stands for it where its tiles are known."""
        picture = Image.new("RGB", (1, 1)) if path in self._tiles else open_image(path)
        picture.info[_PATH] = path
        return picture

    def __call__(self, images: list[Image.Image], **kwargs: Any) -> BatchFeature:
        parts = [self._cut(picture, kwargs) for picture in images]
        while self._size > self.limit:
            self._size -= self._tiles.popitem(last=False)[1].nbytes
        return BatchFeature({"pixel_values": torch.cat(parts), "num_patches": [len(part) for part in parts]})

    def _cut(self, picture: Image.Image, settings: dict[str, Any]) -> torch.Tensor:
        path: str | None = picture.info.get(_PATH)
        if path is None or path not in self._tiles:
            # A blank whose tiles were forgotten since is opened again.
            picture = picture if path is None or picture.size != (1, 1) else open_image(path)
            tiles = self.image_processor(images=[picture], **{**settings, "return_tensors": "pt"})["pixel_values"]
            if path is None:
                return tiles
            self._tiles[path] = tiles
            self._size += tiles.nbytes
        self._tiles.move_to_end(path)
        return self._tiles[path]


def keep_pictures(processor: Any) -> tuple[Any, Pictures]:
    """A copy of the processor that cuts every picture once, and what opens pictures for it."""
    kept, pictures = copy.copy(processor), Pictures(processor.image_processor)
    kept.image_processor = pictures
    return kept, pictures
