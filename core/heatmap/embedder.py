"""From a map to tokens: a soft prompt that tells the language model what comes, then the projected anomaly map.

EMIT: 9 learned vectors, and BatchNorm2d(1) -> Conv2d(1 -> width, kernel 4, stride 2, padding 1), which makes 16 x 16 = 256
tokens of a 32 x 32 map. Not in the paper: a vector for each place of the map (`places`), by which the map guides the query's
own tokens. A small language model reads what a picture's tokens say in words, and nothing that stands in 49 tokens behind the
question (docs/experiments.md, entry 64).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

SHARP = 2.0  # how much more a hot place says than another, in the exponent, per standard deviation
HOT = 2.0  # standard deviations above the mean from which on a place is rather hot than not; the batch norm learns to shift it


class Compared(NamedTuple):
    """What is made of anomaly maps.

    Attributes:
        tokens: soft prompt and projected map, [B, n + (H // 2) * (W // 2), width].
        guide: what the tokens of the query's thumbnail say besides, [B, width]; None without `places`.
    """

    tokens: Tensor
    guide: Tensor | None


def guided(tokens: Tensor, rows: Tensor, guide: Tensor) -> Tensor:
    """Tokens [N, T, width] of pictures; all tokens of the pictures `rows` [B] say `guide` [B, width] besides."""
    return tokens.index_add(0, rows, guide.to(tokens).unsqueeze(1).expand(-1, tokens.shape[1], -1))


class ContrastiveEmbedder(nn.Module):
    """Soft prompt [n, width] and anomaly maps [B, 1, H, W] -> `Compared`.

    Args:
        width: of the language model's embeddings.
        soft_tokens: length of the soft prompt; 0 leaves it out.
        heatmap: False leaves the map out (an ablation: the soft prompt alone).
        places: places of the map, 2 x 2 patches each, that get a vector; 0 for none, as in the paper. The hottest one's is what
            the query's tokens say besides, as loudly as it is sure that it is hot there.

    The batch norm uses its stored statistics, also in train mode, unless `collect_statistics` is set: otherwise a sample
    would depend on its neighbours in the batch. Grounding and the supervised stage set it; nothing else does.
    """

    def __init__(self, width: int, *, soft_tokens: int = 9, heatmap: bool = True, places: int = 0) -> None:
        super().__init__()
        self.width = width
        self.soft_tokens = soft_tokens
        self.collect_statistics = False
        self.soft_prompt = nn.Embedding(soft_tokens, width) if soft_tokens else None
        self.projector = (
            nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, width, kernel_size=4, stride=2, padding=1))
            if heatmap
            else None
        )
        if self.projector is not None and places:
            self.projector.register_parameter("places", nn.Parameter(torch.zeros(places, width)))
        self.train(self.training)

    @property
    def places(self) -> Tensor | None:
        """The vectors of the map's places, [places, width]; None where there are none."""
        return getattr(self.projector, "places", None)

    def length(self, grid: tuple[int, int]) -> int:
        """Tokens made for a patch grid (H, W)."""
        return self.soft_tokens + (0 if self.projector is None else (grid[0] // 2) * (grid[1] // 2))

    def forward(self, maps: Tensor) -> Compared:
        tokens, guide = [], None
        if self.soft_prompt is not None:
            tokens.append(self.soft_prompt.weight.expand(len(maps), -1, -1))
        if self.projector is not None:
            weight = next(self.projector[1].parameters())
            even: Any = self.projector[0]
            if self.collect_statistics:
                # What the statistics began with is no map: the first batch stands in for it, or it would fade over fifty.
                even.momentum = 0.1 if even.num_batches_tracked else 1.0
            heat = even(maps.to(weight.device, weight.dtype))
            tokens.append(self.projector[1](heat).flatten(2).transpose(1, 2))
            if self.places is not None:
                hottest = SHARP * (max_pool2d(heat, 2).flatten(1) - HOT)
                guide = (hottest.softmax(1) * hottest.sigmoid()) @ self.places
        return Compared(torch.cat(tokens, dim=1), guide)

    def train(self, mode: bool = True) -> ContrastiveEmbedder:
        super().train(mode)
        if self.projector is not None:
            self.projector[0].train(mode and self.collect_statistics)
        return self

    @torch.no_grad()
    def start_from(self, phrase: Tensor) -> None:
        """Initialise the soft prompt from a phrase's token embeddings [T, width]; a short phrase is said again."""
        if self.soft_prompt is None:
            return
        if phrase.ndim != 2 or not len(phrase) or phrase.shape[1] != self.width:
            raise ValueError(f"embeddings [T, {self.width}] are needed, got {tuple(phrase.shape)}")
        rows = torch.arange(self.soft_tokens, device=phrase.device) % len(phrase)
        self.soft_prompt.weight.copy_(phrase[rows])
