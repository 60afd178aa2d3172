"""Lessons about pictures: what a product is and what it is made of, told in plain words or asked with options.

Most of the pictures bear a neutral mark, of which nobody speaks: products are to be known with something on them, too.

To say what is seen comes before choosing: asked with options from the start, a language model of this size learns neither,
because a letter is right only when it is read *and* chosen rightly.
"""

from __future__ import annotations

import random
from typing import Any

from core.demo.changes import CHANGES
from core.demo.lessons import DESCRIBE, Passage, asked_of, chat_about, description, picture_lesson
from core.demo.pool import Pool
from core.demo.views import View
from core.synthesis.factory import PRODUCTS
from core.synthesis.factory.rendering import visible_parts

MARKED = 0.75  # share of chats about a picture with a mark
PAIRED = 0.3  # share of chats that show a reference, as one-shot questions do


def telling_lesson(pool: Pool, rng: random.Random) -> tuple[Passage, list[View]]:
    """(a chat whose replies are plain words, the views it shows): like `seeing_lesson`."""
    shown = _shown(pool, rng)
    meta = _facts(shown[-1])
    known, *others = (asked for asked in asked_of(meta, rng) if " of these " not in asked.text)
    turns = [(asked.text, asked.right) for asked in (known, *rng.sample(others, min(2, len(others))))]
    rng.shuffle(turns)
    return chat_about([*turns, (DESCRIBE, description(meta, rng))], paired=len(shown) == 2), shown


def seeing_lesson(pool: Pool, rng: random.Random, *, turns: int) -> tuple[Passage, list[View]]:
    """(a chat, the views it shows, in the order of their places); pictures 2i and 2i + 1 of the pool are of one lot."""
    shown = _shown(pool, rng)
    return picture_lesson(_facts(shown[-1]), rng, turns=turns, paired=len(shown) == 2), shown


def _facts(view: View) -> dict[str, Any]:
    """What is known of a picture, less what a change of its parts may have made wrong: they may be fewer now, and elsewhere."""
    if not any(mark.shape in CHANGES for mark in view.marks):
        return view.meta
    visible = visible_parts(PRODUCTS[view.meta["product"]], view.parts)
    colours = {name: colour for name, colour in view.meta["colours"].items() if name in visible}
    return {**view.meta, "counts": {}, "landmarks": {}, "visible": visible, "colours": colours}


def _shown(pool: Pool, rng: random.Random) -> list[View]:
    index = rng.randrange(len(pool))
    view = View.of(pool, index).marked(rng, 1 if rng.random() < MARKED else 0)
    return [View.of(pool, pool.fellow(index)), view] if rng.random() < PAIRED else [view]
