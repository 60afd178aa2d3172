"""torch's Muon (arXiv 2502.16982) with the matrices of one shape orthogonalised together.

A tower of small matrices has dozens of them in a few shapes, and torch takes them one after the other: most of a step's time was
that of starting small products (`make bench ARGS=lean`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class StackedMuon(torch.optim.Muon):
    """Steps and state as torch's, with its original rate for matrices that are not square."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "one pass a step"
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            rate = float(group["lr"])
            for (rows, columns), matrices in alike.items():
                updates = _orthogonal(self._momenta(matrices, group), group)
                torch._foreach_mul_(matrices, 1 - rate * group["weight_decay"])
                torch._foreach_add_(matrices, list(updates), alpha=-rate * max(1, rows / columns) ** 0.5)

    def _momenta(self, matrices: Sequence[Tensor], group: dict) -> Tensor:
        """What the gradients have come to, [matrices, rows, columns]."""
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        kept = [self.state[matrix] for matrix in matrices]
        for state, matrix in zip(kept, matrices, strict=True):
            if not state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
        buffers = [state["momentum_buffer"] for state in kept]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, buffers, group["momentum"]) if group["nesterov"] else buffers
        return torch.stack(list(ahead))


def _orthogonal(matrices: Tensor, group: dict) -> Tensor:
    """Newton and Schulz's iteration on each of [matrices, rows, columns], in 16 bits."""
    a, b, c = group["ns_coefficients"]
    rows, columns = matrices.shape[1:]
    found = matrices.bfloat16()
    found = found.mT if rows > columns else found
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return (found.mT if rows > columns else found).to(matrices.dtype)
