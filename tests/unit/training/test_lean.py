"""Fewer operations, the same function: adapters folded into their matrices, layers that convert once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from core.model import load_model
from core.model.adapters import inner_model
from core.training import lean
from core.training.config import Lora
from core.training.lean import fold_adapters, lean_language, lean_tower
from core.training.parts import add_lora


@pytest.fixture
def adapted(base) -> Any:
    """The tiny model with adapters that say something, as they are computed by PEFT."""
    model = add_lora(load_model(base, device="cpu", dtype=torch.float32)[0], Lora(rank=3, vision_rank=5), ("mlp",))
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def look(model: Any) -> torch.Tensor:
    tower = inner_model(model).model.vision_tower
    pixels = torch.randn(2, 3, *tower.config.image_size, generator=torch.Generator().manual_seed(0))
    return tower(pixel_values=pixels).last_hidden_state


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    look(model).square().sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_folded_adapters_are_the_same_function_with_the_same_gradients(adapted):
    before, expected = look(adapted).detach(), gradients(adapted)
    fold_adapters(adapted)
    assert torch.allclose(look(adapted), before, atol=1e-4)
    found = gradients(adapted)
    assert found.keys() == expected.keys() and any("lora_A" in name for name in found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item(), msg=name)


def test_folded_adapters_can_be_switched_off_and_merged(adapted):
    before = look(adapted).detach()
    with adapted.disable_adapter():
        plain = look(adapted).detach()
    assert not torch.allclose(plain, before, atol=1e-2)
    fold_adapters(adapted)
    with adapted.disable_adapter():
        assert torch.equal(look(adapted), plain)
    adapted.merge_adapter()
    assert torch.allclose(look(adapted), before, atol=1e-3)


def test_a_copy_computes_with_its_own_weights(adapted):
    """Grounding keeps the base beside the tower that learns, as a copy."""
    fold_adapters(adapted)
    lean_tower(inner_model(adapted))
    kept = copy.deepcopy(adapted)
    before = look(kept).detach()
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.zero_()
    assert torch.equal(look(kept), before)


def test_large_matrices_and_16_bits_stay_as_they_are(adapted, monkeypatch):
    def folded(model: Any) -> bool:
        fold_adapters(model)
        return any("forward" in vars(module) for module in model.modules() if hasattr(module, "lora_A"))

    assert not folded(copy.deepcopy(adapted).to(torch.bfloat16))
    monkeypatch.setattr(lean, "SMALL", 8)
    assert not folded(adapted)


@pytest.mark.parametrize("able", [True, False])
def test_a_lean_tower_sees_the_same(adapted, monkeypatch, able: bool):
    monkeypatch.setattr(lean, "multiplies_half", lambda: able)
    before, expected = look(adapted).detach(), gradients(adapted)
    lean_tower(inner_model(adapted))
    lean_language(inner_model(adapted))
    assert torch.allclose(look(adapted), before, atol=1e-4)
    found = gradients(adapted)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item(), msg=name)
    parts = inner_model(adapted).model
    assert (parts.vision_tower.config._attn_implementation == "eager") is able
    assert (parts.language_model.config._attn_implementation == "eager") is able


def test_a_lean_tower_in_16_bits_sees_nearly_the_same(adapted, monkeypatch):
    monkeypatch.setattr(lean, "multiplies_half", lambda: True)
    with torch.autocast("cpu", torch.bfloat16):
        before = look(adapted).detach()
        lean_tower(inner_model(adapted))
        after = look(adapted)
    assert after.dtype == before.dtype
    assert (after - before).norm() < 0.02 * before.norm()
