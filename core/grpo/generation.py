"""From prompts to responses: every distinct prompt is encoded and forwarded once per group, and groups without a right answer
are answered again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import gather
from torch import Tensor
from trl import GRPOTrainer
from trl.data_utils import prepare_multimodal_messages
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import pad

from core.errors import UserError
from core.grpo.difficulty import resample
from core.grpo.prefix import Prefix, backbone_of, prefill, sample_groups


class GroupGeneration(GRPOTrainer):
    """The part of `DifficultyAwareGRPOTrainer` that generates.

    Attributes:
        resampling, right: as of the trainer.
        unshared_because: why prompts are forwarded once per response, None when they are shared.
        prefix: the batch's prompts after their pass: all rounds of resampling go on from it, and so does the policy pass
            where the batch is learned from at once (then it holds the graph).
    """

    # Untyped in TRL, and narrower in transformers than what is there.
    args: Any
    model: Any
    ref_model: Any
    processing_class: Any
    max_completion_length: int
    num_generations: int
    num_generations_eval: int
    _buffered_inputs: Any
    resampling: int
    right: Callable[..., list[float]]
    unshared_because: str | None
    prefix: Prefix | None = None
    # Of the batch at hand: columns of the data set, encoded prompts, who is right, how often each group was answered again.
    _columns: dict[str, list[Any]]
    _encoded: list[dict[str, Any]]
    _correct: Tensor
    _resamplings: list[int]
    _generated: int

    @property
    def _group_size(self) -> int:
        return self.num_generations if self.model.training else self.num_generations_eval

    def _encode(self, prompts: Sequence[Any]) -> list[dict[str, Any]]:
        """Each distinct prompt as token ids and tiles; pictures lie in its image parts."""
        encoded = []
        for prompt in prompts:
            if not self._is_vlm or isinstance(prompt, str):
                text = prompt if isinstance(prompt, str) else self._render(self._tokenizer, prompt)
                encoded.append({"ids": self._tokenizer(text=text)["input_ids"], "pixels": None, "images": []})
                continue
            prompt = prepare_multimodal_messages(prompt)
            images = [part["image"] for turn in prompt for part in turn["content"] if part["type"] == "image"]
            text = self._render(self.processing_class, prompt)
            inputs = self.processing_class(text=[text], images=[images] if images else None, return_tensors="pt")
            encoded.append(
                {"ids": inputs["input_ids"][0].tolist(), "pixels": inputs.get("pixel_values"), "images": images}
            )
        return encoded

    def _render(self, renderer: Any, prompt: Any) -> str:
        options: Any = self.chat_template_kwargs
        return renderer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **options)

    def _generate(self, prompts: list) -> tuple:
        """As TRL's, but every distinct prompt is encoded once, and groups without a right answer are answered again."""
        size = self._group_size
        encoded = self._encode(prompts[::size])
        context = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        longest = max(len(item["ids"]) for item in encoded) + self.max_completion_length
        if context and longest > context:
            raise UserError(
                f"A prompt with {self.max_completion_length} new tokens takes {longest} of the model's {context}: "
                "show fewer references, shorten the descriptions, or lower grpo.max_new_tokens."
            )
        self.prefix = None
        ids, texts = self._answer(encoded, range(len(encoded)), size)
        self._generated = sum(map(len, ids))
        right = self._right(range(len(encoded)), texts, size)
        self._resamplings = [0] * len(encoded)
        if self.model.training and self.resampling:

            def again(groups: Sequence[int]) -> list[list[bool]]:
                # Under sharding generation is a joint effort: a process with nothing to do takes part all the same.
                new_ids, new_texts = self._answer(encoded, groups or [0], size)
                self._generated += sum(map(len, new_ids))
                found = self._right(groups, new_texts, size)
                for place, (group, answers) in enumerate(zip(groups, found, strict=True)):
                    if any(answers):
                        ids[group * size : (group + 1) * size] = new_ids[place * size : (place + 1) * size]
                        texts[group * size : (group + 1) * size] = new_texts[place * size : (place + 1) * size]
                return found

            self._resamplings = resample(right, again, rounds=self.resampling, busy=self._busy)
        self._correct = torch.tensor(right)
        self._encoded = encoded
        self._note_lengths(ids)
        chats = isinstance(prompts[0], list)
        completions = [[{"role": "assistant", "content": text}] for text in texts] if chats else texts
        repeated = [item["ids"] for item in encoded for _ in range(size)]
        return repeated, ids, None, completions, None, {}, None, []

    def _busy(self, count: int) -> bool:
        """Whether to go on resampling; sharded models generate together, so there all processes must agree."""
        if not (self._dist.is_zero3 or self._dist.is_fsdp):
            return count > 0
        return bool(gather(torch.tensor([count], device=self.accelerator.device)).sum() > 0)

    def _answer(
        self, encoded: list[dict[str, Any]], groups: Sequence[int], size: int
    ) -> tuple[list[list[int]], list[str]]:
        """`size` responses to each of the named prompts: token ids and texts."""
        asked = [encoded[group] for group in groups]
        repeated = [item["ids"] for item in asked for _ in range(size)]
        images = [item["images"] or None for item in asked for _ in range(size)]
        pixels = [item["pixels"] for item in asked if item["pixels"] is not None]
        fields: dict[str, Any] = {"groups": list(groups)}
        if pixels:
            fields |= {"pixel_values": torch.cat(pixels), "tiles": [tile_count(item) for item in asked]}
        shown = images if any(images) else None
        ids, _ = self._generate_single_turn(repeated, shown, fields, size)
        return ids, self.processing_class.batch_decode(ids, skip_special_tokens=True)

    def _generate_single_turn(
        self,
        prompt_ids: list,
        images: Any,
        multimodal_fields: dict,
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple:
        tiles, groups = multimodal_fields.pop("tiles", None), multimodal_fields.pop("groups")
        pixels: Any = multimodal_fields.get("pixel_values")
        if self.unshared_because or self.use_vllm or self.use_transformers_continuous_batching:
            if tiles is not None:
                blocks = pixels.split(tiles)
                pixels = torch.cat([block for block in blocks for _ in range(num_generations)])
                multimodal_fields["pixel_values"] = pixels
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        device = self.accelerator.device
        distinct = [torch.tensor(ids) for ids in prompt_ids[::num_generations]]
        tokens = pad(distinct, padding_value=self._tokenizer.pad_token_id, padding_side="left").to(device)
        mask = pad([torch.ones_like(ids) for ids in distinct], padding_value=0, padding_side="left").to(device)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gather_deepspeed3_params=self.args.ds3_gather_for_generation,
                generation_kwargs=self.generation_kwargs,
            ) as model,
            torch.no_grad(),
            self._dist.summon_full_params(self.model_wrapped, recurse=False),
        ):
            if self.prefix is None:
                inputs = {} if pixels is None else {"pixel_values": pixels.to(device, self.model.dtype)}
                with torch.set_grad_enabled(self._learns_from_prefix), self.accelerator.autocast():
                    self.prefix = prefill(backbone_of(model), input_ids=tokens, attention_mask=mask, **inputs)
                prefix = self.prefix
            else:
                prefix = self.prefix.select(groups)
            # Prompts of a later round are padded as in the first.
            padded = torch.nn.functional.pad(
                tokens, (prefix.mask.shape[1] - tokens.shape[1], 0), value=self._tokenizer.pad_token_id
            )
            output = model.generate(
                input_ids=padded.repeat_interleave(num_generations, dim=0),
                attention_mask=prefix.mask.repeat_interleave(num_generations, dim=0),
                generation_config=self.generation_config,
                custom_generate=sample_groups, prefix=prefix, group_size=num_generations,
            )  # fmt: skip
        return [self._until_end(row) for row in output[:, padded.shape[1] :].tolist()], None

    @property
    def _learns_from_prefix(self) -> bool:
        """Whether the policy pass may go on from the prompts' pass: same weights, and all of the batch at once."""
        whole = self.args.steps_per_generation == self.args.gradient_accumulation_steps == self.num_iterations == 1
        return whole and self.model.training and not (self._dist.is_zero3 or self._dist.is_fsdp)

    def _until_end(self, ids: list[int]) -> list[int]:
        """A completion up to and with its first end token."""
        ends = [place for place, token in enumerate(ids) if token in self.eos_token_ids]
        return ids[: ends[0] + 1] if ends else ids

    def _right(self, groups: Sequence[int], texts: Sequence[str], size: int) -> list[list[bool]]:
        columns: dict[str, list[Any]] = {name: [] for name in self._columns}
        for group in groups:
            for name, values in self._columns.items():
                columns[name] += [values[group * size]] * size
        scores = self.right(completions=list(texts[: len(groups) * size]), **columns)
        return [[score > 0 for score in scores[i * size : (i + 1) * size]] for i in range(len(groups))]

    def _note_lengths(self, ids: list[list[int]]) -> None:
        notes = self._metrics["train" if self.model.training else "eval"]
        device = self.accelerator.device
        lengths = gather(torch.tensor([len(row) for row in ids], device=device)).float()
        ended = gather(torch.tensor([row[-1] in self.eos_token_ids for row in ids], device=device)).float()
        notes["completions/mean_length"].append(lengths.mean().item())
        notes["completions/max_length"].append(lengths.max().item())
        notes["completions/clipped_ratio"].append(1.0 - ended.mean().item())
        total = gather(torch.tensor([self._generated], device=device)).sum().item()
        notes["tokens/generated"].append(total)


def tile_count(item: dict[str, Any]) -> int:
    """Tiles of an encoded prompt."""
    return 0 if item["pixels"] is None else len(item["pixels"])
