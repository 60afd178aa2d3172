"""What the trainers are told of numbers: where 16 bits multiply, and that a tower that learns on a CPU sees the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.training import preset
from core.training.settings import trainer_settings, weights_of


@pytest.mark.parametrize("able", [True, False])
def test_mixed_multiplies_in_16_bits_where_the_processor_can(able: bool, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    config = preset("demo").with_(dtype="mixed")

    def told(section, config=config):
        return trainer_settings(config, section, Path("x"), steps=2, rows=2, accumulation=1)["bf16"]

    assert told(config.grounding) is told(config.sft) is able
    assert not told(config.grpo)
    exact = config.with_(dtype="float32")
    assert not told(exact.sft, exact)
    assert weights_of(config) is weights_of(exact) is torch.float32 and weights_of(exact.with_(dtype="auto")) is None
