"""What the tiny base learns by: Muon for the matrices, AdamW for the rest.

Muon (arXiv 2502.16982, torch's) masters the levels of reading in a third of AdamW's steps, and the tower learns in half of them
(docs/experiments.md, entry 52).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from core.training.muon import StackedMuon

# Learning rates of AdamW and of Muon for tower and language model, as multiples of the stage's.
SCALES = (1.0, 13.0, 3.0)


def optimizers_of(model: Any, parameters: Iterable[nn.Parameter]) -> list[torch.optim.Optimizer]:
    """AdamW, Muon for the tower and Muon for the language model, in the order of `SCALES`.

    Args:
        model: InternVL's backbone.
        parameters: all that shall learn, those of `model` among them.
    """
    parts = (model.vision_tower.encoder, model.language_model.layers)
    matrices = [[p for p in part.parameters() if p.dim() == 2] for part in parts]
    own = {id(p) for part in matrices for p in part}
    rest = [p for p in parameters if id(p) not in own]
    groups = [
        {"params": [p for p in rest if p.dim() > 1], "weight_decay": 0.05},
        {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    return [adamw, *(StackedMuon(part, lr=1e-2, weight_decay=0.02) for part in matrices)]
