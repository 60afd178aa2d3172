"""Answers of a model on this machine, in batches that share prefixes; and the plain way, which they must equal.

Two ways of answering, each a protocol of its own:
- "generate": greedy free text, read by `parse_answer`; it may hold no letter.
- "letters": the likeliest of the options' letters, read from the logits of the first answer token; always a letter, and a
  probability for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.evaluation.asking import Asked
from core.evaluation.prefix import Batch, Continuation, fill_batches, group_questions, prepared_ahead
from core.evaluation.records import Reply
from core.mmad import Benchmark, Protocol, Question, parse_answer
from core.model.adapters import inner_model
from core.pictures import open_image

# Enough for a letter with its option's text; reasoning takes what EMIT's training allows.
NEW_TOKENS, NEW_TOKENS_THINKING = 32, 512


class LocalModel:
    """An EMIT model and its processor as an answerer.

    Args:
        model: `EmitForConditionalGeneration`, or a PEFT model around one.
        batch_size: questions at once; 16 on a CPU, 128 on a GPU.
        name: in the records; the path it was loaded from by default.
    """

    def __init__(self, model: Any, processor: Any, *, batch_size: int | None = None, name: str | None = None) -> None:
        self.model = inner_model(model)
        self.processor = processor
        self.device = next(self.model.parameters()).device
        self.batch_size = batch_size or (16 if self.device.type == "cpu" else 128)
        if self.batch_size < 1:
            raise UserError(f"A batch of {self.batch_size} questions is none: use 1 or more.")
        self.name = name or str(getattr(self.model.config, "_name_or_path", "") or type(self.model).__name__)
        eos = self.model.generation_config.eos_token_id
        self.stop = tuple(eos) if isinstance(eos, list | tuple) else (eos,)

    @property
    def guided(self) -> bool:
        """Whether a comparison changes what the query's own tokens say."""
        config = self.model.config
        return bool(getattr(config, "comparison_places", False) and config.heatmap)

    def protocol(self, wish: Protocol) -> Protocol:
        compares = bool(getattr(self.processor, "comparison_length", 0))
        return replace(wish, heatmap=wish.heatmap and compares)

    def answer(self, asked: Sequence[Asked], bench: Benchmark, protocol: Protocol) -> Iterator[tuple[Asked, Reply]]:
        texts = [self.render(one) for one in asked]
        groups = group_questions(asked, texts, self.processor, guided=self.guided)
        batches = fill_batches(groups, self.batch_size, self.processor.image_seq_length)
        with answering(self.model):
            for batch in prepared_ahead(batches, bench, self.processor):
                yield from zip(batch.asked, self._replies(batch, protocol), strict=True)

    @torch.inference_mode()
    def _replies(self, batch: Batch, protocol: Protocol) -> list[Reply]:
        continuation = Continuation(self.model, batch)
        if protocol.answering == "letters":
            logits = continuation.logits.float().cpu()
            return [self.letter_reply(one.question, row) for one, row in zip(batch.asked, logits, strict=True)]
        tokens = continuation.generate(new_tokens(protocol), self.stop)
        return [self.text_reply(one.question, reply) for one, reply in zip(batch.asked, tokens, strict=True)]

    @torch.inference_mode()
    def answer_alone(self, one: Asked, bench: Benchmark, protocol: Protocol) -> Reply:
        """The benchmark's own pattern: the whole prompt, pictures included, for a single question."""
        pictures = [open_image(bench.path(path)) for path in one.prompt.images]
        inputs = self.processor(
            text=[self.render(one)], images=[pictures] if pictures else None, return_tensors="pt"
        ).to(self.device)
        if protocol.answering == "letters":
            logits = self.model(**inputs, logits_to_keep=1).logits[0, -1]
            return self.letter_reply(one.question, logits)
        tokens = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=new_tokens(protocol), pad_token_id=self.stop[0]
        )
        return self.text_reply(one.question, tokens[0, inputs["input_ids"].shape[1] :].tolist())

    def render(self, one: Asked) -> str:
        """The prompt as text, one placeholder for each picture and comparison."""
        return self.processor.apply_chat_template(one.prompt.messages, add_generation_prompt=True, tokenize=False)

    def text_reply(self, question: Question, tokens: Sequence[int]) -> Reply:
        """Generated tokens -> reply; what follows the first stop token does not count."""
        end = next((place for place, token in enumerate(tokens) if token in self.stop), len(tokens))
        text = self.processor.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Reply(text, parse_answer(text, question.options))

    def letter_reply(self, question: Question, logits: Tensor) -> Reply:
        """Logits [vocabulary] of the first answer token -> the likeliest letter and P of each."""
        letters = list(question.options)
        chosen = logits.float()[[self.letter_token(letter) for letter in letters]]
        probabilities = torch.softmax(chosen, 0)
        best = letters[int(probabilities.argmax())]
        return Reply(best, best, tuple(probabilities.tolist()))

    def letter_token(self, letter: str) -> int:
        tokens = self.processor.tokenizer(letter, add_special_tokens=False)["input_ids"]
        if len(tokens) != 1:
            raise UserError(f"The option {letter!r} is no single token of this model: answer by 'generate' instead.")
        return tokens[0]


def new_tokens(protocol: Protocol) -> int:
    return NEW_TOKENS_THINKING if protocol.thinking else NEW_TOKENS


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Stored statistics of the projector's BatchNorm and no dropout, so that no answer depends on its neighbours."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
