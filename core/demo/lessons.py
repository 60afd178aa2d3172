"""What the tiny base is taught in words: lessons about normal products, in the prompts the benchmarks use.

A lesson is one chat of several turns about one picture, or about a text in a picture's place: each right answer is a
learning signal, so packing turns teaches the choice among lettered options many times faster than one question a chat.
Half of the turns think aloud first (they state the fact, then the letter), half answer with the bare letter.

Left out on purpose: defects. The base knows products, parts, materials, colours, counts and places, and no defect.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.mmad.prompts import ANSWER_PLAINLY, ANSWER_THINKING, SYSTEM
from core.mmad.vocabulary import Task
from core.synthesis.factory import PRODUCTS
from core.synthesis.factory.facts import facts as facts_of
from core.synthesis.names import title
from core.synthesis.questions import TEXTS
from core.synthesis.regions import WORDINGS

LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A chat: content parts of each user turn, and the assistant's replies.

    Attributes:
        pictures: indices into the pool, in the order of the image parts.
        asked: content parts of each user turn.
        replies: what the assistant says, turn by turn; only this is learned.
    """

    pictures: tuple[int, ...]
    asked: tuple[list[dict[str, Any]], ...]
    replies: tuple[str, ...]

    def messages(self) -> list[dict[str, Any]]:
        chat: list[dict[str, Any]] = [{"role": "system", "content": [_text(SYSTEM)]}]
        for parts, reply in zip(self.asked, self.replies, strict=True):
            chat += [{"role": "user", "content": parts}, {"role": "assistant", "content": [_text(reply)]}]
        return chat


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact as a question: text, right option, wrong options, and the sentence that states the fact."""

    text: str
    right: str
    wrong: list[str]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def asked_of(meta: dict[str, Any], rng: random.Random) -> list[Asked]:
    """All questions that can be asked about a normal picture with these facts."""
    product = PRODUCTS[meta["product"]]
    others = rng.sample([name for name in PRODUCTS if name != product.name], 3)
    what = Asked(TEXTS[Task.OBJECT_CLASSIFICATION], title(product.name), [title(name) for name in others])
    return [what] + [Asked(text, right, wrong) for text, right, wrong in facts_of(product, meta, rng)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def turn(asked: Asked, rng: random.Random, *, thinking: bool) -> tuple[str, str]:
    """(what the user writes, what the assistant replies)."""
    options = rng.sample(asked.wrong, min(3, len(asked.wrong)))
    place = rng.randrange(len(options) + 1)
    options.insert(place, asked.right)
    lines = [asked.text, *(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))]
    letter = LETTERS[place]
    if thinking:
        return "\n".join([*lines, ANSWER_THINKING]), f"<think>{asked.right}</think><answer>{letter}</answer>"
    return "\n".join([*lines, ANSWER_PLAINLY]), letter


def picture_lesson(index: int, meta: dict[str, Any], rng: random.Random, *, turns: int) -> Lesson:
    """Questions about one picture."""
    questions = asked_of(meta, rng)
    # What a product is comes up in every lesson: it is what a general model is best at.
    chosen = [questions[0], *rng.sample(questions[1:], min(turns - 1, len(questions) - 1))]
    rng.shuffle(chosen)
    texts, replies = zip(*(turn(asked, rng, thinking=rng.random() < 0.5) for asked in chosen), strict=True)
    first = [_text("Query picture:"), {"type": "image"}, _text(texts[0])]
    return Lesson((index,), (first, *([_text(text)] for text in texts[1:])), replies)


def pair_lesson(reference: int, query: int, meta: dict[str, Any], rng: random.Random, *, turns: int) -> Lesson:
    """Questions about the second of two pictures, laid out as a one-shot question with what is known of the product."""
    lesson = picture_lesson(query, meta, rng, turns=turns)
    parts = [_text("Normal reference of the same product:"), {"type": "image"}, *lesson.asked[0]]
    if rng.random() < 0.5:
        known = f"What is known about this product:\ngood: {PRODUCTS[meta['product']].good}\n"
        parts[-1] = _text(known + parts[-1]["text"])
    return Lesson((reference, query), (parts, *lesson.asked[1:]), lesson.replies)


def reading_lesson(rng: random.Random, *, turns: int) -> Lesson:
    """Questions about a text in a picture's place: short, so that choosing among options is learned first here.

    The facts are drawn at random (any part may lie anywhere), so only reading answers them.
    """
    parts = rng.sample(_PART_NAMES, turns)
    facts = {part: rng.choice(_PROPERTIES)(rng) for part in parts}
    told = list(facts.items())
    rng.shuffle(told)
    text = " ".join(f"The {part} {_VERBS[kind]} {right}." for part, (kind, right, _) in told)
    turns_ = [
        turn(Asked(_QUESTIONS[kind].format(part=part), _sentence(right), [_sentence(w) for w in wrong]), rng,
             thinking=rng.random() < 0.5)
        for part, (kind, right, wrong) in facts.items()
    ]  # fmt: skip
    texts, replies = zip(*turns_, strict=True)
    first = [_text(f"Query product, in words: {text}\n"), _text(texts[0])]
    return Lesson((), (first, *([_text(text)] for text in texts[1:])), replies)


_PART_NAMES = sorted({part.name for product in PRODUCTS.values() for part in product.parts})
_COLOURS = ("red", "blue", "green", "yellow", "orange", "black", "white", "grey", "brown", "beige", "pink", "purple")
_MATERIALS = ("steel", "brass", "plastic", "rubber", "glass", "wood", "leather", "paper", "cotton", "copper", "ceramic")
_VERBS = {
    "colour": "is",
    "material": "is made of",
    "place": "is at the",
    "shape": "looks",
    "count": "comes in the number",
}
_QUESTIONS = {
    "colour": "What colour is the {part} of the product in the query picture?",
    "material": "What is the {part} of the product in the query picture made of?",
    "place": "Where in the query picture is the {part}?",
    "shape": "How does the {part} of the product in the query picture look?",
    "count": "How many parts of the kind “{part}” does the product in the query picture show?",
}
_SHAPES = ("round and smooth", "long and thin", "flat and wide", "dark and rough", "bright and shiny", "small and square",
           "thin and curved", "broad and uneven")  # fmt: skip


def _from(kind: str, values: tuple[str, ...]) -> Any:
    def draw(rng: random.Random) -> tuple[str, str, list[str]]:
        right, *wrong = rng.sample(values, 4)
        return kind, right, wrong

    return draw


def _place(rng: random.Random) -> tuple[str, str, list[str]]:
    right, *wrong = rng.sample(range(9), 4)
    # The question may word the place otherwise than the text does: wordings of a region are learned as one.
    return "place", rng.choice(WORDINGS[right]), [rng.choice(WORDINGS[cell]) for cell in wrong]


_PROPERTIES = (
    _from("colour", _COLOURS), _from("material", _MATERIALS), _from("shape", _SHAPES), _place,
    _from("count", tuple(str(n) for n in range(1, 10))),
)  # fmt: skip


def lessons(metas: list[dict[str, Any]], seed: int, *, reading: float, turns: int) -> Iterator[Lesson]:
    """An endless stream of lessons; `reading` is the share that is text alone. Pictures 2i and 2i + 1 are of one lot."""
    rng = random.Random(seed)
    while True:
        if rng.random() < reading:
            yield reading_lesson(rng, turns=turns)
            continue
        index = rng.randrange(len(metas))
        if rng.random() < 0.3 and index ^ 1 < len(metas):
            yield pair_lesson(index ^ 1, index, metas[index], rng, turns=turns)
        else:
            yield picture_lesson(index, metas[index], rng, turns=turns)
