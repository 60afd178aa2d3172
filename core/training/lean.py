"""A small model's passes on a CPU in fewer and larger steps: the same function and the same gradients, to rounding.

Where matrices are small, time goes into the number of operations and into memory, not into multiplying. So adapters are folded
into their matrices (W + s BA is multiplied once, where LoRA multiplies by W, A and B in turn), the tower's layers convert their
input to 16 bits once, and attention is written out in products where these are of 16 bits (`make bench ARGS="lean tower"`).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor
from torch.nn.functional import linear

from core.training.settings import multiplies_half

SMALL = 2**18  # entries of a matrix; a larger one would pay for a gradient of its own size


def fold_adapters(model: Any) -> None:
    """Let adapters on small matrices compute so, whether or not they learn; on a GPU, or with 16-bit weights, none does."""
    for layer in model.modules():
        if isinstance(layer, Linear):
            weight: Any = layer.base_layer.weight
            if weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() <= SMALL:
                # Bound to the layer, not a closure: a copy of the model has to compute with its own weights.
                layer.forward = MethodType(_folded, layer)  # type: ignore[method-assign]


def _folded(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    active = [name for name in self.active_adapters if name in self.lora_A]
    if args or kwargs or self.disable_adapters or self.merged or not all(_plain(self, name) for name in active):
        return Linear.forward(self, x, *args, **kwargs)
    weight = self.base_layer.weight
    with torch.autocast(weight.device.type, enabled=False):
        for name in active:
            change = self.lora_B[name].weight @ self.lora_A[name].weight
            weight = torch.add(weight, change, alpha=self.scaling[name])
    return linear(x, weight, self.base_layer.bias)


def _plain(layer: Any, name: str) -> bool:
    dropout = isinstance(layer.lora_dropout[name], torch.nn.Dropout)
    return not dropout and name not in layer.lora_variant and layer.lora_A[name].weight.dtype == torch.float32


def lean_tower(model: Any) -> None:
    """A ViT that learns, on a CPU with instructions for 16 bits: attention in products instead of torch's fused kernel, and
    layers that convert once."""
    if model.device.type == "cpu" and multiplies_half():
        tower = model.model.vision_tower
        tower.config._attn_implementation = "eager"
        for layer in tower.encoder.layer:
            layer.forward = MethodType(_layer, layer)


def lean_language(model: Any) -> None:
    """As `lean_tower`, of the language model; for passes in 16 bits, in 32 the fused kernel is faster."""
    if model.device.type == "cpu" and multiplies_half():
        model.model.language_model.config._attn_implementation = "eager"


def _layer(self: Any, hidden_states: Tensor) -> Tensor:
    """InternVL's layer of the ViT."""
    device, whole = hidden_states.device.type, hidden_states.dtype
    products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else whole
    seen = self.attention(self.layernorm_before(hidden_states).to(products))[0]
    hidden_states = torch.addcmul(hidden_states, self.lambda_1, seen.to(whole))
    seen = self.mlp(self.layernorm_after(hidden_states).to(products))
    return torch.addcmul(hidden_states, self.lambda_2, self.dropout(seen).to(whole))
