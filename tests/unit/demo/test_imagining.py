"""Imagined defects are words in the tokens of normal pictures: asked truly, said in the query alone, drawn nowhere."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from core.demo.imagining import PLACES, PRESENCE, Imagined, imagine
from core.demo.imagining import imagined_lesson as lesson_of
from core.demo.pool import Pool, load_pool
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.names import title
from core.synthesis.regions import REGIONS, WORDINGS
from core.training.grounding import LOUD

ASKED = ("Is there a defect", "Of which type", "Where is it", "describes how it looks")


def imagined_lesson(pool: Pool, seed: int) -> Imagined:
    return lesson_of(pool, random.Random(seed))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(20, 48, Path(tmp_path_factory.mktemp("pool")), workers=1)


def test_no_defect_is_drawn_and_a_mark_is_none(pool: Pool) -> None:
    marked = 0
    for seed in range(60):
        lesson = imagined_lesson(pool, seed)
        for view in lesson.shown:
            assert view.meta["defect"] is None
            marked += len(view.marks)
            assert view.marks or any(np.array_equal(view.image, image) for image in pool.images)
    assert marked


def test_what_is_said_is_what_is_right(pool: Pool) -> None:
    """Over many lessons the true words are louder than the others, often hardly so, and "no" is quieter."""
    true, other, places, nothing = [], [], [], {"Yes.": [], "No.": []}
    told = 0
    for seed in range(600):
        lesson = imagined_lesson(pool, seed)
        product = PRODUCTS[lesson.shown[-1].meta["product"]]
        question, right = _asked(lesson)
        if "Is there a defect" in question:
            nothing[right].append(lesson.said["no"])
            assert right == "Yes." or not lesson.passage.parts[2].text.startswith("<think>There is a")
        elif "Of which type" in question:
            defect = next(name for name in DEFECTS if title(name) == right)
            rivals = {word for name in DEFECTS for word in name.split()} - set(defect.split())
            true.append(np.mean([lesson.said[word] for word in defect.split()]))
            other.append(np.mean([lesson.said[word] for word in rivals]))
        elif "Where is it" in question:
            cell = next(i for i, wordings in enumerate(WORDINGS) if right.rstrip(".").lower() in wordings)
            places.append(np.mean([lesson.said[word] for word in REGIONS[cell].split()]))
        elif "describes how it looks" in question:
            named = re.search("There is a (.+?) at the", lesson.passage.parts[2].text)  # where it thinks aloud
            told += named is not None
            assert right in product.looks.values() and (not named or right == product.looks[named.group(1)])
    gaps = np.subtract(true, other)
    assert np.mean(gaps) > 0.25 and np.mean(gaps < 0.25) > 0.2 and np.mean(gaps > 0) > 0.9
    assert np.mean(places) > 0.3
    assert abs(len(places) - 600 * (1 - PRESENCE) * PLACES) < 40
    assert np.mean(nothing["Yes."]) < np.mean(nothing["No."]) - 0.3
    assert told
    assert abs(sum(map(len, nothing.values())) - 600 * PRESENCE) < 50


def test_the_defect_lies_anywhere_wherever_the_mark_lies(pool: Pool) -> None:
    """What the tower knows of a mark's place must not be taught as a defect's."""
    same = []
    for seed in range(900):
        lesson = imagined_lesson(pool, seed)
        question, right = _asked(lesson)
        marks = lesson.shown[-1].marks
        if marks and "Where is it" in question:
            cell = next(i for i, wordings in enumerate(WORDINGS) if right.rstrip(".").lower() in wordings)
            same.append(cell == marks[0].cell)
    assert len(same) > 100 and np.mean(same) < 0.2


def test_no_reply_gives_the_answer_away(pool: Pool) -> None:
    """A second question about the defect would be answered by the first reply, and the tokens be left unread."""
    for seed in range(60):
        parts = imagined_lesson(pool, seed).passage.parts
        later = [part.text for part in parts[3:] if not part.learned]
        assert not any(words in text for text in later for words in ASKED)


def _asked(lesson: Imagined) -> tuple[str, str]:
    """(the question about the defect with its options, the right option)."""
    question, reply = next(pair for pair in pairwise(lesson.passage.parts) if pair[1].learned)
    options = dict(re.findall(r"^([A-D])\. (.+?)$", question.text, re.M))
    letter = re.search(r"([A-D])(?:</answer>)?<\|im_end\|>$", reply.text)
    assert letter
    return question.text, options[letter.group(1)]


def test_words_are_put_into_the_query_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, words = torch.randn(3, 7, 16, generator=generator), torch.randn(2, 16, generator=generator)
    said = {"scratch": 1.0, "no": 0.0}
    made = imagine(tokens, [1], [said], {"scratch": words[0], "no": words[1]}.__getitem__, generator)
    assert torch.equal(made[0], tokens[0]) and torch.equal(made[2], tokens[2])
    amounts = made[1] @ words.T / words.square().sum(1) / LOUD
    assert 0.7 < amounts[:, 0].mean() < 1.3 and amounts[:, 0].std() > 0.05 and amounts[:, 1].abs().max() < 0.05
    aside = torch.randn(16, generator=generator)
    aside = aside - torch.linalg.lstsq(words.T, aside[:, None]).solution.T[0] @ words
    assert torch.allclose(made[1] @ aside, tokens[1] @ aside, atol=1e-3)
