"""Imagined defects: pictures of normal products whose tokens are given the words for a defect and its place.

The tiny base shall read what its picture tokens say about defects without ever having been shown one. The tokens of a picture
without marks say "no" (`wording`); here they are made to say the words of a defect instead, as a tower speaks after minutes of
grounding: all words a little, the true ones somewhat more, often hardly so. One question about the defect follows. What the
base then lacks is what tuning has to teach: a tower that says such words when it sees a real defect.

One question a chat, since the first reply gives the others away: of five in a row only one taught to read the tokens, and the
base read nothing but what was said aloud.
"""

from __future__ import annotations

import math
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
from core.synthesis.regions import REGIONS, WORDINGS, cells_of
from core.training.grounding import LOUD
from core.training.grounding_targets import NOTHING

PRESENCE = 0.25  # share of questions that ask whether there is a defect; half of them about pictures without one
PAIRED = 0.6  # share that is shown behind a reference
COMPARED = 0.8  # of these, share with the tokens of a comparison
SILENT = 0.3  # of these, share whose comparison says nothing, as before it is trained: it is to be read past
VAGUE = 0.5  # of the others, share whose picture does not tell whether and where: the comparison alone does
MARKED = 0.6  # share with a neutral mark, defect or not: that something is there does not make it a defect
EVEN = 0.5  # how loudly a word is said that may be true or not
HEARD = 0.25  # how loudly, in LOUD, a place of the map says its words whose heat is one standard deviation above normal
STRENGTH = (0.8, 2.0)  # of a tower's speech
FURTHER = 0.3  # share that goes on with a question about the product, which is the same beneath all words


@dataclass(frozen=True)
class Imagined:
    """A chat about a picture, and what its tokens are made to say.

    Attributes:
        shown: the views, the query last.
        said: word -> how loudly, in `LOUD`, whatever the tokens said before.
        compared: its first turn ends with a comparison.
        heat: how loudly each token of the comparison's map says its own place, in `LOUD`, row by row; None for not at all.
    """

    passage: Passage
    shown: list[View]
    said: dict[str, float]
    compared: bool = False
    heat: list[float] | None = None


def imagined_lesson(pool: Pool, rng: random.Random, *, side: int) -> Imagined:
    """One lesson; `side` is that of a comparison's map, in tokens."""
    index = rng.randrange(len(pool))
    view = View.of(pool, index)
    product = PRODUCTS[view.meta["product"]]
    presence = rng.random() < PRESENCE
    defect = None if presence and rng.random() < 0.5 else rng.choice(list(product.looks))
    cell = rng.randrange(9)
    if rng.random() < MARKED:
        view = view.marked(rng, 1)
        if view.marks and rng.random() < 0.8:  # what a tower without a word for it would call a mark
            cell = view.marks[0].cell
    told = f"There is a {defect} at the {rng.choice(WORDINGS[cell])}." if defect else "There is no defect."
    first, *others = asked_of_defect(product, defect, cell, rng)
    turns = [turn(first if presence else rng.choice(others), rng, thinking=rng.random() < 0.4, reason=told)]
    if rng.random() < FURTHER:
        turns.append(turn(asked_of(view.meta, rng)[0], rng, thinking=rng.random() < 0.3))
    paired = rng.random() < PAIRED and index ^ 1 < len(pool)
    shown = [View.of(pool, index ^ 1), view] if paired else [view]
    compared = paired and rng.random() < COMPARED
    heat = _heat(cell if defect else None, side, rng) if compared and rng.random() >= SILENT else None
    if heat and rng.random() < VAGUE:
        # Asked whether, not even the defect's name tells; asked about it, that has to be there.
        said = _said(None if presence else defect, None, rng) | {NOTHING: rng.gauss(0.6, 0.1)}
    else:
        said = _said(defect, cell, rng)
        if defect is None and view.marks and rng.random() < 0.5:
            del said[NOTHING]  # the tower says a mark then, and not that there is nothing
    return Imagined(chat_about(turns, paired=paired, compared=compared), shown, said, compared, heat)


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


def _said(defect: str | None, cell: int | None, rng: random.Random) -> dict[str, float]:
    """As a tower speaks: all names and places at some level, the true ones above it, another one now and then as well; with
    no `cell`, no place more than others.

    The amounts are those that a grounded tower was measured to say: of a defect it is sure of 1, of most of them 0.1 above the
    other names, which lie within 0.1 of each other; "no" at 0.65 where there is none, and at anything up to that where there is
    one. Some towers speak more strongly: all that differs from an even chance is then so many times as far from it.
    """
    level, spread = rng.gauss(0.1, 0.1), rng.uniform(0.02, 0.12)
    place = rng.gauss(0.2, 0.12)
    said: dict[str, float] = {}
    for name in DEFECTS:
        told = level + rng.gauss(0, spread)
        said |= {word: told + rng.gauss(0, 0.02) for word in name.split()}
    if rng.random() < 0.5:
        other = level + 0.6 * rng.random() ** 3
        said |= dict.fromkeys(rng.choice([name for name in DEFECTS if name != defect]).split(), other)
    said |= {word: place + rng.gauss(0, 0.06) for region in REGIONS for word in region.split()}
    if defect is None:
        said[NOTHING] = rng.gauss(0.68, 0.1)
    else:
        told = level + 0.04 + 1.1 * rng.random() ** 2
        said |= {word: told + rng.gauss(0, 0.02) for word in defect.split()}
        if cell is not None:
            there = place + 0.05 + 0.9 * rng.random() ** 1.5
            said |= {word: there + rng.gauss(0, 0.05) for word in REGIONS[cell].split()}
        said[NOTHING] = rng.uniform(0.4, 0.6) if rng.random() < 0.4 else rng.uniform(-0.8, 0.5)
    strength = rng.uniform(*STRENGTH)
    return {word: EVEN + strength * (amount - EVEN) for word, amount in said.items()}


def _heat(cell: int | None, side: int, rng: random.Random) -> list[float]:
    """An anomaly map as EMIT's projector will say it once it is trained: a little everywhere, more on the defect in `cell`,
    often somewhere else, too; in standard deviations of normal places times how loudly one of them is said."""
    heat = [rng.gauss(0, 1) for _ in range(side**2)]
    spots = [(rng.randrange(9), 4 * rng.random() ** 2)] if rng.random() < 0.5 else []
    if cell is not None:
        spots.append((cell, 1 + 6 * rng.random()))
    for place, height in spots:
        middle = rng.choice([token for token, its in enumerate(cells_of(side)) if its == place])
        heat[middle] += height
        row, column = divmod(middle, side)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < side and 0 <= c < side and rng.random() < 0.5:
                heat[r * side + c] += height * rng.random()
    loudness = HEARD * rng.uniform(0.5, 2)
    return [loudness * amount for amount in heat]


def speak_heat(tokens: Tensor, heat: Sequence[Sequence[float] | None], embedding: Callable[[str], Tensor]) -> Tensor:
    """Tokens [N, T, width] of comparisons, the last of them the map's; these say the words of their own places as loudly as
    `heat` [N] wants."""
    regions = [torch.stack([embedding(word).detach() for word in region.split()]).sum(0) for region in REGIONS]
    length = next((len(amounts) for amounts in heat if amounts is not None), 0)
    if not length:
        return tokens
    places = torch.stack([regions[cell] for cell in cells_of(math.isqrt(length))]).to(tokens)
    loudness = LOUD * torch.tensor([list(amounts or [0.0] * length) for amounts in heat]).to(tokens)
    own, map_tokens = tokens.split([tokens.shape[1] - length, length], dim=1)
    return torch.cat([own, map_tokens + loudness.unsqueeze(-1) * places], dim=1)


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
