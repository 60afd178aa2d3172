"""Forward the prompt of a group once, not G times: exact, gradients included.

All G responses of a group follow the same prompt (two pictures, a description: most of the tokens). The backbone runs the
prompt once with a key-value cache, under grad; the cache is repeated G times; the responses run on it. Hidden states, loss
and gradients equal those of the full pass to rounding.

Gradient checkpointing keeps no cache, so it excludes this.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput


def backbone_of(model: Any) -> nn.Module:
    """The model without its language model head, below any adapter wrapper."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.base_model  # type: ignore[return-value]


def obstacle(model: Any) -> str | None:
    """Why prompts of this model cannot be shared, or None when they can."""
    if getattr(model, "is_gradient_checkpointing", False):
        return "gradient checkpointing keeps no key-value cache"
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(base, "_is_stateful", False) or getattr(base.config, "is_encoder_decoder", False):
        return f"{type(base).__name__} has no key-value cache that can be repeated"
    return None


def allow_shared_prefix(model: nn.Module) -> None:
    """Let the model's backbone take `group_size` and `completion_length`.

    With them, `input_ids` and `attention_mask` are [N * G, P + C] (prompts padded on the left, completions on the right)
    and `pixel_values` holds the tiles of N prompts; the result's `last_hidden_state` is [N * G, C, D]: the states
    that predict the completion's tokens.
    """
    backbone = backbone_of(model)
    original = backbone.forward

    @functools.wraps(original)
    def forward(*args: Any, group_size: int | None = None, completion_length: int | None = None, **kwargs: Any) -> Any:
        if group_size is None or completion_length is None:
            return original(*args, **kwargs)
        return BaseModelOutput(last_hidden_state=_shared(original, group_size, completion_length, **kwargs))

    backbone.forward = forward  # type: ignore[method-assign]


def _shared(
    forward: Any,
    group_size: int,
    completion_length: int,
    *,
    input_ids: Tensor,
    attention_mask: Tensor,
    use_cache: bool = True,
    **kwargs: Any,
) -> Tensor:
    length = input_ids.shape[1] - completion_length
    prompt = forward(
        input_ids=input_ids[::group_size, :length],
        attention_mask=attention_mask[::group_size, :length],
        use_cache=True,
        **kwargs,
    )
    # The prompt's last state predicts the first token; the last token predicts nothing we need.
    first = prompt.last_hidden_state[:, -1:].repeat_interleave(group_size, dim=0)
    if completion_length == 1:
        return first
    cache = prompt.past_key_values
    cache.batch_repeat_interleave(group_size)
    rest = forward(
        input_ids=input_ids[:, length:-1],
        attention_mask=attention_mask[:, :-1],
        past_key_values=cache,
        use_cache=True,
    )
    return torch.cat([first, rest.last_hidden_state], dim=1)


@torch.no_grad()
def prefill(model: nn.Module, group_size: int, **inputs: Any) -> Any:
    """A cache of all but the last token of N prompts, repeated for their G responses: what `generate` goes on from."""
    cache = backbone_of(model)(**inputs, use_cache=True).past_key_values
    cache.crop(-1)
    cache.batch_repeat_interleave(group_size)
    return cache


def freeze_statistics(model: nn.Module) -> nn.Module:
    """Keep every batch norm on its stored statistics, also in train mode.

    TRL generates and scores in train mode, where a batch norm would make a sample depend on its neighbours.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.train = functools.partial(_stay, module)  # type: ignore[method-assign, assignment]
    return model


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module
