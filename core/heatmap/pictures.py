"""The map on the picture, for people. Arrays and Pillow images only: no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw
from scipy import ndimage

from core.pictures import to_rgb


def overlay(
    picture: Image.Image | np.ndarray,
    heat: ArrayLike,
    *,
    opacity: float = 0.5,
    limits: tuple[float, float] | None = None,
    colours: str = "inferno",
    contour: bool = False,
    box: bool = False,
    threshold: float | None = None,
) -> Image.Image:
    """Lay an anomaly map over a picture.

    Args:
        picture: any Pillow image, or a uint8 array [h, w] or [h, w, 3].
        heat: map [H, W] of any size (singleton dimensions are dropped, tensors are taken too), scaled bilinearly.
        opacity: of the hottest places, 0..1. Cold places stay clear, so that the product remains visible.
        limits: (coldest, hottest) value of the scale; None takes the map's own range. Give them to compare pictures.
        colours: name of a perceptually uniform matplotlib colour map.
        contour: draw the outline of what lies above `threshold`.
        box: draw the bounding box of the region that holds the hottest place.
        threshold: value from which a place is hot; None takes three quarters of the scale.

    Returns:
        RGB image of the picture's size.

    Raises:
        ValueError: a map that is not two-dimensional or holds no finite value, or an opacity outside 0..1.
    """
    from matplotlib import colormaps

    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must lie in 0..1, got {opacity}")
    image = to_rgb(picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture)))
    values = resize_map(heat, (image.height, image.width))
    low, high = limits or (float(values.min()), float(values.max()))
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)

    colour = colormaps[colours](scaled)[..., :3] * 255
    alpha = (opacity * scaled)[..., None]
    mixed = (1 - alpha) * np.asarray(image, dtype=np.float32) + alpha * colour
    hot = values >= (low + 0.75 * (high - low) if threshold is None else threshold)
    line = max(1, round(min(image.size) / 200))
    if contour:
        rim = hot & ~ndimage.binary_erosion(hot, iterations=line, border_value=1)
        mixed[rim] = (255, 255, 255)
    result = Image.fromarray(mixed.round().astype(np.uint8))
    if box and (found := hottest_box(values, hot)) is not None:
        ImageDraw.Draw(result).rectangle(found, outline=(0, 255, 255), width=line)
    return result


def resize_map(heat: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """A map as float32 [h, w] of `size`, bilinearly; the mask of a picture is compared with this."""
    values: Any = heat.detach().float().cpu().numpy() if hasattr(heat, "detach") else heat
    values = np.squeeze(np.asarray(values, dtype=np.float32))
    if values.ndim != 2 or not np.isfinite(values).any():
        raise ValueError(f"a map needs two dimensions and finite values, got shape {values.shape}")
    values = np.nan_to_num(values, nan=float(np.nanmin(values)))
    if values.shape == size:
        return values
    return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BILINEAR))


def hottest_box(values: np.ndarray, hot: np.ndarray) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom), in pixels and inclusive, of the hot region with the hottest place; None if all is cold."""
    if not hot.any() or hot.all():
        return None
    regions, _ = ndimage.label(hot)
    row, column = np.unravel_index(np.argmax(np.where(hot, values, -np.inf)), values.shape)
    rows, columns = ndimage.find_objects((regions == regions[row, column]).astype(np.uint8))[0]
    return columns.start, rows.start, columns.stop - 1, rows.stop - 1
