"""The map becomes tokens, behind a soft prompt that starts from words."""

from __future__ import annotations

import pytest
import torch

from core.heatmap import ContrastiveEmbedder
from core.heatmap.embedder import HOT


@pytest.mark.parametrize(("grid", "tokens"), [((32, 32), 265), ((14, 14), 58), ((16, 10), 49), ((7, 5), 15)])
def test_token_count_follows_the_grid(grid, tokens):
    embedder = ContrastiveEmbedder(12)
    assert embedder(torch.rand(3, 1, *grid)).tokens.shape == (3, tokens, 12)
    assert embedder.length(grid) == tokens


def test_each_half_can_be_switched_off():
    maps = torch.rand(2, 1, 8, 8)
    assert ContrastiveEmbedder(6, soft_tokens=0)(maps).tokens.shape == (2, 16, 6)
    assert ContrastiveEmbedder(6, heatmap=False)(maps).tokens.shape == (2, 9, 6)


def test_the_soft_prompt_starts_from_a_phrase_said_again_if_it_is_short():
    embedder = ContrastiveEmbedder(4, soft_tokens=5)
    phrase = torch.arange(12.0).view(3, 4)
    embedder.start_from(phrase)
    assert torch.equal(embedder.soft_prompt.weight, phrase[[0, 1, 2, 0, 1]])
    with pytest.raises(ValueError):
        embedder.start_from(torch.ones(3, 5))


def test_a_sample_does_not_depend_on_its_neighbours_even_in_train_mode():
    embedder = ContrastiveEmbedder(4).train()
    maps = torch.rand(3, 1, 8, 8)
    alone, together = embedder(maps[:1]).tokens, embedder(maps).tokens[:1]
    torch.testing.assert_close(alone, together)
    assert embedder.projector[0].num_batches_tracked == 0


def test_statistics_are_learned_only_when_asked_for():
    embedder = ContrastiveEmbedder(4)
    embedder.collect_statistics = True
    embedder.train()
    embedder(torch.rand(3, 1, 8, 8) + 5)
    assert 5.4 < embedder.projector[0].running_mean < 5.6, "the first batch stands in for the start"
    embedder(torch.rand(3, 1, 8, 8) + 6)
    assert 5.5 < embedder.projector[0].running_mean < 5.7, "later ones move it by a tenth"
    embedder.collect_statistics = False
    embedder.train()
    before = embedder.projector[0].running_mean.clone()
    embedder(torch.rand(3, 1, 8, 8))
    assert torch.equal(before, embedder.projector[0].running_mean)


def test_without_places_nothing_guides():
    assert ContrastiveEmbedder(4)(torch.rand(2, 1, 8, 8)).guide is None
    assert ContrastiveEmbedder(4, heatmap=False, places=16)(torch.rand(2, 1, 8, 8)).guide is None


def test_a_hot_place_says_its_vector_the_more_surely_the_hotter_it_is():
    embedder = ContrastiveEmbedder(4, soft_tokens=0, places=16)
    assert not embedder(torch.rand(1, 1, 8, 8)).guide.any(), "the vectors begin at 0"
    with torch.no_grad():
        embedder.places[6] = torch.tensor([0.0, 0.0, 0.0, 2.0])
        embedder.places[9] = torch.tensor([1.0, 0.0, 0.0, 0.0])

    def said(row: int, column: int, heat: float) -> torch.Tensor:
        maps = torch.zeros(1, 1, 8, 8)
        maps[0, 0, row, column] = heat
        return embedder(maps).guide[0]

    loud = said(
        3, 5, 5.0
    )  # in the place of row 1, column 2; three standard deviations above where a place may be hot or not
    torch.testing.assert_close(loud, torch.tensor([0.0, 0.0, 0.0, 2.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(said(3, 5, HOT)[3], torch.tensor(1.0), atol=0.3, rtol=0)
    assert 0 < said(3, 5, 1.0)[3] < said(3, 5, 3.0)[3] < loud[3] < 2
    assert said(4, 3, 5.0)[0] > 0.98 and said(4, 3, 5.0)[3] < 0.02
    assert said(0, 0, 0.0).abs().max() < 0.01, "an even map says nothing"
