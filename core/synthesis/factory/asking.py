"""Questions only a factory can ask, since it knows all about its pictures: defect description, defect analysis and object
analysis (parts, materials, colours, counts, places).

Detection, classification, localization and object classification come from `core.synthesis.build_questions`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.mmad import Question, Task
from core.synthesis.factory.catalogue import Product
from core.synthesis.factory.facts import facts
from core.synthesis.factory.holdouts import SEEN_PRODUCTS, trained_defects
from core.synthesis.factory.products import PRODUCTS

# Defects whose looks can be told apart only by a definition: never offered against each other as a wrong statement.
_ALIKE = (
    {"stain", "discolouration"}, {"missing part", "hole", "broken edge"}, {"scratch", "crack"},
    {"thread", "foreign object"}, {"misprint", "stain", "discolouration"}, {"misplaced part", "missing part"},
)  # fmt: skip

QUESTIONS = {
    Task.DEFECT_DESCRIPTION: "There is a defect in the query picture. Which statement describes how it looks?",
    Task.DEFECT_ANALYSIS: "There is a defect in the query picture. What does it mean for the product?",
}


def letters(rng: random.Random, count: int) -> Callable[[], int]:
    """Deals places 0..count-1 so that each comes up equally often."""
    hand: list[int] = []

    def deal() -> int:
        if not hand:
            hand.extend(rng.sample(range(count), count))
        return hand.pop()

    return deal


class Asker:
    """Writes the three kinds of questions; right letters are dealt evenly per kind over all it is asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._deal = {
            task: letters(random.Random(f"{seed}/{task}"), 4)
            for task in (Task.DEFECT_DESCRIPTION, Task.DEFECT_ANALYSIS, Task.OBJECT_ANALYSIS)
        }
        self._turn: dict[str, int] = {}

    def questions(self, image: str, meta: Mapping[str, Any], *, training: bool = False) -> tuple[Question, ...]:
        """The questions of one picture, from its `Picture.meta`.

        Args:
            training: wrong options are drawn from what training shows (see `core.synthesis.questions`).
        """
        rng = random.Random(f"{self.seed}/{image}")
        product = PRODUCTS[meta["product"]]
        made = []
        if meta["defect"]:
            kinds = trained_defects(product.name) if training else tuple(product.defects)
            looks, effects = ({kind: texts[kind] for kind in kinds} for texts in (product.looks, product.effects))
            made.append(self._of_texts(Task.DEFECT_DESCRIPTION, product, looks, meta["defect"], rng))
            made.append(self._of_texts(Task.DEFECT_ANALYSIS, product, effects, meta["defect"], rng))
        known = list(facts(product, meta, rng, SEEN_PRODUCTS if training else tuple(PRODUCTS)))
        # Take the kinds of fact in turn, so that a product is not asked about its material again and again.
        turn = self._turn[product.name] = self._turn.get(product.name, -1) + 1
        text, right, wrong = known[turn % len(known)]
        made.append(self._question(Task.OBJECT_ANALYSIS, text, right, wrong, rng))
        return tuple(made)

    def _of_texts(
        self, task: Task, product: Product, texts: Mapping[str, str], defect: str, rng: random.Random
    ) -> Question:
        near = [texts[kind] for kind in texts if kind != defect and not alike(kind, defect)]
        rng.shuffle(near)
        if len(near) < 3:
            others = [p for p in PRODUCTS.values() if p.name != product.name]
            field = "looks" if task is Task.DEFECT_DESCRIPTION else "effects"
            near += [getattr(p, field)[k] for p in others for k in p.defects if k != defect and not alike(k, defect)]
        return self._question(task, QUESTIONS[task], texts[defect], near[:3], rng)

    def _question(self, task: Task, text: str, right: str, wrong: Sequence[str], rng: random.Random) -> Question:
        options = list(wrong[:3])
        rng.shuffle(options)
        place = self._deal[task]()
        options.insert(place, right)
        return Question(text, dict(zip("ABCD", options, strict=True)), "ABCD"[place], task.value)


def alike(one: str, other: str) -> bool:
    """Two defects whose statements may be taken for each other's."""
    return any(one in group and other in group for group in _ALIKE)
