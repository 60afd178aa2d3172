"""Imagined defects: pictures of normal products whose tokens are given the words for a defect and its place.

The tiny base shall read what its picture tokens say about defects without ever having been shown one. The tokens of a picture
without marks say "no" (`wording`); here they are made to say the words of a defect instead: loudly, with now and
then a second, fainter defect, or as a tower speaks that is not sure. Questions of all tasks about defects follow. What the
base then lacks is what tuning has to teach: a tower that says such words when it sees a real defect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.demo.book import asked_of_texts
from core.demo.lessons import Asked, Passage, asked_of, chat_about, sentence, turn
from core.demo.pool import Pool
from core.demo.views import View
from core.mmad.vocabulary import Task
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.factory.catalogue import Product
from core.synthesis.names import title
from core.synthesis.questions import TEXTS
from core.synthesis.regions import REGIONS, WORDINGS
from core.training.grounding import LOUD
from core.training.grounding_targets import NOTHING

DEFECTIVE = 0.75  # share of pictures with an imagined defect
PAIRED = 0.6  # share that is shown behind a reference
COMPARED = 0.8  # of these, share with the tokens of a comparison to read past
FAINT = 0.7  # share of pictures whose tokens speak as faintly as those of a tower after minutes of grounding
MARKED = 0.6  # share with a neutral mark, defect or not: that something is there does not make it a defect


@dataclass(frozen=True)
class Imagined:
    """A chat about a picture, and what its tokens are made to say.

    Attributes:
        shown: the views, the query last.
        said: word -> how loudly, in `LOUD`, whatever the tokens said before.
    """

    passage: Passage
    shown: list[View]
    said: dict[str, float]


def imagined_lesson(pool: Pool, rng: random.Random) -> Imagined:
    index = rng.randrange(len(pool))
    view = View.of(pool, index)
    product = PRODUCTS[view.meta["product"]]
    defect = rng.choice(list(product.looks)) if rng.random() < DEFECTIVE else None
    cell = rng.randrange(9)
    if rng.random() < MARKED:
        view = view.marked(rng, 1)
        if view.marks and rng.random() < 0.8:  # what a tower without a word for it would call a mark
            cell = view.marks[0].cell
    told = f"There is a {defect} at the {rng.choice(WORDINGS[cell])}." if defect else "There is no defect."
    asked = asked_of_defect(product, defect, cell, rng)
    rng.shuffle(asked)
    turns = [turn(question, rng, thinking=rng.random() < 0.4, reason=told) for question in asked]
    if rng.random() < 0.5:
        turns.append(turn(asked_of(view.meta, rng)[0], rng, thinking=rng.random() < 0.3))
    paired = rng.random() < PAIRED and index ^ 1 < len(pool)
    shown = [View.of(pool, index ^ 1), view] if paired else [view]
    passage = chat_about(turns, paired=paired, compared=paired and rng.random() < COMPARED)
    return Imagined(passage, shown, _said(defect, cell, rng))


def asked_of_defect(product: Product, defect: str | None, cell: int, rng: random.Random) -> list[Asked]:
    """The benchmark's questions about a defect of a product, or about there being none."""
    yes, no = ("Yes.", "No.") if defect else ("No.", "Yes.")
    asked = [Asked(TEXTS[Task.DISCRIMINATION], yes, [no])]
    if defect is None:
        return asked
    far = rng.sample([c for c in range(9) if c != cell], 3)
    asked.append(Asked(TEXTS[Task.DEFECT_LOCALIZATION], sentence(rng.choice(WORDINGS[cell])),
                       [sentence(rng.choice(WORDINGS[c])) for c in far]))  # fmt: skip
    others = rng.sample([name for name in DEFECTS if name != defect], 3)
    asked.append(Asked(TEXTS[Task.DEFECT_CLASSIFICATION], title(defect), [title(name) for name in others]))
    asked += [
        asked_of_texts(task, texts, defect, rng)
        for task, texts in ((Task.DEFECT_DESCRIPTION, product.looks), (Task.DEFECT_ANALYSIS, product.effects))
    ]
    return asked


def _said(defect: str | None, cell: int, rng: random.Random) -> dict[str, float]:
    return (_faintly if rng.random() < FAINT else _loudly)(defect, cell, rng)


def _loudly(defect: str | None, cell: int, rng: random.Random) -> dict[str, float]:
    if defect is None:
        return {NOTHING: rng.uniform(0.6, 1.2)}
    loud = rng.uniform(0.5, 1.2)
    said = {NOTHING: rng.uniform(-0.3, 0.3), **dict.fromkeys(defect.split(), loud)}
    said |= {word: rng.uniform(0.5, 1.2) for word in REGIONS[cell].split()}
    if rng.random() < 0.5:
        other = rng.choice([name for name in DEFECTS if name != defect])
        said = {**dict.fromkeys(other.split(), loud * rng.uniform(0, 0.5)), **said}
    return said


def _faintly(defect: str | None, cell: int, rng: random.Random) -> dict[str, float]:
    """As a tower speaks that is not sure: all words a little, the true ones a little more, and sometimes not."""
    said: dict[str, float] = {}
    for name in DEFECTS:
        told = rng.gauss(-0.03, 0.2)
        said |= {word: told + rng.gauss(0, 0.05) for word in name.split()}
    said |= {word: rng.gauss(0.1, 0.22) for region in REGIONS for word in region.split()}
    if defect is None:
        return {**said, NOTHING: rng.gauss(0.6, 0.13)}
    sure = rng.random() ** 1.5
    told = 0.08 + 0.9 * sure + rng.gauss(0, 0.05)
    said |= {word: told + rng.gauss(0, 0.05) for word in defect.split()}
    said |= {word: 0.12 + 0.9 * rng.random() ** 1.3 for word in REGIONS[cell].split()}
    return {**said, NOTHING: rng.uniform(0.4, 0.65) if rng.random() < 0.4 * (1 - sure) else rng.uniform(-0.5, 0.5)}


def imagine(
    tokens: Tensor,
    last: Sequence[int],
    said: Sequence[Mapping[str, float]],
    embedding: Callable[[str], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Tokens [N, T, width] of pictures; those of the pictures `last` say the words as loudly as wanted, each token more or less.

    Args:
        embedding: of a word, [width].
    """
    added = torch.zeros_like(tokens)
    for row, words in zip(last, said, strict=True):
        vectors = torch.stack([embedding(word).detach() for word in words]).to(tokens)
        squares = vectors.square().sum(1)
        wanted = LOUD * torch.tensor(list(words.values())).to(tokens) * squares
        loudness = (1 + 0.25 * torch.randn(tokens.shape[1], 1, generator=generator)).clamp(0, 2).to(tokens)
        missing = wanted * loudness - tokens[row].detach() @ vectors.T
        # Words are not at right angles to each other: what one adds another has not to add.
        gram = vectors @ vectors.T + 1e-3 * squares.mean() * torch.eye(len(words)).to(tokens)
        added[row] = torch.linalg.solve(gram, missing.T).T @ vectors
    return tokens + added
