"""Invented names are all different, and the answer is in the tokens alone."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from core.demo.naming import NAMES, invented, strange_lesson
from core.demo.pool import Pool, load_pool
from core.synthesis.regions import REGIONS, WORDINGS

SPARE = ["pinhole", "pin-hole", "mousebite", "track", "pcb", "top-left", "fold"]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(20, 48, tmp_path_factory.mktemp("pool"), workers=1)


@pytest.mark.parametrize("spare", [SPARE, []])
def test_names_are_different(spare: list[str]) -> None:
    for seed in range(30):
        names = invented(random.Random(seed), spare)
        assert len(set(names)) == len(names) == NAMES
        assert all(1 <= len(name.split()) <= 2 for name in names)


def test_what_is_right_is_what_the_tokens_say(pool: Pool) -> None:
    louder: dict[str, list[float]] = {"Of which type": [], "Where is it": []}
    for seed in range(120):
        lesson = strange_lesson(pool, random.Random(seed), SPARE)
        text = "".join(part.text for part in lesson.passage.parts)
        letter = next(part.text for part in reversed(lesson.passage.parts) if part.learned)
        letter = letter.removesuffix("<|im_end|>").removesuffix("</answer>")[-1]
        options = dict(re.findall(r"^([A-D])\. (.+?)\.?$", text, re.M))
        about = next(words for words in louder if words in text)
        said = {key: np.mean([lesson.said[word] for word in _words(option.lower())]) for key, option in options.items()}
        louder[about].append(said.pop(letter) - np.mean(list(said.values())))
    for about, gaps in louder.items():
        assert len(gaps) > 15 and np.mean(gaps) > 0.2 and np.mean(np.array(gaps) > 0) > 0.85, about


def _words(option: str) -> list[str]:
    """Words that tokens say of an option: a place's are those of its cell."""
    return next((REGIONS[cell] for cell, wordings in enumerate(WORDINGS) if option in wordings), option).split()
