"""The map becomes tokens, behind a soft prompt that starts from words."""

from __future__ import annotations

import pytest
import torch

from core.heatmap import ContrastiveEmbedder


@pytest.mark.parametrize(("grid", "tokens"), [((32, 32), 265), ((14, 14), 58), ((16, 10), 49), ((7, 5), 15)])
def test_token_count_follows_the_grid(grid, tokens):
    embedder = ContrastiveEmbedder(12)
    assert embedder(torch.rand(3, 1, *grid)).shape == (3, tokens, 12)
    assert embedder.length(grid) == tokens


def test_each_half_can_be_switched_off():
    maps = torch.rand(2, 1, 8, 8)
    assert ContrastiveEmbedder(6, soft_tokens=0)(maps).shape == (2, 16, 6)
    assert ContrastiveEmbedder(6, heatmap=False)(maps).shape == (2, 9, 6)


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
    alone, together = embedder(maps[:1]), embedder(maps)[:1]
    torch.testing.assert_close(alone, together)
    assert embedder.projector[0].num_batches_tracked == 0


def test_statistics_are_learned_only_when_asked_for():
    embedder = ContrastiveEmbedder(4)
    embedder.collect_statistics = True
    embedder.train()
    embedder(torch.rand(3, 1, 8, 8) + 5)
    assert embedder.projector[0].running_mean > 0.4
    embedder.collect_statistics = False
    embedder.train()
    before = embedder.projector[0].running_mean.clone()
    embedder(torch.rand(3, 1, 8, 8))
    assert torch.equal(before, embedder.projector[0].running_mean)
