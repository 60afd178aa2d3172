"""What a tower has learned in full, put into its adapters: the nearest they can come to it on the training pictures.

A change D of a matrix is replaced by one of rank r. Not the one nearest to D itself, which plain singular values would give: the
one whose outputs lie nearest to D's on the inputs X that the layer gets, min |(D - BA) X|, which the singular values of
D (X X')^1/2 give (as in the compression of language models, arXiv 2403.07378). Muon's changes are of full rank, the inputs are
not: rank 32 of 160 keeps nearly all that was learned, where the plain one loses half (docs/experiments.md, entry 36).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from core.model.adapters import inner_model


def adapted(model: Any) -> dict[str, Any]:
    """The ViT's layers with adapters, by name."""
    tower = inner_model(model).model.vision_tower
    return {name: layer for name, layer in tower.named_modules() if hasattr(layer, "lora_A")}


def free_tower(model: Any) -> dict[str, Tensor]:
    """Let the matrices under the ViT's adapters learn instead of these; returns the matrices as they are."""
    before = {}
    for name, layer in adapted(model).items():
        layer.enable_adapters(False)  # neither learning nor computed: they hold nothing yet
        layer.base_layer.weight.requires_grad_(True)
        before[name] = layer.base_layer.weight.detach().clone()
    return before


@torch.no_grad()
def into_adapters(model: Any, before: dict[str, Tensor], pictures: Iterable[Tensor]) -> float:
    """Give the adapters what the matrices have learned, and the matrices back what they were; the adapters learn from here on.

    Args:
        before: see `free_tower`.
        pictures: batches of thumbnails [N, 3, h, w].

    Returns:
        The share of the changes' effect on these pictures that is kept, 0..1 (of squares, summed over the layers).
    """
    layers = adapted(model)
    inputs: dict[str, Tensor] = {}

    def note(name: str) -> Any:
        def hook(_layer: Any, given: tuple[Tensor, ...], _output: Tensor) -> None:
            rows = given[0].flatten(0, -2).float()
            inputs[name] = inputs.get(name, 0) + rows.T @ rows / len(rows)

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    tower = inner_model(model).model.vision_tower
    training = tower.training
    tower.eval()
    for batch in pictures:
        tower(pixel_values=batch.to(tower.device, tower.dtype))
    tower.train(training)
    for hook in hooks:
        hook.remove()
    kept = total = 0.0
    for name, layer in layers.items():
        weight = layer.base_layer.weight
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        share, whole = _factor(weight - before[name], inputs[name], down, up, layer.scaling["default"])
        kept, total = kept + share, total + whole
        weight.copy_(before[name])
        weight.requires_grad_(False)
        layer.enable_adapters(True)
    return kept / total if total else 1.0


def _factor(change: Tensor, inputs: Tensor, down: Tensor, up: Tensor, scaling: float) -> tuple[float, float]:
    """Fill `down` [r, in] and `up` [out, r] so that scaling * up @ down is like `change` on `inputs`, whose second moments
    [in, in] are given; returns (kept, whole) squares of the effect."""
    values, vectors = torch.linalg.eigh(inputs.double())
    values = values.clamp_min(1e-9 * values.max())  # directions that no picture takes
    root, unroot = vectors * values.sqrt(), (vectors / values.sqrt()).T
    left, effect, right = torch.linalg.svd(change.double() @ root, full_matrices=False)
    rank = len(down)
    spread = (effect[:rank] / scaling).sqrt()  # half of it on either side, so that both learn at the same pace
    up.copy_(left[:, :rank] * spread)
    down.copy_(spread[:, None] * right[:rank] @ unroot)
    return effect[:rank].square().sum().item(), effect.square().sum().item()
