"""A start for the vision tower: filters that fit the pictures, places that can be told apart, heads that look nearby.

Left to chance (weights of 0.02, places all zero, layers turned down to a tenth) a small tower spends most of its few hundred
steps on finding what is known beforehand:

- filters of a patch are the principal components of the pool's patches, each brought to the same strength, so that fine
  detail is as loud as broad brightness;
- places are sines and cosines of row and column, so that the nearness of two patches is the product of their vectors;
- some heads attend by nearness alone, from one patch to about five wide;
- layers are as strong as their width asks for. All of it goes on learning.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

PLACES = 32  # of a patch's numbers that say where it lies; the others say what it shows
WAVES = (6.0, 40.0)  # shortest and longest wave of the places, in patches
NEAR = (6.0, 2.0, 0.6)  # how sharply the first heads of every layer look nearby
NOISE = 0.0015  # variance (in normalised pixels, per component) below which a component is camera noise


def look_around(tower: Any, pixels: Tensor) -> None:
    """Set the tower's weights.

    Args:
        pixels: some of the pictures it will see, as the processor makes them, [N, 3, h, w].
    """
    config = tower.config
    size, width = config.patch_size[0], config.hidden_size
    grid = config.image_size[0] // size
    with torch.no_grad():
        projection = tower.embeddings.patch_embeddings.projection
        filters, middle = _components(pixels, size, width - PLACES)
        filters = torch.cat([torch.zeros(PLACES, filters.shape[1]), filters])
        projection.weight.copy_(filters.view_as(projection.weight))
        projection.bias.copy_(-filters @ middle)
        tower.embeddings.position_embeddings[:, 1:, :PLACES] = math.sqrt(2) * _places(grid)
        tower.embeddings.cls_token.normal_(0, 0.5)
        depth = len(tower.encoder.layer)
        for layer in tower.encoder.layer:
            for name, weight in layer.named_parameters():
                if weight.dim() == 2:
                    last = "projection_layer" in name or "fc2" in name  # what is added to the stream
                    weight.normal_(0, (1 / math.sqrt(2 * depth) if last else 1) / math.sqrt(weight.shape[1]))
                elif name.startswith("lambda"):
                    weight.fill_(1.0)
            attention = layer.attention
            heads, each = config.num_attention_heads, width // config.num_attention_heads
            for head, sharp in zip(range(heads), NEAR, strict=False):
                at = slice(head * each, (head + 1) * each)
                # Query and key are the same view of the places: their product grows with nearness.
                view = torch.eye(each, width) * math.sqrt(sharp) * (torch.arange(width) < PLACES)
                attention.q_proj.weight[at], attention.k_proj.weight[at] = view, view


def _components(pixels: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """(filters [count, 3 * size * size] of equal strength over the pictures' patches, mean patch)."""
    number, channels, height, width = pixels.shape
    patches = pixels.reshape(number, channels, height // size, size, width // size, size)
    flat = patches.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels * size * size).double()
    middle = flat.mean(0)
    strengths, vectors = torch.linalg.eigh(torch.cov((flat - middle).T))
    best = torch.arange(len(strengths) - 1, max(-1, len(strengths) - 1 - count), -1)
    filters = torch.zeros(count, flat.shape[1], dtype=torch.double)
    filters[: len(best)] = vectors[:, best].T / (strengths[best, None] + NOISE).sqrt()
    return filters.float(), middle.float()


def _places(grid: int) -> Tensor:
    """Sines and cosines of row and column, [grid * grid, PLACES], each of mean square 1/2."""
    waves = np.geomspace(*WAVES, PLACES // 4)
    line = torch.arange(grid)[:, None] * torch.as_tensor(2 * np.pi / waves, dtype=torch.float32)
    wave = torch.cat([line.sin(), line.cos()], dim=-1)  # [grid, PLACES // 2]
    rows, columns = wave[:, None].expand(grid, grid, -1), wave[None].expand(grid, grid, -1)
    return torch.cat([rows, columns], dim=-1).reshape(grid * grid, PLACES)
