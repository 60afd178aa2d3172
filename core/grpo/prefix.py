"""Forward the prompt of a group once, not G times: exact, gradients included.

All G responses of a group follow the same prompt (two pictures, a description: most of the tokens). The backbone runs the
prompt once with a key-value cache, under grad; the responses go on from it. Hidden states, loss and gradients equal those of
the full pass to rounding.

Short responses share a row: the G responses of a group are one sequence of G x C tokens behind one copy of the cache, and a
mask lets each see the prompt and itself. Where they are longer than their prompt the mask would hide more than it shows, and
the cache is repeated G times instead. Sampling always shares a row: one step is G tokens behind one cache.

Gradient checkpointing keeps no cache, so it excludes this.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import BaseModelOutput

from core.model.adapters import inner_model


@dataclass(frozen=True, slots=True)
class Prefix:
    """N prompts, padded on the left, that went through the backbone.

    Attributes:
        mask: [N, P], 1 for tokens and 0 for padding.
        last: hidden state [N, 1, D] of the last token, which predicts a response's first.
        cache: keys and values of all layers, N rows.
    """

    mask: Tensor
    last: Tensor
    cache: Any

    def select(self, rows: list[int]) -> Prefix:
        """Some of the prompts."""
        chosen = torch.tensor(rows, device=self.mask.device)
        cache = self.branch()
        cache.batch_select_indices(chosen)
        return Prefix(self.mask[chosen], self.last[chosen], cache)

    def branch(self, room: int = 0) -> Any:
        """A cache to go on from that leaves this one as it is; with `room` for so many tokens more, without gradients."""
        cache = copy.copy(self.cache)
        cache.layers = [_Roomy(layer, room) if room else copy.copy(layer) for layer in self.cache.layers]
        return cache


class _Roomy(DynamicLayer):
    """Keys and values written into a buffer of their final length: growing by concatenation copies the prompt at every token."""

    def __init__(self, layer: Any, room: int) -> None:
        super().__init__()
        self._used = layer.keys.shape[2]
        self._buffers = []
        for value in (layer.keys, layer.values):
            buffer = value.new_empty(*value.shape[:2], self._used + room, value.shape[3])
            buffer[:, :, : self._used] = value.detach()
            self._buffers.append(buffer)
        self.keys, self.values = (buffer[:, :, : self._used] for buffer in self._buffers)
        self.dtype, self.device, self.is_initialized = layer.keys.dtype, layer.keys.device, True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        start, self._used = self._used, self._used + key_states.shape[2]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start : self._used] = new
        self.keys, self.values = (buffer[:, :, : self._used] for buffer in self._buffers)
        return self.keys, self.values


def backbone_of(model: Any) -> nn.Module:
    """The model without its language model head, below any adapter wrapper."""
    base = inner_model(model)
    return base.base_model  # type: ignore[return-value]


def obstacle(model: Any) -> str | None:
    """Why prompts of this model cannot be shared, or None when they can."""
    if getattr(model, "is_gradient_checkpointing", False):
        return "gradient checkpointing keeps no key-value cache"
    base = inner_model(model)
    if getattr(base, "_is_stateful", False) or getattr(base.config, "is_encoder_decoder", False):
        return f"{type(base).__name__} has no key-value cache that can be repeated"
    text = base.config.get_text_config()
    if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
        return f"{type(base).__name__} forgets what lies outside of a sliding window"
    if text._attn_implementation not in ("sdpa", "eager"):
        return f"attention by {text._attn_implementation} takes no mask of its own: use sdpa"
    return None


def allow_shared_prefix(model: nn.Module) -> None:
    """Let the model's backbone take `group_size` and `completion_length`.

    With them, `input_ids` and `attention_mask` are [N * G, P + C] (prompts padded on the left, completions on the right)
    and `pixel_values` holds the tiles of N prompts; the result's `last_hidden_state` is [N * G, C, D]: the states
    that predict the completion's tokens. Prompts that went through the model already are given as `prefix`.
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
    prefix: Prefix | None = None,
    use_cache: bool = True,
    **kwargs: Any,
) -> Tensor:
    length = input_ids.shape[1] - completion_length
    if prefix is None:
        prompts = input_ids[::group_size, :length]
        prefix = prefill(forward, input_ids=prompts, attention_mask=attention_mask[::group_size, :length], **kwargs)
    first = prefix.last.repeat_interleave(group_size, dim=0)
    # The last token predicts nothing we need.
    ids, seen = input_ids[:, length:-1], attention_mask[:, :-1]
    if not ids.shape[1]:
        return first
    if group_size * ids.shape[1] <= length:
        rest = _in_one_row(forward, group_size, ids, seen, prefix)
    else:
        cache = prefix.branch()
        cache.batch_repeat_interleave(group_size)
        rest = forward(input_ids=ids, attention_mask=seen, past_key_values=cache, use_cache=True).last_hidden_state
    return torch.cat([first, rest], dim=1)


def _in_one_row(forward: Any, group_size: int, ids: Tensor, seen: Tensor, prefix: Prefix) -> Tensor:
    """Hidden states [N * G, C, D] of `ids` [N * G, C] behind their prefixes; `seen` is [N * G, P + C]."""
    count, width = len(prefix.mask), ids.shape[1]
    length = prefix.mask.shape[1]
    # Padding behind a response hides itself: the tokens before it do not look ahead.
    own = torch.block_diag(*[torch.ones(width, width, dtype=torch.bool).tril()] * group_size).to(ids.device)
    visible = torch.cat([prefix.mask.bool()[:, None].expand(-1, len(own), -1), own.expand(count, -1, -1)], dim=2)
    positions = torch.arange(length, length + width, device=ids.device).repeat(group_size)
    states = forward(
        input_ids=ids.reshape(count, group_size * width),
        attention_mask=_additive(visible, prefix.last.dtype),
        position_ids=positions.expand(count, -1),
        past_key_values=prefix.branch(),
        use_cache=True,
    ).last_hidden_state
    return states.reshape(count * group_size, width, -1)


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """bool [N, Q, K] -> what attention adds to its scores, [N, 1, Q, K]."""
    return torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)[:, None]


def prefill(forward: Any, *, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Prefix:
    """N prompts [N, P] through the backbone (or its forward function), under grad if that is on."""
    out = forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=True, **inputs)
    return Prefix(attention_mask, out.last_hidden_state[:, -1:], out.past_key_values)


@torch.no_grad()
def sample_groups(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    *,
    prefix: Prefix,
    group_size: int,
    synced_gpus: bool = False,
    **unused: Any,
) -> Tensor:
    """A decoding loop for `generate(custom_generate=sample_groups, prefix=..., group_size=...)`.

    Draws what transformers' own loop draws from the same random state, with one copy of the prompts' cache.

    Args:
        input_ids: [N * G, P], each prompt G times.

    Returns:
        [N * G, P + T], padded behind each end token.
    """
    (count, length), rows, device = prefix.mask.shape, len(input_ids), input_ids.device
    room = (stopping_criteria.max_length - length) * group_size
    own = torch.eye(group_size, dtype=torch.bool, device=device).repeat(1, room // group_size)
    visible = torch.cat(
        [prefix.mask.bool()[:, None].expand(-1, group_size, -1), own.expand(count, -1, -1)], dim=2
    )  # fmt: skip
    mask, cache = _additive(visible, prefix.last.dtype), prefix.branch(room)
    head, backbone = model.get_output_embeddings(), backbone_of(model)
    hidden = prefix.last.detach().expand(-1, group_size, -1)
    unfinished = torch.ones(rows, dtype=torch.long, device=device)
    padding = generation_config._pad_token_tensor
    done, step = False, 0
    while model._has_unfinished_sequences(done, synced_gpus, device=device):
        if not done:
            scores = logits_processor(input_ids, head(hidden).reshape(rows, -1).float())
            if generation_config.do_sample:
                tokens = torch.multinomial(scores.softmax(-1), num_samples=1)[:, 0]
            else:
                tokens = scores.argmax(-1)
            if padding is not None:
                tokens = tokens * unfinished + padding * (1 - unfinished)
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            unfinished = unfinished & ~stopping_criteria(input_ids, None)
            done = not bool(unfinished.any())
        if done and not synced_gpus:
            break
        step += 1
        # Sharded weights are brought together in the forward pass, so who is done goes on as long as others are not.
        if done:
            backbone(input_ids=tokens.view(count, group_size), use_cache=False)
            continue
        hidden = backbone(
            input_ids=tokens.view(count, group_size),
            attention_mask=mask[..., : length + step * group_size],
            position_ids=torch.full((count, group_size), length + step - 1, device=device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
    return input_ids


@torch.no_grad()
def copy_statistics(model: nn.Module) -> None:
    """Give the reference that TRL makes of a model with adapters the statistics of its batch norms, too.

    TRL copies what learns; a map would be told by the statistics of the base, which has none.
    """
    buffers = dict(model.named_buffers())
    for name, value in buffers.items():
        if (kept := buffers.get(name.replace(".ref.", ".default."))) is not None and ".ref." in name:
            value.copy_(kept)


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
