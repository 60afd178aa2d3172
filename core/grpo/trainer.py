"""Difficulty-aware GRPO on TRL: stock `GRPOTrainer` whose groups stay together, share their prompt, and are answered again
and weighted by how hard they are.

What TRL does and we keep: data loading, rewards, the loss, logging, checkpoints. What we replace: how a batch of prompts
becomes scored completions (`_generate`, `_generate_and_score_completions`, `_prepare_inputs`), because there the G copies of
a question can be one. With resampling and reweighting off, one step equals stock's on the same completions.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import gather, gather_object
from peft import PeftModel
from torch import Tensor
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.utils import pad, use_adapter

from core.errors import UserError
from core.grpo.batches import group_metrics, group_rows, micro_batches
from core.grpo.difficulty import RunningDifficulty, apply_difficulty, difficulty_weight, group_advantages
from core.grpo.generation import GroupGeneration, tile_count
from core.grpo.prefix import allow_shared_prefix, copy_statistics, freeze_statistics, obstacle
from core.grpo.rewards import (
    accuracy_reward,
    cosine_length_reward,
    format_reward,
    repetition_reward,
    text_of,
)

log = logging.getLogger(__name__)
WEIGHTS = (3.0, 1.0, 1.0, 1.0)


def emit_rewards(max_length: int) -> list[Callable[..., list[float]]]:
    """EMIT's four rewards, in the order of `WEIGHTS`, for a limit of `max_length` new tokens."""
    length = functools.partial(cosine_length_reward, max_length=max_length)
    return [accuracy_reward, functools.update_wrapper(length, cosine_length_reward), format_reward, repetition_reward]


class DifficultyAwareGRPOTrainer(GroupGeneration):
    """TRL's `GRPOTrainer` with response resampling, advantage reweighting and shared prefixes.

    Args (beside TRL's):
        resampling: rounds in which groups without a right answer are answered again; 0 switches it off.
        reweighting: weigh advantages by 1 + wrong / G.
        running: gives the weights instead; kinds of questions are told apart by dataset, product and question_type, where
            the data set has these columns.
        shared_prefix: forward each prompt once per group where the model allows it.
        right: reward whose positive values mean "right"; it decides difficulty.
        record: called once a generation on the main process with one row per group: the columns of the data set
            (without pictures), step, wrong, resamplings, reward, weight, solved, completions, rewards, advantages.

    `reward_funcs` defaults to EMIT's four with weights 3 : 1 : 1 : 1.
    """

    _name = "DA-GRPO"

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        *rest: Any,
        resampling: int = 3,
        reweighting: bool = True,
        running: RunningDifficulty | None = None,
        shared_prefix: bool = True,
        right: Callable[..., list[float]] = accuracy_reward,
        record: Callable[[list[dict[str, Any]]], None] | None = None,
        **kwargs: Any,
    ) -> None:
        if reward_funcs is None and args is not None:
            reward_funcs = emit_rewards(args.max_completion_length)
            args.reward_weights = list(args.reward_weights or WEIGHTS)
        if args is not None:
            args.generation_kwargs = _suppress_placeholders(args.generation_kwargs, kwargs.get("processing_class"))
        # Without an adapter to switch off, TRL would load a second model from the base's path: more memory than needed, and
        # not the model that training starts from after a supervised stage.
        beta = args.beta if args is not None else 0.0
        own_reference = bool(beta) and not isinstance(model, PeftModel) and not _is_sharded()
        if own_reference:
            args.beta = 0.0
        super().__init__(model, reward_funcs, args, *rest, **kwargs)
        copy_statistics(self.model)
        self.args.beta = self.beta = beta
        self._start = {n: p.detach().clone() for n, p in self._learning()} if own_reference else {}
        self.resampling, self.reweighting, self.running = resampling, reweighting, running
        self.right, self.record = right, record
        rows = self.args.per_device_train_batch_size * self.args.steps_per_generation
        if rows % self.num_generations:
            raise UserError(
                f"{rows} completions per device and generation do not hold whole groups of {self.num_generations}: "
                "make per_device_train_batch_size x steps_per_generation a multiple of num_generations."
            )
        for each in filter(None, (self.model, self.ref_model)):
            freeze_statistics(each)
        self.unshared_because = "it is switched off" if not shared_prefix else self._obstacle()
        if self.unshared_because is None:
            for each in filter(None, (self.model, self.ref_model)):
                allow_shared_prefix(self.accelerator.unwrap_model(each))
        elif shared_prefix:
            log.warning("Prompts are forwarded once per response, not per group: %s.", self.unshared_because)

    def _obstacle(self) -> str | None:
        if self.args.gradient_checkpointing:
            return "gradient checkpointing keeps no key-value cache"
        return obstacle(self.model)

    # Completions to advantages -----------------------------------------------------------------------------------------

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        size, device = self._group_size, self.accelerator.device
        if len(inputs) % size or any(row["prompt"] != inputs[i - i % size]["prompt"] for i, row in enumerate(inputs)):
            raise UserError("The rows of a batch are not whole groups of one question each.")
        # One chat per group, shared by its rows.
        chats = [_with_pictures(row) for row in inputs[::size]]
        prompts = [chats[i // size] for i in range(len(inputs))]
        self._columns = {
            name: [row[name] for row in inputs] for name in inputs[0] if name not in ("prompt", "image", "images")
        }
        prompt_ids, completion_ids, _, completions, _, _, _, _ = self._generate(prompts)
        batch = self._tensors(prompt_ids, completion_ids)
        rewards_per_func = self._calculate_rewards(inputs, prompts, completions, completion_ids)
        rewards = (rewards_per_func * self.reward_weights.to(device)).nansum(dim=1)
        advantages = group_advantages(rewards, size) if self.scale_rewards == "group" else self._unscaled(rewards, size)
        correct = gather(self._correct.to(device))
        hard = gather(torch.tensor(self._resamplings, device=device))
        weights = self._weights(inputs, correct)
        final = apply_difficulty(advantages, correct, weights, resampling=self.resampling > 0 and self.model.training)
        first = self.accelerator.process_index * len(inputs)
        batch["advantages"] = final[first : first + len(inputs)]
        with torch.no_grad():
            if self.args.gradient_accumulation_steps % (self.args.steps_per_generation * self.num_iterations):
                batch["old_per_token_logps"] = self._score(self.model, batch)
            if self.beta:
                with self._reference() as reference:
                    batch["ref_per_token_logps"] = self._score(reference, batch)
        self._note(rewards_per_func, rewards, correct, hard, weights)
        self._record(inputs, completions, rewards_per_func, rewards, final, correct, hard, weights)
        return batch

    def _weights(self, inputs: list[dict[str, Any]], correct: Tensor) -> Tensor:
        """Of the groups of all processes, [N]."""
        if not self.reweighting:
            return torch.ones(len(correct))
        if self.running is None or not self.model.training:
            return difficulty_weight(correct)
        return self.running(gather_object([kind_of(row) for row in inputs[:: self._group_size]]), correct)

    def _learning(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The model as it was when training began: adapters off, or learned weights swapped for copies of the first ones."""
        if self.ref_model is not None:
            yield self.ref_model
        elif not self._start:
            policy = self.accelerator.unwrap_model(self.model)
            with use_adapter(policy, adapter_name="ref" if "ref" in policy.peft_config else None):
                yield self.model
        else:
            now = {name: parameter.data for name, parameter in self._learning()}
            try:
                for name, parameter in self._learning():
                    parameter.data = self._start[name]
                yield self.model
            finally:
                for name, parameter in self._learning():
                    parameter.data = now[name]

    def _unscaled(self, rewards: Tensor, size: int) -> Tensor:
        grouped = rewards.view(-1, size)
        centred = (grouped - grouped.mean(dim=1, keepdim=True)).flatten()
        return centred / (rewards.std() + 1e-4) if self.scale_rewards == "batch" else centred

    def _tensors(self, prompt_ids: list[list[int]], completion_ids: list[list[int]]) -> dict[str, Any]:
        """Padded rows [B, P] and [B, C], and the tiles of the distinct prompts."""
        device = self.accelerator.device
        batch: dict[str, Any] = {}
        sides = {"prompt": (prompt_ids, "left"), "completion": (completion_ids, "right")}
        for name, (rows, side) in sides.items():
            ids = [torch.tensor(row) for row in rows]
            masks = [torch.ones_like(row) for row in ids]
            batch[f"{name}_ids"] = pad(ids, padding_value=self._tokenizer.pad_token_id, padding_side=side).to(device)
            batch[f"{name}_mask"] = pad(masks, padding_value=0, padding_side=side).to(device)
        total = torch.tensor(sum(map(len, completion_ids)), device=device)
        batch["num_items_in_batch"] = self.accelerator.gather(total).sum()
        batch["tiles"] = [tile_count(item) for item in self._encoded]
        pixels = [item["pixels"] for item in self._encoded if item["pixels"] is not None]
        batch["pixel_values"] = torch.cat(pixels).to(device) if pixels else None
        return batch

    def _score(self, model: Any, batch: dict[str, Any]) -> Tensor:
        """Log-probabilities of all completion tokens [B, C], without gradient."""
        parts = []
        for part in self._micro_batches(batch):
            ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
            mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
            names = ("pixel_values", "num_images", "num_tiles")
            given = {name: part[name] for name in names}
            width = part["completion_ids"].shape[1]
            parts.append(self._get_per_token_logps_and_entropies(model, ids, mask, width, **given)[0])
        return torch.cat(parts)

    # Groups stay together ----------------------------------------------------------------------------------------------

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        if not self.model.training:
            (only,) = self._micro_batches(self._generate_and_score_completions(generation_batch), parts=1)
            return only
        every = self.args.steps_per_generation * self.num_iterations
        if self._step % every == 0 or self._buffered_inputs is None:
            scored = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = self._micro_batches(scored)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _micro_batches(self, batch: dict[str, Any], parts: int | None = None) -> list[dict[str, Any]]:
        parts = parts or (self.args.steps_per_generation if self.model.training else 1)
        return micro_batches(batch, parts, self._group_size)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        pixel_values: Tensor | None = None,
        num_images: list[int] | None = None,
        num_tiles: list[int] | None = None,
        **kwargs: Any,
    ) -> tuple:
        share = len(input_ids) // len(num_images) if num_images else 1
        if share == 1 or self.unshared_because:
            if pixel_values is not None and num_tiles is not None and share > 1:
                blocks = [block for block in pixel_values.split(num_tiles) for _ in range(share)]
                pixel_values = torch.cat(blocks)
                num_tiles = [len(block) for block in blocks]
                num_images = num_tiles
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, compute_aux_loss,
                pixel_values=pixel_values, num_images=num_images, num_tiles=num_tiles, **kwargs,
            )  # fmt: skip
        # Columns that are padding in every row cost time and mean nothing.
        used = attention_mask.bool().any(dim=0)
        length = input_ids.shape[1] - logits_to_keep
        start = int(used[:length].int().argmax())
        width = max(int(used[length:].sum()), 1)
        window = slice(start, length + width)
        ids, mask = input_ids[:, window], attention_mask[:, window]
        given: dict[str, Any] = {} if pixel_values is None else {"pixel_values": pixel_values}
        if torch.is_grad_enabled() and self.prefix is not None:
            if self.prefix.last.requires_grad:
                given = {"prefix": self.prefix}
            self.prefix = None  # its graph is good for one backward pass
        with self.accelerator.autocast():
            outputs = model(
                input_ids=ids, attention_mask=mask, group_size=share, completion_length=width, fused_lm_head=True,
                shift_labels=ids[:, -width:].masked_fill(mask[:, -width:] == 0, -100), **given,
            )  # fmt: skip
        missing = (0, logits_to_keep - width)
        entropies = torch.nn.functional.pad(outputs.entropy, missing) if compute_entropy else None
        return torch.nn.functional.pad(outputs.log_probs, missing), entropies, None

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise UserError(
                f"The loss became {loss.item()} at step {self.state.global_step}: resume from the last checkpoint with a "
                "lower grpo.learning_rate, or with dtype float32."
            )
        return loss

    # What is kept ------------------------------------------------------------------------------------------------------

    def _note(self, per_func: Tensor, rewards: Tensor, correct: Tensor, resamplings: Tensor, weights: Tensor) -> None:
        notes = self._metrics["train" if self.model.training else "eval"]
        for i, name in enumerate(self.reward_func_names):
            notes[f"rewards/{name}/mean"].append(per_func[:, i].nanmean().item())
        for name, value in group_metrics(rewards.view(len(correct), -1), correct, resamplings, weights).items():
            notes[name].append(value)

    def _record(
        self, inputs: list[dict[str, Any]], completions: list, per_func: Tensor, rewards: Tensor, advantages: Tensor,
        correct: Tensor, resamplings: Tensor, weights: Tensor,
    ) -> None:  # fmt: skip
        if self.record is None or not self.model.training:
            return
        keep = [name for name in self._columns if name not in ("completion", "completion_ids")]
        rows = gather_object([{name: row[name] for name in keep} for row in inputs[:: self._group_size]])
        texts = gather_object([text_of(completion) for completion in completions])
        if not self.accelerator.is_main_process:
            return
        named = {name: per_func[:, i] for i, name in enumerate(self.reward_func_names)}
        self.record(
            group_rows(
                rows, self.state.global_step + 1, texts, named, rewards, advantages, correct, resamplings, weights
            )
        )


def kind_of(row: Mapping[Any, Any]) -> str:
    """The kind of question for `RunningDifficulty`: product and type, as far as they are known."""
    return "/".join(str(row.get(name, "")) for name in ("dataset", "product", "question_type"))


def _is_sharded() -> bool:
    """FSDP or DeepSpeed, as accelerate's launcher says it."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true" for name in ("FSDP", "DEEPSPEED"))


def _with_pictures(row: dict[str, Any]) -> Any:
    """A row's prompt with its pictures in its image parts."""
    images = row.get("images") or ([row["image"]] if row.get("image") is not None else None)
    if not images or isinstance(row["prompt"], str):
        return row["prompt"]
    return prepare_multimodal_messages(row["prompt"], images=list(images))


def _suppress_placeholders(given: dict[str, Any] | None, processor: Any) -> dict[str, Any] | None:
    """Placeholders of pictures and comparisons are never sampled: no picture would stand behind them."""
    ids = [*getattr(processor, "image_token_ids", ()), getattr(processor, "comparison_token_id", None)]
    ids = [token for token in ids if token is not None]
    return {"suppress_tokens": ids, **(given or {})} if ids else given
