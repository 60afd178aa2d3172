"""`anomaly_map` is the plain definition, however it is computed."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from core.heatmap import anomaly_map


def plain_definition(query, reference, window, grid):
    """The definition, patch by patch: a pair too far apart counts as 0, the best pair is the similarity."""
    height, width = grid
    patches = height * width
    maps = torch.zeros(len(query[0]), 1, height, width)
    for sample in range(len(query[0])):
        for place in range(patches):
            total = 0.0
            for features, references in zip(query, reference, strict=True):
                best = -math.inf
                for other in range(references.shape[1]):
                    row, column = divmod(other % patches, width)
                    near = abs(row - place // width) <= window and abs(column - place % width) <= window
                    pair = cosine_similarity(features[sample, place], references[sample, other], dim=0)
                    best = max(best, pair.item() if near else 0.0)
                total += best
            maps[sample, 0, place // width, place % width] = 1 - total / len(query)
    return maps


def features(grid, rotations, batch=1, layers=2, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    patches = grid[0] * grid[1]
    query = [torch.randn(batch, patches, width, generator=generator) for _ in range(layers)]
    reference = [torch.randn(batch, rotations * patches, width, generator=generator) for _ in range(layers)]
    return query, reference


@pytest.mark.parametrize("rotations", [1, 2, 3, 4])
@pytest.mark.parametrize("window", [0, 1, 3, 6])
def test_equals_the_double_loop(window, rotations):
    query, reference = features((6, 6), rotations, batch=2)
    found = anomaly_map(query, reference, window=window)
    torch.testing.assert_close(found, plain_definition(query, reference, window, (6, 6)), atol=1e-5, rtol=0)


def test_equals_the_double_loop_where_bands_are_cut_off():
    """13 rows in bands of 5: the last band is shorter than the others."""
    query, reference = features((13, 13), 1, layers=1)
    found = anomaly_map(query, reference, window=5)
    torch.testing.assert_close(found, plain_definition(query, reference, 5, (13, 13)), atol=1e-5, rtol=0)


def test_a_tower_learns_through_the_map():
    """The gradient of the query's features is that of the plain definition, on the patches that are compared."""
    query, reference = features((4, 4), 2)
    learning = [layer.requires_grad_(True) for layer in query]
    anomaly_map(learning, reference, window=4)[0, 0, 1, 2].backward()
    for layer, references in zip(learning, reference, strict=True):
        own = layer.grad[0]
        assert own[6].any() and not own[[place for place in range(16) if place != 6]].any()
        one = layer.detach()[0, 6].clone().requires_grad_(True)
        cosine_similarity(one[None], references[0]).amax().neg().div(2).backward()
        torch.testing.assert_close(own[6], one.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("grid", [(4, 7), (7, 4), (1, 5)])
def test_grids_need_not_be_square(grid):
    query, reference = features(grid, 2)
    found = anomaly_map(query, reference, window=2, grid=grid)
    torch.testing.assert_close(found, plain_definition(query, reference, 2, grid), atol=1e-5, rtol=0)


def test_a_place_with_no_likeness_in_its_window_counts_as_zero_and_not_below():
    """All cosines are -1: outside the window a pair counts as 0, so the map is 1 and not 2; the window covers all here."""
    query = [torch.ones(1, 9, 4)]
    assert torch.allclose(anomaly_map(query, [-query[0]], window=0), torch.ones(1, 1, 3, 3))


def test_a_rotated_copy_is_found_at_its_rotated_place_only():
    torch.manual_seed(0)
    image = torch.randn(8, 8, 16)
    turned = torch.rot90(image, 1, dims=(0, 1))
    query = [turned.reshape(1, 64, 16)]
    upright = [image.reshape(1, 64, 16)]
    both = [torch.cat([image.reshape(1, 64, 16), turned.reshape(1, 64, 16)], dim=1)]
    assert anomaly_map(query, both, window=0).abs().max() < 1e-6
    assert anomaly_map(query, upright, window=0).mean() > 0.5


def test_half_precision_stays_close():
    query, reference = features((8, 8), 4, batch=2, width=32)
    exact = anomaly_map(query, reference, window=3)
    half = anomaly_map([x.bfloat16() for x in query], [x.bfloat16() for x in reference], window=3)
    assert (half.float() - exact).abs().max() < 2e-2


def test_training_in_16_bits_leaves_the_map_in_32():
    query, reference = features((6, 6), 1, batch=2)
    plain = anomaly_map(query, reference)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(anomaly_map(query, reference), plain)


def test_layers_may_differ_in_width():
    query = [torch.randn(1, 16, 4), torch.randn(1, 16, 9)]
    found = anomaly_map(query, query, window=1)
    assert found.shape == (1, 1, 4, 4)
    assert found.abs().max() < 1e-6


def test_a_zero_vector_is_like_nothing_and_makes_no_nan():
    query = [torch.zeros(1, 4, 3)]
    assert torch.equal(anomaly_map(query, [torch.randn(1, 4, 3)]), torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("query", "reference", "options"),
    [
        ([], [], {}),
        ([torch.ones(1, 4, 3)], [torch.ones(1, 4, 3)] * 2, {}),
        ([torch.ones(1, 5, 3)], [torch.ones(1, 5, 3)], {}),
        ([torch.ones(1, 4, 3)], [torch.ones(1, 6, 3)], {}),
        ([torch.ones(1, 4, 3)], [torch.ones(1, 4, 2)], {}),
        ([torch.ones(1, 4, 3)], [torch.ones(1, 4, 3)], {"window": -1}),
        ([torch.ones(1, 4, 3)], [torch.ones(1, 4, 3)], {"grid": (3, 2)}),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(query, reference, options):
    with pytest.raises(ValueError):
        anomaly_map(query, reference, **options)
