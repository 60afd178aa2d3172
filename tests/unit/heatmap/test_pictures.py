"""The overlay shows people where it is hot, on any picture, without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from core.heatmap import overlay
from core.heatmap.pictures import resize_map


def spot(size=8, at=(2, 5)):
    heat = np.zeros((size, size), dtype=np.float32)
    heat[at] = 1.0
    return heat


def test_hot_places_are_coloured_and_cold_ones_stay_clear():
    picture = Image.new("RGB", (80, 80), (100, 100, 100))
    shown = np.asarray(overlay(picture, spot())).astype(int)
    assert shown.shape == (80, 80, 3)
    assert (shown[70, 10] == 100).all()
    assert np.abs(shown[25, 55] - 100).max() > 50


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P", "1"])
def test_pictures_of_any_mode_are_taken(mode):
    picture = Image.new(mode, (30, 20))
    assert overlay(picture, spot()).size == (30, 20)


def test_an_array_and_a_tensor_are_taken():
    torch = pytest.importorskip("torch")
    picture = np.full((20, 30, 3), 80, dtype=np.uint8)
    array, tensor = overlay(picture, spot()), overlay(picture, torch.from_numpy(spot())[None, None])
    assert array.tobytes() == tensor.tobytes()


def test_box_frames_the_hottest_region_and_not_another():
    heat = np.zeros((10, 10), dtype=np.float32)
    heat[1:3, 1:3] = 1.0
    heat[7:9, 7:9] = 0.8
    picture = Image.new("RGB", (100, 100))
    marked = np.asarray(overlay(picture, heat, opacity=0, box=True))
    rows, columns = np.nonzero(marked.any(-1))
    assert rows.max() < 40 and columns.max() < 40


def test_contour_marks_the_rim_of_what_is_hot():
    picture = Image.new("RGB", (100, 100))
    heat = np.zeros((10, 10), dtype=np.float32)
    heat[3:7, 3:7] = 1.0
    marked = np.asarray(overlay(picture, heat, opacity=0, contour=True))
    assert marked.any() and not marked[50, 50].any() and not marked[5, 5].any()


def test_one_scale_for_two_pictures_makes_them_comparable():
    picture = Image.new("RGB", (40, 40))
    own = np.asarray(overlay(picture, spot() * 0.1)).max()
    shared = np.asarray(overlay(picture, spot() * 0.1, limits=(0, 1))).max()
    assert shared < own


def test_a_flat_map_colours_nothing_and_frames_nothing():
    picture = Image.new("RGB", (40, 40), (9, 9, 9))
    assert (np.asarray(overlay(picture, np.zeros((4, 4)), box=True, contour=True)) == 9).all()


@pytest.mark.parametrize("heat", [np.zeros(5), np.zeros((2, 3, 4)), np.full((3, 3), np.nan)])
def test_what_is_no_map_is_refused(heat):
    with pytest.raises(ValueError):
        overlay(Image.new("RGB", (8, 8)), heat)


def test_a_map_is_scaled_bilinearly_to_the_mask():
    assert resize_map(spot(), (80, 64)).shape == (80, 64)
    assert resize_map(np.full((3, 3), 0.25), (7, 9)).std() == 0


def test_the_overlay_needs_no_torch():
    code = "import sys; from core.heatmap import overlay; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
