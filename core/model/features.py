"""One vector a picture, to find similar ones: CLIP's, another vision model's, or the checkpoint's own vision tower."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.model.adapters import inner_model
from core.model.layouts import find_checkpoint, readable_errors
from core.pictures import open_image, to_rgb

Encoder = Callable[[Iterable[Any]], np.ndarray]


def image_encoder(name_or_path: Any, *, device: Any = None, batch: int = 16) -> Encoder:
    """A function from pictures to unit vectors.

    Args:
        name_or_path: an EMIT or InternVL checkpoint (its vision tower is used), the name of a vision model such as
            "openai/clip-vit-base-patch32" (EMIT's choice), or a loaded (model, processor).
        batch: pictures a pass.

    Returns:
        encode(pictures) -> float32 [N, D] with rows of length 1; pictures are Pillow images or paths.

    Raises:
        UserError: the model cannot be loaded or has no picture features.
    """
    if isinstance(name_or_path, tuple):
        encode = _of_tower(*name_or_path, batch=batch)
    elif Path(name_or_path).exists() and find_checkpoint(name_or_path).kind != "other":
        from core.model.loading import load_model

        encode = _of_tower(*load_model(name_or_path, device=device), batch=batch)
    else:
        encode = _of_vision_model(str(name_or_path), device=device, batch=batch)
    if not isinstance(name_or_path, tuple):
        encode.cache_name = str(name_or_path)  # type: ignore[attr-defined]  # names kept features, see core.synthesis
    return encode


def _of_tower(model: Any, processor: Any, *, batch: int) -> Encoder:
    """Mean patch feature of the thumbnail, each layer on its own scale: what a product looks like, not where it lies."""

    def features(pictures: list[Any]) -> torch.Tensor:
        pixels = torch.cat([processor.thumbnail(picture) for picture in pictures])
        layers = inner_model(model).model
        means = [state.float().mean(1) for state in layers.patch_features(pixels)]
        return torch.cat([torch.nn.functional.normalize(mean, dim=-1) for mean in means], dim=-1)

    return _batched(features, batch)


def _of_vision_model(name: str, *, device: Any, batch: int) -> Encoder:
    from transformers import AutoImageProcessor, AutoModel

    with readable_errors(name):
        model = AutoModel.from_pretrained(name).eval()
        images = AutoImageProcessor.from_pretrained(name)
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def features(pictures: list[Any]) -> torch.Tensor:
        pixels = images(images=pictures, return_tensors="pt")["pixel_values"].to(model.device, model.dtype)
        if hasattr(model, "get_image_features"):
            found = model.get_image_features(pixel_values=pixels)
        else:
            found = model(pixel_values=pixels)
        if not isinstance(found, torch.Tensor):
            pooled = getattr(found, "pooler_output", None)
            found = pooled if pooled is not None else found.last_hidden_state.mean(1)
        if found.ndim != 2:
            raise UserError(f"{name} gives no vector a picture: choose a model such as openai/clip-vit-base-patch32.")
        return found

    return _batched(features, batch)


def _batched(features: Callable[[list[Any]], torch.Tensor], batch: int) -> Encoder:
    @torch.no_grad()
    def encode(pictures: Iterable[Any]) -> np.ndarray:
        opened = [open_image(item) if isinstance(item, str | Path) else to_rgb(item) for item in pictures]
        if not opened:
            return np.zeros((0, 0), dtype=np.float32)
        parts = [features(opened[start : start + batch]).float().cpu() for start in range(0, len(opened), batch)]
        return torch.nn.functional.normalize(torch.cat(parts), dim=-1).numpy()

    return encode
