"""Stage 1: supervised fine-tuning on bare letters (EMIT, section 4). Only the chosen parts learn, by default the map's
projector and the soft prompt.

Batches are padded on the left and every answer is a letter and the end of the turn, so the answers stand in the last columns
of all rows: the language model head is only run there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

from core.errors import UserError
from core.training.checkpoints import ExactCheckpoints
from core.training.padding import skip_padding
from core.training.pictures import keep_pictures
from core.training.questions import Course


class Letters:
    """Collates positions of a course into a batch with `answers` [B, K], the last K tokens of every row."""

    def __init__(self, course: Course, processor: Any) -> None:
        self.course = course
        self.processor, self.pictures = keep_pictures(processor)
        end = processor.tokenizer.eos_token_id
        letters = {x: processor.tokenizer(x, add_special_tokens=False)["input_ids"] for x in "ABCD"}
        if {len(ids) for ids in letters.values()} != {1}:
            raise UserError("This tokenizer writes a letter as several tokens: choose another base.")
        self.answers = {letter: [*ids, end] for letter, ids in letters.items()}

    def __call__(self, positions: list[int]) -> dict[str, Tensor]:
        texts, pictures, answers = [], [], []
        for position in positions:
            asked, prompt = self.course[position]
            texts.append(
                self.processor.apply_chat_template(prompt.messages, add_generation_prompt=True, tokenize=False)
            )
            pictures.append([self.pictures.open(path) for path in self.course.paths(prompt)])
            answers.append(self.answers[asked.question.answer])
        batch = self.processor(text=texts, images=pictures, return_tensors="pt", padding=True)
        ends = torch.tensor(answers)
        result = {
            "input_ids": torch.cat([batch["input_ids"], ends], dim=1),
            "attention_mask": torch.cat([batch["attention_mask"], torch.ones_like(ends)], dim=1),
            "answers": ends,
        }
        if batch.get("pixel_values") is not None:
            result["pixel_values"] = batch["pixel_values"]
        return result


class Positions(torch.utils.data.Dataset):
    """The positions of a course: what they hold is looked up when a batch is made."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> int:
        return position


class SFTStage(ExactCheckpoints, Trainer):
    """transformers' trainer on a course, in its order."""

    def __init__(self, model: Any, processor: Any, course: Course, args: TrainingArguments, **kwargs: Any) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=Positions(len(course)),
            data_collator=Letters(course, processor),
            **kwargs,
        )
        self.model_accepts_loss_kwargs = False
        if not self._sharded:  # sharded weights come together as often on all processes
            skip_padding(model.model.language_model)

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        answers = inputs.pop("answers")
        width = answers.shape[1]
        outputs = model(**inputs, use_cache=False, logits_to_keep=width + 1)
        logits = outputs.logits[:, -width - 1 : -1].float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise UserError(
                f"The loss became {loss.item()} at step {self.state.global_step}: resume from the last checkpoint with a "
                "lower sft.learning_rate, or with dtype float32."
            )
        return loss
