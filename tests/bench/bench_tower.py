"""A grounding step of the tiny model on a CPU, forward and backward: attention through torch's fused kernel or written out in
products, multiplied in 32 or in 16 bits. Sides alternate; the median counts.

16 bits pay only on processors with instructions for them, and runs use them only there (`dtype: mixed`).
"""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import replace
from typing import Any

PICTURES, ROUNDS = 16, 5


def main() -> None:
    import torch

    from core.demo.score import BASE
    from core.model import load_model
    from core.model.adapters import inner_model
    from core.training import preset
    from core.training.grounding import Grounding
    from core.training.grounding_targets import Kinds
    from core.training.parts import add_lora
    from core.training.settings import multiplies_half

    torch.set_num_threads(2)
    torch.manual_seed(0)
    config = preset("demo")
    model, processor = load_model(BASE, device="cpu", dtype=torch.float32)
    model = add_lora(model, replace(config.lora, on=("vision",)), config.grounding.train)
    kinds = Kinds(("crack", "dent", "stain"), {"nut": (6, (1, 1, 1))})
    module = Grounding(model, processor.tokenizer, kinds, wording=15.0, keeping=4.0)
    vision = inner_model(model).model.vision_tower.config
    grid, size = vision.image_size[0] // vision.patch_size[0], vision.image_size[0]
    batch = {
        "pixel_values": torch.randn(PICTURES, 3, size, size),
        "patches": torch.randint(0, 4, (PICTURES, grid * grid)),
        "gist": torch.rand(PICTURES, 13).round(),
        "wording": torch.rand(PICTURES, len(kinds.words)).round(),
        "habit": torch.zeros(PICTURES, 3 + len(kinds.words)),
    }
    sides: dict[str, tuple[str, Any]] = {
        "fused, 32 bits": ("sdpa", contextlib.nullcontext),
        "written out, 32 bits": ("eager", contextlib.nullcontext),
        "fused, 16 bits": ("sdpa", lambda: torch.autocast("cpu", torch.bfloat16)),
        "written out, 16 bits": ("eager", lambda: torch.autocast("cpu", torch.bfloat16)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + 1):
        for name, (attention, products) in sides.items():
            vision._attn_implementation = attention
            began = time.perf_counter()
            with products():
                loss = module(**batch)["loss"]
            loss.backward()
            module.zero_grad()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    first = next(iter(medians.values()))
    print(f"instructions for 16 bits: {'yes' if multiplies_half() else 'no'}")
    for name, seconds in medians.items():
        print(f"{name:24}{seconds:8.3f} s a step of {PICTURES}{first / seconds:8.2f}x")
