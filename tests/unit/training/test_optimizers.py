"""Rates of their own for what sees and what reads."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.training.config import SFT
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
