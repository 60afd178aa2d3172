"""The vision tower starts with filters that are equally loud, and heads that look nearby."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.demo.lookaround import PLACES, look_around
from core.model.tiny import build_tiny
from core.synthesis.factory import PRODUCTS, render


@pytest.fixture(scope="module")
def started() -> tuple[Any, torch.Tensor]:
    model, processor = build_tiny(texts=["a"])
    pictures = [render(name, None, 1, size=112).image for name in PRODUCTS]
    pixels = processor.image_processor(images=pictures, crop_to_patches=False, return_tensors="pt")["pixel_values"]
    tower = model.model.vision_tower
    look_around(tower, pixels)
    return tower, pixels


def test_what_a_patch_shows_is_of_one_strength(started: tuple[Any, torch.Tensor]) -> None:
    tower, pixels = started
    with torch.no_grad():
        found = tower.embeddings.patch_embeddings.projection(pixels)
    assert not found[:, :PLACES].any(), "these numbers say where a patch lies"
    strengths = found[:, PLACES:].std((0, 2, 3))
    assert strengths.max() < 4 * strengths.min()


def test_the_first_heads_look_nearby(started: tuple[Any, torch.Tensor]) -> None:
    tower, pixels = started
    layer = tower.encoder.layer[0]
    heads, width = tower.config.num_attention_heads, tower.config.hidden_size // tower.config.num_attention_heads
    with torch.no_grad():
        states = layer.layernorm_before(tower.embeddings(pixels))
        split = [p(states).view(len(pixels), -1, heads, width).transpose(1, 2)
                 for p in (layer.attention.q_proj, layer.attention.k_proj)]  # fmt: skip
        attention = (split[0] @ split[1].mT / width**0.5).softmax(-1).mean(0)[:, 1:, 1:]
    row, column = torch.meshgrid(torch.arange(14), torch.arange(14), indexing="ij")
    row, column = row.flatten(), column.flatten()
    near = ((row[:, None] - row).abs() <= 2) & ((column[:, None] - column).abs() <= 2)
    inside = (row > 2) & (row < 11) & (column > 2) & (column < 11)
    shares = (attention * near).sum(-1)[:, inside].mean(1)
    assert (shares[:3] > 0.55).all() and (shares[3:] < 0.4).all(), shares
