"""Rates of their own for what sees and what reads."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.training.config import SFT
from core.training.muon import StackedMuon
from core.training.optimizers import SEEING, slower_tower
from core.training.parts import part_of
from tests.unit.grpo.conftest import small_model


def test_tower_and_mlp_learn_at_their_share_of_the_rate_and_nothing_is_left_out(tmp_path):
    from core.model import load_model

    model, _ = load_model(small_model(tmp_path), device="cpu", dtype=torch.float32)
    frozen = model.get_input_embeddings().weight.requires_grad_(False)
    optimizer = slower_tower(model, replace(SFT(), learning_rate=1e-2, tower_rate=0.1, weight_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert all(group["weight_decay"] == 0.5 for group in optimizer.param_groups)
    assert id(frozen) not in rates
    for name, parameter in model.named_parameters():
        if parameter is not frozen:
            assert rates[id(parameter)] == (1e-3 if part_of(name) in SEEING else 1e-2), name


def test_at_one_rate_the_trainer_makes_its_own():
    assert slower_tower(torch.nn.Linear(1, 1), SFT()) is None


def test_stacked_muon_steps_as_torch_does():
    """Momentum, weight decay, the rate of shapes and the iteration; to the rounding of its 16 bits."""
    torch.manual_seed(0)
    shapes = [(6, 6), (12, 4), (4, 12), (6, 6)]
    starts = [torch.randn(shape) for shape in shapes]
    mine, theirs = ([torch.nn.Parameter(s.clone()) for s in starts] for _ in range(2))
    settings = {"lr": 0.1, "weight_decay": 0.2}
    optimizers = StackedMuon(mine, **settings), torch.optim.Muon(theirs, **settings)
    for _ in range(3):
        for one, other in zip(mine, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, start in zip(mine, theirs, starts, strict=True):
        assert (one - other).norm() < 0.02 * (other - start).norm()
    states = [
        [optimizer.state[p]["momentum_buffer"] for p in optimizer.param_groups[0]["params"]] for optimizer in optimizers
    ]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*states, strict=True))
