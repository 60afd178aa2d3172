"""Imagined defects: pictures of normal products whose tokens are given the words for a defect and its place.

The tiny base shall read what its picture tokens say about defects without ever having been shown one. Of themselves these tokens
say nothing of defects (`wording`); here they are made to say the words of one, or "no", as a tower speaks after minutes of
grounding: all words a little, the true ones somewhat more, often hardly so. One question about the defect follows. What the
base then lacks is what tuning has to teach: a tower that says such words when it sees a real defect.

One question a chat, since the first reply gives the others away: of five in a row only one taught to read the tokens, and the
base read nothing but what was said aloud.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
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

PRESENCE = 0.25  # share of questions that ask whether there is a defect; half of them about pictures without one
PLACES = 0.4  # of the others, share that ask for the place: what tokens say of it is hardest to read
PAIRED = 0.6  # share that is shown behind a reference
COMPARED = 0.8  # of these, share with the tokens of a comparison, which say nothing before EMIT trains them
MARKED = 0.6  # share with a neutral mark, defect or not: that something is there does not make it a defect
EVEN = 0.5  # how loudly a word is said that may be true or not
STRENGTH = (0.8, 2.0)  # of a tower's speech
FURTHER = 0.3  # share that goes on with a question about the product, which is the same beneath all words


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
    """One question about an imagined defect, or about there being none, at times one about the product behind it.

    The defect lies anywhere, wherever a mark lies: a base that learned to look for the mark would know where defects are.
    """
    index = rng.randrange(len(pool))
    view = View.of(pool, index)
    product = PRODUCTS[view.meta["product"]]
    presence = rng.random() < PRESENCE
    defect = None if presence and rng.random() < 0.5 else rng.choice(list(product.looks))
    cell = rng.randrange(9)
    if rng.random() < MARKED:
        view = view.marked(rng, 1)
    told = f"There is a {defect} at the {rng.choice(WORDINGS[cell])}." if defect else "There is no defect."
    first, *others = asked_of_defect(product, defect, cell, rng)
    asked = first if presence else others[0] if rng.random() < PLACES else rng.choice(others[1:])
    turns = [turn(asked, rng, thinking=rng.random() < 0.4, reason=told)]
    if rng.random() < FURTHER:
        turns.append(turn(asked_of(view.meta, rng)[0], rng, thinking=rng.random() < 0.3))
    paired = rng.random() < PAIRED
    shown = [View.of(pool, pool.fellow(index)), view] if paired else [view]
    compared = paired and rng.random() < COMPARED
    return Imagined(chat_about(turns, paired=paired, compared=compared), shown, said_of(defect, cell, rng))


def asked_of_defect(product: Product, defect: str | None, cell: int, rng: random.Random) -> list[Asked]:
    """The benchmark's questions about a defect of a product, or about there being none."""
    yes, no = ("Yes.", "No.") if defect else ("No.", "Yes.")
    asked = [Asked(TEXTS[Task.DISCRIMINATION], yes, [no])]
    if defect is None:
        return asked
    asked.append(asked_of_place(cell, rng))
    others = rng.sample([name for name in DEFECTS if name != defect], 3)
    asked.append(Asked(TEXTS[Task.DEFECT_CLASSIFICATION], title(defect), [title(name) for name in others]))
    asked += [
        asked_of_texts(task, texts, defect, rng)
        for task, texts in ((Task.DEFECT_DESCRIPTION, product.looks), (Task.DEFECT_ANALYSIS, product.effects))
    ]
    return asked


def asked_of_place(cell: int, rng: random.Random) -> Asked:
    """Where the defect is, with three other cells as wrong options."""
    right, *wrong = (
        sentence(rng.choice(WORDINGS[c])) for c in (cell, *rng.sample([c for c in range(9) if c != cell], 3))
    )
    return Asked(TEXTS[Task.DEFECT_LOCALIZATION], right, wrong)


def said_of(
    defect: str | None, cell: int, rng: random.Random, names: Collection[str] = tuple(DEFECTS)
) -> dict[str, float]:
    """As a tower speaks: all names and places at some level, the true ones above it, another one now and then as well.

    The amounts begin as softly as grounded towers were measured to speak, and go up to about twice that (docs/experiments.md,
    entry 87): the true name a little above the others for many defects, far above them for some; "no" where there is none, and
    less of it where there is one. Some towers speak more strongly: all that differs from an even chance is then so many times as
    far from it.
    """
    level, spread = rng.gauss(0.1, 0.1), rng.uniform(0.02, 0.12)
    place = rng.gauss(0.2, 0.12)
    said: dict[str, float] = {}
    for name in names:
        told = level + rng.gauss(0, spread)
        said |= {word: told + rng.gauss(0, 0.02) for word in name.split()}
    if rng.random() < 0.5:
        other = level + 0.6 * rng.random() ** 3
        said |= dict.fromkeys(rng.choice([name for name in names if name != defect]).split(), other)
    said |= {word: place + rng.gauss(0, 0.06) for region in REGIONS for word in region.split()}
    if defect is None:
        said[NOTHING] = rng.gauss(0.68, 0.1)
    else:
        told = level + 0.04 + 1.1 * rng.random() ** 2.5
        said |= {word: told + rng.gauss(0, 0.02) for word in defect.split()}
        there = place + 0.05 + rng.random() ** 2
        said |= {word: there + rng.gauss(0, 0.05) for word in REGIONS[cell].split()}
        said[NOTHING] = rng.uniform(0.4, 0.6) if rng.random() < 0.4 else rng.uniform(-0.8, 0.5)
    strength = rng.uniform(*STRENGTH)
    return {word: EVEN + strength * (amount - EVEN) for word, amount in said.items()}


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
    with torch.autocast(tokens.device.type, enabled=False):  # no device solves in 16 bits
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
