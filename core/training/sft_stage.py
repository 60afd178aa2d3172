"""Stage 1: supervised fine-tuning (EMIT, section 4). Only the chosen parts learn, by default the map's projector and the soft
prompt.

Rows are padded on the left, so the replies end together: the language model head is only run over the last columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

from core.errors import UserError
from core.model.adapters import inner_model
from core.training.checkpoints import ExactCheckpoints
from core.training.padding import skip_padding
from core.training.pictures import keep_pictures
from core.training.questions import Course
from core.training.replies import reply

LETTERS = "ABCD"
UNLEARNED = -100


class Replies:
    """Collates positions of a course into a batch with `answers` [B, K], the ids of the last K columns, -100 where the
    longest reply is longer.

    Args:
        style: "letters", "reasons", or "both": half of the positions with a reason.
    """

    def __init__(self, course: Course, processor: Any, style: str = "letters") -> None:
        self.course, self.style = course, style
        self.processor, self.pictures = keep_pictures(processor)
        tokenizer = processor.tokenizer
        self.letters = {x: tokenizer(x, add_special_tokens=False)["input_ids"] for x in LETTERS}
        if {len(ids) for ids in self.letters.values()} != {1}:
            raise UserError("This tokenizer writes a letter as several tokens: choose another base.")

    def __call__(self, positions: list[int]) -> dict[str, Tensor]:
        tokenizer = self.processor.tokenizer
        texts, pictures, replies = [], [], []
        for position in positions:
            reasons = self._reasons(position)
            asked, prompt = self.course.look_up(position, thinking=reasons)
            texts.append(
                self.processor.apply_chat_template(prompt.messages, add_generation_prompt=True, tokenize=False)
            )
            pictures.append([self.pictures.open(path) for path in self.course.paths(prompt)])
            said = reply(asked.sample, asked.question, reasons=reasons)
            replies.append([*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])
        batch = self.processor(text=texts, images=pictures, return_tensors="pt", padding=True)
        width = max(map(len, replies))
        rows = [
            _row(ids, mask, said, width, tokenizer.pad_token_id)
            for ids, mask, said in zip(batch["input_ids"], batch["attention_mask"], replies, strict=True)
        ]
        result = dict(
            zip(("input_ids", "attention_mask", "answers"), map(torch.stack, zip(*rows, strict=True)), strict=True)
        )
        if batch.get("pixel_values") is not None:
            result["pixel_values"] = batch["pixel_values"]
        return result

    def _reasons(self, position: int) -> bool:
        """Whether the reply gives a reason; with both kinds, each question gets the other one in its next pass."""
        if self.style != "both":
            return self.style == "reasons"
        place, epoch = self.course.order[position]
        return (place + epoch) % 2 == 0


def _row(ids: Tensor, mask: Tensor, said: list[int], width: int, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """(ids, attention mask, answers) of a prompt that is padded on the left, and what is said to it."""
    answer, spare = torch.tensor(said), width - len(said)
    return (
        torch.cat([ids.new_full((spare,), pad), ids, answer]),
        torch.cat([mask.new_zeros(spare), mask, torch.ones_like(answer)]),
        torch.cat([answer.new_full((spare,), UNLEARNED), answer]),
    )


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

    def __init__(
        self,
        model: Any,
        processor: Any,
        course: Course,
        args: TrainingArguments,
        *,
        style: str = "letters",
        **kwargs: Any,
    ) -> None:
        replies = Replies(course, processor, style)
        super().__init__(
            model=model, args=args, train_dataset=Positions(len(course)), data_collator=replies, **kwargs
        )  # fmt: skip
        self.model_accepts_loss_kwargs = False
        self.letters = None if style == "letters" else torch.tensor([ids[0] for ids in replies.letters.values()])
        if not self._sharded:  # sharded weights come together as often on all processes
            base = inner_model(model)
            skip_padding(base.model.language_model)

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        answers = inputs.pop("answers")
        width = answers.shape[1]
        outputs = model(**inputs, use_cache=False, logits_to_keep=width + 1)
        logits = outputs.logits[:, -width - 1 : -1].float()
        loss = self._loss(logits[answers != UNLEARNED], answers[answers != UNLEARNED])
        return (loss, outputs) if return_outputs else loss

    def _loss(self, logits: Tensor, answers: Tensor) -> Tensor:
        """Mean over the tokens [N]; beside reasons the letters weigh as much as all other words together."""
        losses = torch.nn.functional.cross_entropy(logits, answers, reduction="none")
        if self.letters is None:
            return losses.mean()
        letters = torch.isin(answers, self.letters.to(answers.device))
        return losses[letters].mean() + losses[~letters].mean()

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise UserError(
                f"The loss became {loss.item()} at step {self.state.global_step}: resume from the last checkpoint with a "
                "lower sft.learning_rate, or with dtype float32."
            )
        return loss
