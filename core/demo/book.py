"""The book of defects: how each defect looks on each product and what it leads to, as text alone.

A model that has read the world knows what a scratch on a nut looks like and why it matters; this is where the tiny base reads
it. Choosing the right sentence for a named defect is learned only when the sentences are known for what they tell, so these are
levels of reading, one after the other.

    glossary   a sentence, and which defect it tells of
    named      four sentences as options, and the defect of each
    found      four sentences, a defect's name, and the letter of its sentence
    term       a text names the defect; its sentence is asked for with options, in the chat's form
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from core.demo.lessons import LETTERS, Asked, Chat, Part, Passage, turn
from core.mmad.vocabulary import Task
from core.synthesis.factory import PRODUCTS
from core.synthesis.factory.asking import QUESTIONS, alike
from core.synthesis.factory.catalogue import Product

Rng = random.Random
NAME_THEM = "Name the defect of each option."


def glossary(rng: Rng) -> Passage:
    parts = []
    for _ in range(6):
        texts = _page(rng)[2]
        defect = rng.choice(list(texts))
        parts += [Part(f"{texts[defect]} "), Part(f"{defect}.", learned=True), Part("\n")]
    return Passage(tuple(parts))


def named(rng: Rng) -> Passage:
    _, task, texts = _page(rng)
    defects = rng.sample(list(texts), min(4, len(texts)))
    chat = Chat()
    chat.add(f"{QUESTIONS[task]}\n{_listed(texts, defects)}{NAME_THEM}", " ".join(f"{defect}." for defect in defects))
    return chat.passage()


def found(rng: Rng) -> Passage:
    parts = []
    for _ in range(2):
        _, task, texts = _page(rng)
        first = rng.choice(list(texts))
        others = [defect for defect in texts if defect != first and not alike(defect, first)]
        defects = rng.sample([first, *rng.sample(others, min(3, len(others)))], min(4, 1 + len(others)))
        listed = f"<|im_start|>user\n{QUESTIONS[task]}\n{_listed(texts, defects)}<|im_end|>\n<|im_start|>assistant\n"
        parts.append(Part(listed))
        for place in rng.sample(range(len(defects)), min(2, len(defects))):
            parts += [Part(f"{defects[place]}. "), Part(LETTERS[place], learned=True), Part("\n")]
    return Passage(tuple(parts))


def term(rng: Rng) -> Passage:
    chat = Chat()
    for _ in range(3):
        product, task, texts = _page(rng)
        defect = rng.choice(list(texts))
        told = f"There is a {defect}."
        text, reply = turn(asked_of_texts(task, texts, defect, rng), rng, thinking=rng.random() < 0.4, reason=told)
        chat.add(f"Query product, in words: A {product.words}. {told}\n{text}", reply)
    return chat.passage()


def asked_of_texts(task: Task, texts: Mapping[str, str], defect: str, rng: Rng) -> Asked:
    """Which of a product's sentences tells of its defect."""
    wrong = [text for name, text in texts.items() if name != defect and not alike(name, defect)]
    return Asked(QUESTIONS[task], texts[defect], rng.sample(wrong, min(3, len(wrong))))


def _page(rng: Rng) -> tuple[Product, Task, Mapping[str, str]]:
    """(a product, a task, the product's sentence for each of its defects)."""
    product = PRODUCTS[rng.choice(list(PRODUCTS))]
    task, texts = rng.choice(((Task.DEFECT_DESCRIPTION, product.looks), (Task.DEFECT_ANALYSIS, product.effects)))
    return product, task, texts


def _listed(texts: Mapping[str, str], defects: list[str]) -> str:
    return "".join(f"{letter}. {texts[defect]}\n" for letter, defect in zip(LETTERS, defects, strict=False))
