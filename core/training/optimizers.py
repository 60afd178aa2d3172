"""Two optimizers as one, so that a trainer, its schedule and its checkpoints see a single one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

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
    """Muon (torch's, arXiv 2502.16982) for the matrices, AdamW for the rest.

    Args:
        rate: learning rate of AdamW; Muon's is `FASTER` times that.
        decay: weight decay of both.
    """
    return Together(
        AdamW(rest, lr=rate, weight_decay=decay), torch.optim.Muon(matrices, lr=FASTER * rate, weight_decay=decay)
    )
