"""No work on padding: rows of like length go through the language model together.

Questions show one picture or two, and short or long descriptions: in a batch of them every third token is padding. What the
batch shares (the vision tower, the statistics of the map's batch norm) still sees it whole.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

ALIKE = 0.85  # of the longest row's length


def skip_padding(language_model: nn.Module) -> None:
    """Let a language model skip most of the padding on the left of a batch; states of padding come out as 0."""
    original = language_model.forward

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        mask, embeds = kwargs.get("attention_mask"), kwargs.get("inputs_embeds")
        if args or mask is None or embeds is None or kwargs.get("past_key_values") or kwargs.get("use_cache"):
            return original(*args, **kwargs)
        groups = alike(mask.sum(dim=1).tolist())
        parts = []
        for length, rows in groups:
            # Positions count from the first token kept; only their differences matter.
            part = {
                "inputs_embeds": embeds[rows, -length:],
                "attention_mask": mask[rows, -length:],
                "position_ids": None,
            }
            states: Tensor = original(**{**kwargs, **part}).last_hidden_state
            parts.append(nn.functional.pad(states, (0, 0, mask.shape[1] - length, 0)))
        order = torch.tensor([row for _, rows in groups for row in rows], device=embeds.device)
        return BaseModelOutputWithPast(last_hidden_state=torch.cat(parts)[order.argsort()])

    language_model.forward = forward  # type: ignore[method-assign]


def alike(lengths: list[int]) -> list[tuple[int, list[int]]]:
    """(length of the longest, rows) of groups of rows of like length.

    >>> alike([100, 60, 95, 58])
    [(100, [0, 2]), (60, [1, 3])]
    """
    groups: list[tuple[int, list[int]]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not groups or lengths[row] < ALIKE * groups[-1][0]:
            groups.append((lengths[row], []))
        groups[-1][1].append(row)
    return groups
