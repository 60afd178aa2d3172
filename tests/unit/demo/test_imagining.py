"""Imagined defects are words in the tokens of normal pictures: asked truly, said in the query alone, drawn nowhere."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from core.demo.imagining import DEFECTIVE, imagine, imagined_lesson
from core.demo.pool import Pool, load_pool
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.names import title
from core.synthesis.regions import REGIONS, WORDINGS
from core.training.grounding import LOUD

ASKED = ("Is there a defect", "Of which type", "Where is it", "describes how it looks")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(20, 48, Path(tmp_path_factory.mktemp("pool")), workers=1)


def test_no_defect_is_drawn_and_a_mark_is_none(pool: Pool) -> None:
    marked = 0
    for seed in range(60):
        lesson = imagined_lesson(pool, random.Random(seed))
        for view in lesson.shown:
            assert view.meta["defect"] is None
            marked += len(view.marks)
            assert view.marks or any(np.array_equal(view.image, image) for image in pool.images)
    assert marked


def test_what_is_said_is_what_is_right(pool: Pool) -> None:
    """Loudly or faintly: over many lessons the true words are louder than the others, and "no" is quieter."""
    true, other, places, nothing = [], [], [], {"Yes.": [], "No.": []}
    for seed in range(200):
        lesson = imagined_lesson(pool, random.Random(seed))
        product = PRODUCTS[lesson.shown[-1].meta["product"]]
        parts = lesson.passage.parts
        answers = {}
        for before, reply in zip(parts, parts[1:], strict=False):
            if reply.learned:
                options = dict(re.findall(r"^([A-D])\. (.+?)$", before.text, re.M))
                answers[before.text] = options[re.search(r"([A-D])(?:</answer>)?<\|im_end\|>$", reply.text).group(1)]
        of = {words: next((right for text, right in answers.items() if words in text), "") for words in ASKED}
        nothing[of["Is there a defect"]].append(lesson.said["no"])
        assert (of["Is there a defect"] == "Yes.") == bool(of["Of which type"])
        if not of["Of which type"]:
            continue
        defect = next(name for name in DEFECTS if title(name) == of["Of which type"])
        assert of["describes how it looks"] == product.looks[defect]
        true += [lesson.said[word] for word in defect.split()]
        other += [lesson.said.get(word, 0.0) for name in DEFECTS for word in name.split() if word not in defect.split()]
        cell = next(i for i, wordings in enumerate(WORDINGS) if of["Where is it"].rstrip(".").lower() in wordings)
        places += [lesson.said[word] for word in REGIONS[cell].split()]
    assert np.mean(true) > 0.3 + np.mean(other) and np.mean(places) > 0.3
    assert np.mean(nothing["Yes."]) < np.mean(nothing["No."]) - 0.4
    assert abs(len(nothing["Yes."]) / 200 - DEFECTIVE) < 0.12


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
