"""The nine regions: every pixel belongs to one, the largest share comes first."""

from __future__ import annotations

import numpy as np
import pytest

from core.synthesis.regions import REGIONS, WORDINGS, cells_of, region_names, summarise


@pytest.mark.parametrize("cell", range(9))
def test_a_defect_in_one_cell_has_that_name(cell: int) -> None:
    mask = np.zeros((90, 120), bool)
    mask[10 + 30 * (cell // 3), 20 + 40 * (cell % 3)] = True
    assert region_names(mask) == (REGIONS[cell],)


def test_regions_are_ranked_by_area_and_equals_in_reading_order() -> None:
    mask = np.zeros((90, 90), bool)
    mask[40:50, 58:70] = True  # 2 columns in the centre, 10 at the right
    assert region_names(mask) == ("right", "center")
    mask[40:50, 52:58] = True
    mask[40:50, 50:52] = True
    assert summarise(mask).areas[4] == summarise(mask).areas[5] == 100
    assert region_names(mask) == ("center", "right")


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (7, 11), (160, 160), (1, 20000)])
def test_every_pixel_is_counted_once(shape: tuple[int, int]) -> None:
    assert sum(summarise(np.ones(shape, bool)).areas) == shape[0] * shape[1]


def test_a_single_pixel_is_the_centre() -> None:
    assert region_names(np.ones((1, 1), bool)) == ("center",)


def test_a_part_of_a_mask_is_counted_where_it_lies() -> None:
    mask = np.zeros((100, 140), bool)
    mask[20:71, 33:101] = True
    part = summarise(mask[20:71, 33:101], offset=(33, 20), size=(140, 100))
    assert part == summarise(mask)


def test_an_empty_mask_is_nowhere() -> None:
    assert region_names(np.zeros((9, 9), bool)) == () and summarise(np.zeros((9, 9), bool)).is_empty


def test_each_region_has_several_wordings_that_are_its_own() -> None:
    every = [wording for wordings in WORDINGS for wording in wordings]
    assert all(len(wordings) >= 3 for wordings in WORDINGS) and len(every) == len(set(every))


def test_fields_of_a_grid_lie_in_ninths():
    assert cells_of(3) == list(range(9))
    assert cells_of(7)[:7] == [0, 0, 1, 1, 1, 2, 2] and cells_of(7)[-1] == 8
