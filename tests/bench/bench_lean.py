"""What the tiny model learns by on a CPU, each beside what it replaces: adapters folded into their matrices or as PEFT computes
them, a language model's attention written out or fused (both in 16 bits, as SFT runs where the processor can), layers of the
tower that convert once, Muon on stacks of matrices or one by one. Sides alternate; the median counts.
"""

from __future__ import annotations

import contextlib
import copy
import statistics
import time
from collections.abc import Callable

ROUNDS, ROWS, LENGTH, PICTURES = 7, 6, 250, 20


def main() -> None:
    import torch

    from core.demo.score import BASE
    from core.model import load_model
    from core.model.adapters import inner_model
    from core.training import preset
    from core.training.compressing import adapted, free_tower
    from core.training.lean import fold_adapters, lean_language, lean_tower
    from core.training.muon import StackedMuon
    from core.training.parts import add_lora
    from core.training.settings import multiplies_half

    torch.set_num_threads(2)
    torch.manual_seed(0)
    halves = multiplies_half()

    def products() -> contextlib.AbstractContextManager:
        return torch.autocast("cpu", torch.bfloat16, enabled=halves)

    model, _ = load_model(BASE, device="cpu", dtype=torch.float32)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    plain = add_lora(model, preset("demo").lora, ("mlp",))
    embeds = torch.randn(ROWS, LENGTH, model.config.text_config.hidden_size)
    mask = torch.ones(ROWS, LENGTH, dtype=torch.long)

    def learning(tuned: torch.nn.Module, part: torch.nn.Module, **inputs: torch.Tensor) -> Callable[[], None]:
        def step() -> None:
            with products():
                states = part(**inputs).last_hidden_state
            states.square().mean().backward()
            tuned.zero_grad()

        return step

    def read(tuned: torch.nn.Module) -> Callable[[], None]:
        return learning(tuned, inner_model(tuned).model.language_model, inputs_embeds=embeds, attention_mask=mask)

    folded = copy.deepcopy(plain)
    fold_adapters(folded)
    written = copy.deepcopy(folded)
    lean_language(inner_model(written))
    compare("adapters in the language model", {
        "as PEFT computes them": read(plain), "folded": read(folded), "folded, attention written out": read(written),
    })  # fmt: skip

    free_tower(plain)
    pixels = torch.randn(PICTURES, 3, *model.config.vision_config.image_size)

    def look(tuned: torch.nn.Module) -> Callable[[], None]:
        tower = inner_model(tuned).model.vision_tower
        tower.config._attn_implementation = "eager" if halves else "sdpa"
        return learning(tuned, tower, pixel_values=pixels)

    once = copy.deepcopy(plain)
    lean_tower(inner_model(once))
    compare("layers of the tower", {"transformers'": look(plain), "that convert once": look(once)})

    def stepping(kind: type[torch.optim.Optimizer]) -> Callable[[], None]:
        matrices = [torch.nn.Parameter(layer.base_layer.weight.clone()) for layer in adapted(plain).values()]
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        return kind(matrices, lr=1e-3).step

    compare("Muon", {"one by one": stepping(torch.optim.Muon), "on stacks": stepping(StackedMuon)})


def compare(title: str, sides: dict[str, Callable[[], None]]) -> None:
    """Print each side's median and its ratio to the first."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS + 1):
        for name, step in sides.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    first = next(iter(medians.values()))
    print(title)
    for name, seconds in medians.items():
        print(f"  {name:32}{1000 * seconds:8.1f} ms{first / seconds:8.2f}x")
