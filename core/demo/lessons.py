"""What the tiny base is told about pictures of normal products, in the prompts the benchmarks use.

A lesson is one chat of several turns about one picture: each right answer is a learning signal, so packing turns teaches
many times faster than one question a chat. A turn describes the picture, thinks aloud before its letter (it states the
fact), or answers with the bare letter.

Left out on purpose: pictures of defects. The base knows products, parts, materials, colours, counts and places.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.mmad.prompts import ANSWER_PLAINLY, ANSWER_THINKING, SYSTEM
from core.mmad.vocabulary import Task
from core.synthesis.factory import PRODUCTS
from core.synthesis.factory.facts import facts as facts_of
from core.synthesis.names import title
from core.synthesis.questions import TEXTS
from core.synthesis.regions import WORDINGS

LETTERS = "ABCD"
PICTURE = "<picture>"  # where a picture stands in a passage; a line break follows it, as in the chat template
COMPARED = "<compared>"  # where EMIT's comparison will stand, at the end of a turn
DESCRIBE = "Describe the product in the query picture."
COLOURS = ("red", "blue", "green", "yellow", "orange", "black", "white", "grey", "brown", "beige", "pink", "purple")
MATERIALS = ("steel", "brass", "plastic", "rubber", "glass", "wood", "leather", "paper", "cotton", "copper", "ceramic")
PART_NAMES = sorted({part.name for product in PRODUCTS.values() for part in product.parts})
Rng = random.Random


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a passage; only what the model shall say itself is learned."""

    text: str
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What the model reads in one row."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: text, right option, wrong options."""

    text: str
    right: str
    wrong: list[str]


@dataclass
class Chat:
    """A chat in the words of the model's template, turn by turn."""

    parts: list[Part] = field(default_factory=list)

    @classmethod
    def opened(cls) -> Chat:
        return cls([Part(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n")])

    def add(self, text: str, reply: str) -> None:
        self.parts.append(Part(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"))
        self.parts += [Part(f"{reply}<|im_end|>", learned=True), Part("\n")]

    def passage(self) -> Passage:
        return Passage(tuple(self.parts))


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def turn(asked: Asked, rng: Rng, *, thinking: bool, reason: str = "") -> tuple[str, str]:
    """(what the user writes, what the assistant replies).

    Args:
        reason: what it thinks before the letter; by default the right option.
    """
    options = rng.sample(asked.wrong, min(3, len(asked.wrong)))
    place = rng.randrange(len(options) + 1)
    options.insert(place, asked.right)
    lines = [asked.text, *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))]
    letter = LETTERS[place]
    if thinking:
        return "\n".join([*lines, ANSWER_THINKING]), f"<think>{reason or asked.right}</think><answer>{letter}</answer>"
    return "\n".join([*lines, ANSWER_PLAINLY]), letter


def asked_of(meta: dict[str, Any], rng: Rng) -> list[Asked]:
    """All questions that can be asked about a normal picture with these facts; the first asks for the product."""
    product = PRODUCTS[meta["product"]]
    others = rng.sample([name for name in PRODUCTS if name != product.name], 3)
    what = Asked(TEXTS[Task.OBJECT_CLASSIFICATION], title(product.name), [title(name) for name in others])
    return [what] + [Asked(text, right, wrong) for text, right, wrong in facts_of(product, meta, rng)]


def description(meta: dict[str, Any], rng: Rng) -> str:
    """What a picture shows, in the words of a report."""
    product = PRODUCTS[meta["product"]]
    told = [f"The {name} is {colour}." for name, colour in meta["colours"].items()]
    told += [f"The {name} comes in the number {count}." for name, count in meta["counts"].items()]
    told += [f"The {name} is at the {rng.choice(WORDINGS[cell])}." for name, cell in meta["landmarks"].items()]
    rng.shuffle(told)
    return " ".join([f"A {product.words}.", *told[:3]])


def picture_lesson(meta: dict[str, Any], rng: Rng, *, turns: int, paired: bool = False) -> Passage:
    """Questions about one picture, shown alone or behind a reference (paired) as in a one-shot question; a description may come
    last, because it gives everything away."""
    known, *others = asked_of(meta, rng)
    # What a product is comes up in every lesson: it is what a general model is best at.
    facts = [known, *rng.sample(others, min(turns - 1, len(others)))]
    rng.shuffle(facts)
    turned = [turn(question, rng, thinking=rng.random() < 0.35) for question in facts]
    if rng.random() < 0.5:
        turned.append((DESCRIBE, description(meta, rng)))
    return chat_about(turned, paired=paired, compared=paired and rng.random() < 0.7)


def chat_about(turns: Sequence[tuple[str, str]], *, paired: bool, compared: bool = False) -> Passage:
    """(what the user writes, what the assistant replies) about a picture, shown with the first of them.

    Args:
        compared: the first turn ends with the place of a comparison, which the base learns to read past.
    """
    reference = f"Normal reference of the same product:{PICTURE}" if paired else ""
    chat = Chat.opened()
    for number, (text, reply) in enumerate(turns):
        opened = f"{reference}Query picture:{PICTURE}{text}{COMPARED * compared}"
        chat.add(opened if number == 0 else text, reply)
    return chat.passage()


@dataclass(frozen=True, slots=True)
class Fact:
    """What a text tells of a part, and the question for it."""

    told: str
    asked: Asked


def reading_facts(rng: Rng, *, count: int) -> list[Fact]:
    """Facts of parts, drawn at random (any part may lie anywhere), so that only reading answers them."""
    return [rng.choice(_FACTS)(part, rng) for part in rng.sample(PART_NAMES, count)]


def _from(told: str, question: str, values: tuple[str, ...]) -> Any:
    def draw(part: str, rng: Rng) -> Fact:
        right, *wrong = rng.sample(values, 4)
        asked = Asked(question.format(part=part), sentence(right), [sentence(text) for text in wrong])
        return Fact(f"The {part} {told} {right}.", asked)

    return draw


def _place(part: str, rng: Rng) -> Fact:
    right, *wrong = rng.sample(range(9), 4)
    # The question may word the place otherwise than the text does: wordings of a region are learned as one.
    asked = Asked(f"Where in the query picture is the {part}?", sentence(rng.choice(WORDINGS[right])),
                  [sentence(rng.choice(WORDINGS[cell])) for cell in wrong])  # fmt: skip
    return Fact(f"The {part} is at the {rng.choice(WORDINGS[right])}.", asked)


_FACTS = (
    _from("is", "What colour is the {part} of the product in the query picture?", COLOURS),
    _from("is made of", "What is the {part} of the product in the query picture made of?", MATERIALS),
    _from("comes in the number", "How many parts of the kind “{part}” does the product in the query picture show?",
          tuple(str(n) for n in range(1, 10))),
    _place, _place,
)  # fmt: skip
