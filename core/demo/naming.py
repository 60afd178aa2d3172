"""Names it never met: imagined defects whose names were invented a moment ago.

People's own products have defects that no lesson names. A base that only ever reads the factory's names learns them by heart, and
is deaf to others even when its tokens say them loudly (docs/experiments.md, entry 78). So in every few steps the defects bear
names out of words that no lesson holds, or of letters in a row, and the vectors of all tokens that no lesson holds are drawn anew
(`core.demo.pupil`): what can be learned is, above all, to find among the options what the tokens say.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from string import ascii_lowercase

from core.demo.imagining import Imagined, asked_of_place, said_of
from core.demo.lessons import Asked, chat_about, sentence, turn
from core.demo.pool import Pool
from core.demo.views import View
from core.mmad.vocabulary import Task
from core.synthesis.questions import TEXTS
from core.synthesis.regions import WORDINGS

NAMES = 8  # of a product's defects
LETTERED = 0.3  # share of words that are letters in a row
DOUBLE = 0.4  # share of names of two words, half of which share one with another name
NAMED = 0.75  # share of questions that ask for the name; the others ask for the place
PAIRED = 0.5  # share that is shown behind a reference


def invented(rng: random.Random, spare: Sequence[str]) -> list[str]:
    """NAMES different ones; `spare` are words that no lesson holds."""

    def word() -> str:
        if not spare or rng.random() < LETTERED:
            return "".join(rng.choice(ascii_lowercase) for _ in range(rng.randint(3, 8)))
        return rng.choice(spare)

    names: dict[str, None] = {}
    while len(names) < NAMES:
        second = rng.choice([name.split()[-1] for name in names]) if names and rng.random() < 0.5 else word()
        first = word()
        names[f"{first} {second}" if rng.random() < DOUBLE and first != second else first] = None
    return list(names)


def strange_lesson(pool: Pool, rng: random.Random, spare: Sequence[str]) -> Imagined:
    """One lesson: like `imagining.imagined_lesson`, with names of its own."""
    index, cell = rng.randrange(len(pool)), rng.randrange(9)
    view = View.of(pool, index)
    names = invented(rng, spare)
    name, *others = names
    if rng.random() < NAMED:
        asked = Asked(
            TEXTS[Task.DEFECT_CLASSIFICATION], sentence(name), [sentence(other) for other in rng.sample(others, 3)]
        )
    else:
        asked = asked_of_place(cell, rng)
    told = f"There is a {name} at the {rng.choice(WORDINGS[cell])}."
    paired = rng.random() < PAIRED
    shown = [View.of(pool, pool.fellow(index)), view] if paired else [view]
    turns = [turn(asked, rng, thinking=rng.random() < 0.4, reason=told)]
    return Imagined(chat_about(turns, paired=paired), shown, said_of(name, cell, rng, names))
