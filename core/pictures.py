"""Opening pictures and masks of every kind a factory camera writes, with one clear sentence when that fails.

16-bit, palette, grey, RGBA and CMYK pictures are converted to 8-bit RGB, EXIF rotation is applied. Sizes are read from
the header without decoding. A picture above `MAX_PIXELS` is refused before it is decoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import UserError, explain_os_error

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 20_000 * 20_000
# Pillow refuses less than what line-scan cameras deliver; the check below names the file and the way out.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(
                        f"{path} has {image.width} x {image.height} pixels: scale it below 20,000 x 20,000."
                    )
                yield image
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a picture (PNG, JPEG, BMP, TIFF or WebP): replace or remove it.") from error
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: check the path.") from error
    except OSError as error:
        if error.errno is not None:
            raise explain_os_error(error, path) from error
        raise UserError(f"{path} is damaged or cut off ({error}): replace or remove it.") from error
    except (SyntaxError, ValueError, Image.DecompressionBombError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}): replace or remove it.") from error


def open_image(path: str | Path) -> Image.Image:
    """The picture as 8-bit RGB, upright.

    Raises:
        UserError: missing, not a picture, damaged or too large; the sentence names the file.
    """
    with _opened(path) as image:
        return to_rgb(ImageOps.exif_transpose(image))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image as 8-bit RGB; 16-bit and float greys are scaled by their own range, alpha lies on white."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float32)
        values = np.nan_to_num(values)
        low, high = float(values.min()), float(values.max())
        # A true 16-bit camera fills little of its range: stretch by what is there, as image viewers do.
        scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def open_mask(path: str | Path) -> np.ndarray:
    """A mask as bool array [H, W]: every pixel that is not the background value 0 is foreground.

    A JPEG blurs a mask's edges, so there the upper half of the range is foreground.

    Raises:
        UserError: missing, not a picture or damaged.
    """
    with _opened(path) as image:
        if image.mode == "P":  # a palette index, not its colour, is the label
            return np.asarray(image) > 0
        values = np.asarray(image.convert("L") if image.mode in {"1", "LA", "RGB", "RGBA", "CMYK"} else image)
        return values > (127 if image.format == "JPEG" else 0)


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels from the file's header; the picture is not decoded."""
    with _opened(path) as image:
        # Orientations 5..8 turn the picture by a quarter.
        turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
        return (image.height, image.width) if turned else image.size
