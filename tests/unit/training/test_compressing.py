"""What the tower learns in full comes back in its adapters."""

from __future__ import annotations

import pytest
import torch

from core.model import load_model
from core.training.compressing import adapted, free_tower, into_adapters
from core.training.config import Lora
from core.training.optimizers import FASTER, muon_and_adamw
from core.training.parts import add_lora


def tower_of(model):
    return model.get_base_model().model.vision_tower


def wrapped(base, rank: int):
    model, _ = load_model(base, dtype=torch.float32)
    return add_lora(model, Lora(rank=2, alpha=4, vision_rank=rank, on=("vision",)), ())


def test_the_vit_s_adapters_have_a_rank_of_their_own_and_the_same_scale(base):
    model, _ = load_model(base, dtype=torch.float32)
    model = add_lora(model, Lora(rank=2, alpha=4, vision_rank=3), ())
    ranks = {("vision" in n, p.shape[0], m.scaling["default"]) for n, m in model.named_modules()
             if hasattr(m, "lora_A") for p in m.lora_A.parameters()}  # fmt: skip
    assert ranks == {(True, 3, 2.0), (False, 2, 2.0)}


def test_a_change_of_low_rank_on_the_pictures_comes_back_whole_and_the_base_with_it(base):
    torch.manual_seed(0)
    model = wrapped(base, rank=3)
    pictures = [torch.randn(2, 3, *tower_of(model).config.image_size)]
    plain = tower_of(model)(pictures[0]).last_hidden_state
    before = free_tower(model)
    assert all(
        p.requires_grad == ("lora" not in n)
        for n, p in tower_of(model).named_parameters()
        if "base_layer.weight" in n or "lora" in n
    )
    for layer in adapted(model).values():
        weight = layer.base_layer.weight
        weight.data += torch.randn(len(weight), 3) @ torch.randn(3, weight.shape[1]) * 0.02
    changed = tower_of(model)(pictures[0]).last_hidden_state
    assert into_adapters(model, before, pictures) == pytest.approx(1.0, abs=1e-4)
    again = tower_of(model)(pictures[0]).last_hidden_state
    assert (again - changed).abs().max() < 1e-2 * (changed - plain).abs().max()
    with model.disable_adapter():
        torch.testing.assert_close(tower_of(model)(pictures[0]).last_hidden_state, plain)
    assert all(
        p.requires_grad == ("lora" in n)
        for n, p in tower_of(model).named_parameters()
        if "base_layer.weight" in n or "lora" in n
    )


def test_of_a_full_change_the_adapters_keep_what_shows_on_the_pictures(base):
    torch.manual_seed(0)
    model = wrapped(base, rank=2)
    pictures = [torch.randn(2, 3, *tower_of(model).config.image_size)]
    before = free_tower(model)
    for layer in adapted(model).values():
        layer.base_layer.weight.data += torch.randn_like(layer.base_layer.weight) * 0.02
    assert 0.05 < into_adapters(model, before, pictures) < 0.999


def test_two_optimizers_are_one_to_a_schedule_and_a_checkpoint():
    torch.manual_seed(0)

    def fresh():
        matrix, bias = torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4))
        return matrix, bias, muon_and_adamw([matrix], [bias], rate=0.1, decay=0.0)

    matrix, bias, both = fresh()
    schedule = torch.optim.lr_scheduler.LambdaLR(both, lambda step: 0.5**step)
    assert [group["lr"] for group in both.param_groups] == [0.1, 0.1 * FASTER]

    def step(matrix, bias, both):
        (matrix.sin().sum() + bias.sum()).backward()
        both.step()
        both.zero_grad()

    step(matrix, bias, both)
    schedule.step()
    assert [part.param_groups[0]["lr"] for part in both.parts] == [0.05, 0.05 * FASTER]
    assert (matrix != 1).all() and (bias != 1).all()
    other, rest, again = fresh()
    other.data.copy_(matrix), rest.data.copy_(bias)
    again.load_state_dict(both.state_dict())
    assert [group["lr"] for group in again.param_groups] == [0.05, 0.05 * FASTER]
    step(matrix, bias, both)
    step(other, rest, again)
    assert torch.equal(matrix, other) and torch.equal(bias, rest)
