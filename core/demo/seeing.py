"""Lessons about pictures: what a product is and which neutral mark is on it, told in plain words or asked with options.

To say what is seen comes before choosing: asked with options from the start, a language model of this size learns neither,
because a letter is right only when it is read *and* chosen rightly.
"""

from __future__ import annotations

import random

from core.demo.lessons import Passage, chat_about, picture_lesson, sentence
from core.demo.marks import SHAPES, Mark, asked_of_mark, told_of
from core.demo.pool import Pool
from core.demo.views import View
from core.synthesis.regions import REGIONS

MARKED = 0.75  # share of chats about a picture with a mark
PAIRED = 0.3  # share of chats that show a reference, as one-shot questions do


def telling_lesson(pool: Pool, rng: random.Random) -> tuple[Passage, list[View]]:
    """(a chat about the mark, whose replies are plain words, the views it shows): like `seeing_lesson`."""
    shown, mark = _shown(pool, rng)
    first, *others = _told_of_mark(mark)  # the first comes first: the others give it away
    turns = [first, *rng.sample(others, len(others)), ("Describe the mark.", told_of(mark, rng))]
    return chat_about(turns, paired=len(shown) == 2), shown


def seeing_lesson(pool: Pool, rng: random.Random, *, turns: int) -> tuple[Passage, list[View]]:
    """(a chat, the views it shows, in the order of their places); pictures 2i and 2i + 1 of the pool are of one lot."""
    shown, mark = _shown(pool, rng)
    asked, told = asked_of_mark(mark, rng), told_of(mark, rng)
    meta, paired = shown[-1].meta, len(shown) == 2
    return picture_lesson(meta, rng, turns=turns, paired=paired, asked=asked, told=told), shown


def _shown(pool: Pool, rng: random.Random) -> tuple[list[View], Mark | None]:
    index = rng.randrange(len(pool))
    view = View.of(pool, index).marked(rng, 1 if rng.random() < MARKED else 0)
    paired = rng.random() < PAIRED and index ^ 1 < len(pool)
    return [View.of(pool, index ^ 1), view] if paired else [view], view.marks[0] if view.marks else None


def _told_of_mark(mark: Mark | None) -> list[tuple[str, str]]:
    if mark is None:
        return [("Is there a mark?", "No.")]
    where = ("Where is the mark?", f"{sentence(REGIONS[mark.cell])}.")
    return [("Is there a mark?", "Yes."), where, ("How does the mark look?", SHAPES[mark.shape])]
