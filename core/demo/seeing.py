"""Lessons about pictures: a chat about a product and about the neutral mark on it, shown alone or behind a reference."""

from __future__ import annotations

import random

from core.demo.lessons import Passage, picture_lesson
from core.demo.marks import asked_of_mark, told_of
from core.demo.pool import Pool
from core.demo.views import View

MARKED = 0.65  # share of chats about a picture with a mark
PAIRED = 0.5  # share of chats that show a reference, as one-shot questions do


def seeing_lesson(pool: Pool, rng: random.Random, *, turns: int) -> tuple[Passage, list[View]]:
    """(a chat, the views it shows, in the order of their places); pictures 2i and 2i + 1 of the pool are of one lot."""
    index = rng.randrange(len(pool))
    view = View.of(pool, index).marked(rng, 1 if rng.random() < MARKED else 0)
    mark = view.marks[0] if view.marks else None
    paired = rng.random() < PAIRED and index ^ 1 < len(pool)
    passage = picture_lesson(
        view.meta, rng, turns=turns, paired=paired, asked=asked_of_mark(mark, rng), told=told_of(mark, rng)
    )
    return passage, [View.of(pool, index ^ 1), view] if paired else [view]
