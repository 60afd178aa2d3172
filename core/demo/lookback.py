"""A start for the language model's attention: heads that look back, and heads that find the same word again.

To copy, and to bind an option's words to the letter before them, a transformer must find the tokens just behind it and
earlier occurrences of a word. Left to chance that takes most of a small model's training; set so from the start, both take
minutes, and all of it goes on learning.

A head that looks o tokens back: with rotary positions (arXiv 2104.09864) the score of two constant vectors (the biases of
query and key) depends on their distance alone, and turned by o tokens it peaks at the token o places back. A head that
finds a word again: query and key are the same projection, in the planes that turn too slowly to feel the distance.
"""

from __future__ import annotations

from typing import Any

import torch

OFFSETS = (
    (1, 2, 3, 4),
    (1, 2),
)  # for the first heads of the first layers; the heads that are left in the second find words
SHARPNESS = 5.8  # norm of the vectors in each turning plane: 95 % of a head's attention falls on its token
FAST = 4  # planes that tell neighbours apart
MATCH = 0.13  # scale of the shared projection: the same word scores 8, another 0 +- 2
EMBEDDING = 0.1  # words must not drown in what the first layer adds to them


def look_back(language_model: Any) -> None:
    """Set the heads of the first two layers; the model must have biases at query and key (Qwen2)."""
    config = language_model.config
    turns = config.rope_parameters["rope_theta"]
    with torch.no_grad():
        language_model.embed_tokens.weight.mul_(EMBEDDING / language_model.embed_tokens.weight.std())
        for layer, offsets in zip(language_model.layers, OFFSETS, strict=False):
            attention = layer.self_attn
            size = attention.head_dim
            half, fast = size // 2, min(FAST, size // 4)
            speed = turns ** (-torch.arange(fast) / half)
            for head in range(config.num_key_value_heads):
                at = slice(head * size, (head + 1) * size)
                if head < len(offsets):
                    query, key = (p.bias[at].zero_() for p in (attention.q_proj, attention.k_proj))
                    query[:fast] = SHARPNESS * torch.cos(offsets[head] * speed)
                    query[half : half + fast] = -SHARPNESS * torch.sin(offsets[head] * speed)
                    key[:fast] = SHARPNESS
                else:
                    same = torch.randn_like(attention.q_proj.weight[at]) * MATCH
                    same[: fast + 2], same[half : half + fast + 2] = 0, 0
                    attention.q_proj.weight[at], attention.k_proj.weight[at] = same, same
