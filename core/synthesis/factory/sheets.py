"""Contact sheets: a page of pictures to look at, for the README and for whoever changes a product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.synthesis.factory.products import PRODUCTS
from core.synthesis.factory.rendering import SIZE, Picture, render


def contact_sheet(
    seed: int = 0, *, products: Sequence[str] = tuple(PRODUCTS), columns: int = 6, defects: bool = True, outline: bool = False,
    difficulty: float = 0.3,
) -> Image.Image:  # fmt: skip
    """A page with one row of pictures a product.

    Args:
        defects: every second picture is defective.
        outline: draw the mask's outline.
    """
    page = Image.new("RGB", (columns * SIZE, len(products) * SIZE))
    for row, name in enumerate(products):
        kinds = list(PRODUCTS[name].defects)
        np.random.default_rng([seed, row]).shuffle(kinds)
        for column in range(columns):
            defect = kinds[column // 2 % len(kinds)] if defects and column % 2 else None
            picture = render(name, defect, seed * 1009 + column * 31 + row, difficulty)
            page.paste(Image.fromarray(_outlined(picture) if outline else picture.image), (column * SIZE, row * SIZE))
    return page


def _outlined(picture: Picture) -> np.ndarray:
    image = picture.image.copy()
    padded = np.pad(picture.mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    image[picture.mask & ~inner] = (255, 0, 255)
    return image
