"""From a question to what the model is shown: one place that training and evaluation share.

A prompt is a chat in the form transformers' processors take: messages whose content is a list of parts
`{"type": "text" | "image" | "comparison"}`, and beside it the pictures in the order of the image parts (references
first, the query last). `comparison` says "compare here" (EMIT's soft prompt and contrastive embedding); it ends the user
turn, may change what the query's tokens say (core.heatmap.embedder), and is only there for questions a comparison can decide
(EMIT, "few-shot" section: discrimination, localization).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.files import digest
from core.mmad.vocabulary import COMPARISON_TASKS, OBJECT_TASKS, Benchmark, Question, Sample

SYSTEM = "You inspect products on an industrial line. You look closely and answer only from what the pictures show."
ANSWER_PLAINLY = "Answer with the letter of the right option and nothing else."
ANSWER_THINKING = (
    "First reason between <think> and </think>, then give the right option's letter between <answer> and </answer>."
)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How questions are put; it stands next to every figure, and figures of two protocols are never mixed.

    Attributes:
        shots: normal references shown (0, 1, k).
        template: "similar" takes the most similar normal pictures, "random" the random ones.
        knowledge: the product's descriptions are part of the prompt.
        thinking: the model reasons before it answers.
        heatmap: the comparison part is given where it applies.
        answering: "generate" free text that is parsed, or "letters": the likeliest of the options' letters.
        seed: for the order of descriptions and the choice of random references.
    """

    shots: int = 1
    template: Literal["similar", "random"] = "similar"
    knowledge: bool = True
    thinking: bool = False
    heatmap: bool = True
    answering: Literal["generate", "letters"] = "generate"
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        words = [f"{self.shots}-shot", self.template] if self.shots else ["0-shot"]
        for name in ("knowledge", "thinking", "heatmap"):
            words.append(name if getattr(self, name) else f"no {name}")
        return ", ".join([*words, self.answering, f"seed {self.seed}"])


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is shown for one question.

    Attributes:
        messages: system and user turn, content parts as described above.
        images: paths relative to the benchmark's root, in the order of the image parts.
    """

    messages: list[dict[str, Any]]
    images: tuple[str, ...]

    @property
    def compares(self) -> bool:
        return any(part["type"] == "comparison" for message in self.messages for part in message["content"])


def references(sample: Sample, protocol: Protocol) -> tuple[str, ...]:
    """The normal pictures shown before the query, at most `protocol.shots`, never the query's own path."""
    first, second = sample.similar_templates, sample.random_templates
    if protocol.template == "random":
        first, second = second, first
    distinct = dict.fromkeys(path for path in (*first, *second) if path != sample.image)
    return tuple(distinct)[: protocol.shots]


def knowledge_text(descriptions: dict[str, str], order: random.Random) -> str:
    """A product's descriptions joined in random order (EMIT, "domain knowledge")."""
    texts = [
        f"{name.replace('_', ' ')}: {' '.join(text.split())}" for name, text in descriptions.items() if text.strip()
    ]
    order.shuffle(texts)
    return "\n".join(texts)


def build_prompt(
    bench: Benchmark, sample: Sample, question: Question, protocol: Protocol | None = None, *, epoch: int = 0
) -> Prompt:
    """The prompt of one question of `sample`.

    Args:
        epoch: varies the random order of descriptions between passes of training; the same inputs give the same prompt.

    Object questions take no reference and no comparison (EMIT, "Multi-task dataset"). The picture of a text sample is
    replaced by its text, and nothing is compared then.
    """
    protocol = protocol or Protocol()
    task = question.task
    shown = () if task in OBJECT_TASKS else references(sample, protocol)
    parts: list[dict[str, Any]] = []
    if shown:
        parts.append(_text("Normal reference of the same product:" if len(shown) == 1 else "Normal references:"))
        parts += [{"type": "image"} for _ in shown]
    if sample.text is not None:
        parts.append(_text(f"Query product, in words: {sample.text}\n"))
    else:
        parts += [_text("Query picture:"), {"type": "image"}]
    parts.append(_text("\n".join(_lines(bench, sample, question, protocol, epoch))))
    if shown and sample.text is None and protocol.heatmap and task in COMPARISON_TASKS:
        parts.append({"type": "comparison"})
    messages = [{"role": "system", "content": [_text(SYSTEM)]}, {"role": "user", "content": parts}]
    return Prompt(messages, shown if sample.text is not None else (*shown, sample.image))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _lines(bench: Benchmark, sample: Sample, question: Question, protocol: Protocol, epoch: int) -> Iterable[str]:
    # The parts that all questions of a picture share come first, so that their prefix can be computed once.
    if protocol.knowledge:
        seed = int(digest([protocol.seed, epoch, sample.image])[:8], 16)
        known = knowledge_text(bench.descriptions(sample.dataset, sample.product), random.Random(seed))
        if known and question.task not in OBJECT_TASKS:
            yield f"What is known about this product:\n{known}"
    yield question.text
    yield from (f"{letter}. {text}" for letter, text in question.options.items())
    yield ANSWER_THINKING if protocol.thinking else ANSWER_PLAINLY
