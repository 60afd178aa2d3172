"""The estimate's pieces against what a real model has and keeps; the presets against the devices they are for."""

from __future__ import annotations

import pytest
import torch

from core.training.config import preset
from core.training.memory import GIB, KNOWN, Shape, estimate, shape_of
from core.training.parts import part_of


@pytest.fixture(scope="module", params=[False, True], ids=["", "places"])
def tiny(tmp_path_factory, request):
    from core.model.tiny import build_tiny

    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder, comparison_places=request.param)
    from core.model import load_model

    return folder, *load_model(folder, device="cpu", dtype=torch.float32)


def test_parameters_are_counted_exactly(tiny):
    folder, model, _ = tiny
    counted: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = part_of(name)
        counted[part] = counted.get(part, 0) + parameter.numel()
    assert shape_of(str(folder)).parameters() == counted


def test_published_sizes():
    billions = {name: sum(shape.parameters().values()) / 1e9 for name, shape in KNOWN.items()}
    assert [round(value, 2) for value in billions.values()] == [0.94, 2.09, 7.94]


def test_adapters_are_counted_exactly(tiny):
    from core.training.config import Lora
    from core.training.parts import add_lora

    folder, _, _ = tiny
    from core.model import load_model

    model = add_lora(load_model(folder, device="cpu")[0], Lora(rank=3, vision_rank=5), ("mlp",))
    found = sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
    assert shape_of(str(folder)).lora(Lora(rank=3, vision_rank=5), ("llm", "vision")) == found


@pytest.mark.parametrize("part", ["llm", "vision"])
def test_what_is_kept_for_the_backward_pass(tiny, part):
    """Bytes that autograd holds, each storage once and weights left out, within 15 %."""
    folder, model, processor = tiny
    shape: Shape = shape_of(str(folder))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) == part)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if part == "llm":
            tokens = 400
            # Through embeddings, so that the first layer's input needs a gradient like all others.
            outputs = model.model.language_model(input_ids=torch.randint(5, 500, (2, tokens // 2)))
            expected = shape.kept(tokens)
        else:
            outputs = model.model.vision_tower(torch.randn(4, 3, 112, 112))
            expected = shape.kept(0, tiles=4)
        outputs.last_hidden_state.sum()
    assert sum(held.values()) / 4 == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    "name, gigabytes",
    [("smoke", 2), ("demo", 4), ("full", 4), ("internvl3-1b", 24), ("internvl3-2b", 24), ("internvl3-8b", 80),
     ("internvl3-8b-8gpu", 80)],
)  # fmt: skip
def test_presets_fit_their_devices(tiny, name, gigabytes):
    config = preset(name)
    found = estimate(config.with_(base=str(tiny[0])) if "tiny" in config.base else config)
    assert found.peak < gigabytes * GIB
    assert "per device" in str(found) and "sft:" in str(found)


def test_each_lever_pulls():
    config = preset("internvl3-8b")
    peak = estimate(config).total("grpo")
    for change in ({"micro_batch": 2}, {"max_new_tokens": 128}, {"gradient_checkpointing": True, "micro_batch": 1}):
        assert estimate(config.with_(grpo=change)).total("grpo") < peak
    assert estimate(config.with_(grpo={"checkpoint_vision": False})).total("grpo") > peak
    assert estimate(config.with_(quantize="4bit")).total("grpo") < peak
    assert estimate(config.with_(base="somewhere/unknown")) is None
