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
        assert not view.marks or lesson.said["no"] > -0.5
    assert marked


def test_what_is_said_is_what_is_right(pool: Pool) -> None:
    defective = 0
    for seed in range(120):
        lesson = imagined_lesson(pool, random.Random(seed))
        loud = [name for name in DEFECTS if all(lesson.said.get(word, 0) >= 0.5 for word in name.split())]
        parts = lesson.passage.parts
        asked = [(a.text, b.text) for a, b in zip(parts, parts[1:], strict=False) if b.learned]
        assert (lesson.said["no"] < -0.5) == bool(loud)
        defective += bool(loud)
        for text, reply in asked:
            options = dict(re.findall(r"^([A-D])\. (.+?)$", text, re.M))
            right = options[re.search(r"([A-D])(?:</answer>)?<\|im_end\|>$", reply).group(1)]
            product = PRODUCTS[lesson.shown[-1].meta["product"]]
            if "Is there a defect" in text:
                assert right == ("Yes." if loud else "No.")
            elif "Of which type" in text:
                assert right in {title(name) for name in loud}
            elif "Where is it" in text:
                cell = next(i for i, wordings in enumerate(WORDINGS) if right.rstrip(".").lower() in wordings)
                assert all(lesson.said[word] >= 0.5 for word in REGIONS[cell].split())
            elif "describes how it looks" in text:
                assert right in {product.looks.get(name) for name in loud}
    assert abs(defective / 120 - DEFECTIVE) < 0.15


def test_words_are_put_into_the_query_alone() -> None:
    tokens = torch.zeros(3, 7, 16)
    words = {"scratch": torch.eye(16)[0], "no": torch.eye(16)[1]}
    made = imagine(tokens, [1], [{"scratch": 1.0, "no": -1.0}], words.__getitem__, torch.Generator().manual_seed(0))
    assert not made[0].any() and not made[2].any() and not tokens.any()
    assert 0.5 * LOUD < made[1, :, 0].mean() < 1.5 * LOUD and made[1, :, 1].mean() < -0.5 * LOUD
    assert made[1, :, 0].std() > 0 and not made[1, :, 2:].any()
