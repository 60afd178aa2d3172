"""Several optimizers, or rates, as one optimizer, so that a trainer, its schedule and its checkpoints see a single one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

from core.training.config import GRPO, SFT
from core.training.muon import StackedMuon
from core.training.parts import part_of

SEEING = ("vision", "mlp")
FASTER = 2.0  # Muon's learning rate, as a multiple of AdamW's


class Together(Optimizer):
    """Steps its parts one after the other; their groups are its groups.

    Args:
        parts: optimizers of different parameters; the first one's learning rate is what a log shows.
    """

    def __init__(self, *parts: Optimizer) -> None:
        self.parts = parts
        super().__init__([{"params": group["params"]} for part in parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        # The very same dictionaries: a schedule that changes a rate here changes it there.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "one pass a step"
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def muon_and_adamw(
    matrices: Iterable[torch.nn.Parameter], rest: Iterable[torch.nn.Parameter], *, rate: float, decay: float
) -> Together:
    """Muon for the matrices, AdamW for the rest.

    Args:
        rate: learning rate of AdamW; Muon's is `FASTER` times that.
        decay: weight decay of both.
    """
    return Together(
        AdamW(rest, lr=rate, weight_decay=decay), StackedMuon(matrices, lr=FASTER * rate, weight_decay=decay)
    )


def slower_tower(model: torch.nn.Module, section: SFT | GRPO) -> AdamW | None:
    """AdamW for all that learns, ViT and MLP at `section.tower_rate` of the learning rate; None where all learns at one rate,
    for which a trainer makes its own.

    What a small tower says in words is unlearned at a rate at which its language model learns to read it (docs/experiments.md,
    entry 68).
    """
    if section.tower_rate == 1:
        return None
    groups: dict[float, list[torch.nn.Parameter]] = {1.0: [], section.tower_rate: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[section.tower_rate if part_of(name) in SEEING else 1.0].append(parameter)
    return AdamW(
        [{"params": found, "lr": share * section.learning_rate} for share, found in groups.items() if found],
        weight_decay=section.weight_decay,
    )
