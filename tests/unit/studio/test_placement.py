"""How a product's pieces lie is chosen once and decides what the heatmap compares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.model.tiny import build_tiny
from studio.inspection import compare
from studio.models import Loaded
from studio.placement import PLACEMENTS, choose_placement, comparison_settings, placement
from studio.services import open_services


def test_a_choice_is_kept_per_product(tmp_path: Path) -> None:
    services = open_services(tmp_path, None)
    assert placement(services, "nut") == "model"
    choose_placement(services, "nut", "turned")
    assert placement(services, "nut") == "turned" and placement(services, "board") == "model"


@pytest.mark.parametrize("grid", [(14, 14), (10, 16)])
def test_settings_fit_the_grid(grid: tuple[int, int]) -> None:
    assert comparison_settings("model", grid) == {}
    turns = comparison_settings("turned", grid)["rotations"]
    assert turns == ((0, 90, 180, 270) if grid[0] == grid[1] else (0, 180))
    windows = [comparison_settings(name, grid)["window"] for name in PLACEMENTS[1:]]
    assert windows == sorted(set(windows))


def test_a_turned_piece_looks_like_its_reference_only_when_it_may_lie_turned() -> None:
    values = np.random.default_rng(0).integers(0, 255, (7, 7, 3), dtype=np.uint8)
    piece = Image.fromarray(values).resize((112, 112), Image.Resampling.NEAREST)
    loaded = Loaded(*build_tiny(image_size=112))
    still, turned = (compare(loaded, piece.rotate(90), [piece], lie) for lie in ("aligned", "turned"))
    assert turned.mean() < 0.5 * still.mean()
