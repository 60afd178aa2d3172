"""Imagined defects are words in the tokens of normal pictures: asked truly, said in the query alone, drawn nowhere."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from core.demo.imagining import PRESENCE, Imagined, imagine, speak_heat
from core.demo.imagining import imagined_lesson as lesson_of
from core.demo.pool import Pool, load_pool
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.names import title
from core.synthesis.regions import REGIONS, WORDINGS, cells_of
from core.training.grounding import LOUD

ASKED = ("Is there a defect", "Of which type", "Where is it", "describes how it looks")


SIDE = 7  # of a comparison's map, in tokens


def imagined_lesson(pool: Pool, seed: int) -> Imagined:
    return lesson_of(pool, random.Random(seed), side=SIDE)


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
    told = untold = 0
    for seed in range(600):
        lesson = imagined_lesson(pool, seed)
        product = PRODUCTS[lesson.shown[-1].meta["product"]]
        question, right = _asked(lesson)
        if "Is there a defect" in question:
            untold += "no" not in lesson.said
            if "no" in lesson.said:
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
    assert np.mean(gaps) > 0.3 and np.mean(gaps < 0.25) > 0.2 and np.mean(gaps > 0) > 0.9
    assert np.mean(places) > 0.3
    assert np.mean(nothing["Yes."]) < np.mean(nothing["No."]) - 0.3
    assert told
    assert untold, "a mark on a normal picture takes the 'no' away, and is no defect for that"
    assert abs(sum(map(len, nothing.values())) + untold - 600 * PRESENCE) < 50


def test_no_reply_gives_the_answer_away(pool: Pool) -> None:
    """A second question about the defect would be answered by the first reply, and the tokens be left unread."""
    for seed in range(60):
        parts = imagined_lesson(pool, seed).passage.parts
        later = [part.text for part in parts[3:] if not part.learned]
        assert not any(words in text for text in later for words in ASKED)


def test_a_comparison_is_hot_where_the_defect_lies(pool: Pool) -> None:
    """Mostly, and often it alone tells; an untrained one says nothing."""
    found, alone, silent = [], [], 0
    hottest, loudest = {"Yes.": [], "No.": []}, {"Yes.": [], "No.": []}
    for seed in range(900):
        lesson = imagined_lesson(pool, seed)
        assert lesson.compared or lesson.heat is None
        silent += lesson.compared and lesson.heat is None
        if lesson.heat is None:
            continue
        question, right = _asked(lesson)
        if "Where is it" in question:
            cell = next(i for i, wordings in enumerate(WORDINGS) if right.rstrip(".").lower() in wordings)
            found.append(cells_of(SIDE)[int(np.argmax(lesson.heat))] == cell)
            loud = {region: np.mean([lesson.said[word] for word in region.split()]) for region in REGIONS}
            alone.append(loud[REGIONS[cell]] - np.mean(list(loud.values())) < 0.1)
        elif "Is there a defect" in question:
            hottest[right].append(max(lesson.heat))
            loudest[right].append(max(lesson.said[name.split()[-1]] for name in DEFECTS))
    assert silent and 0.6 < np.mean(found) < 0.95 and 0.3 < np.mean(alone) < 0.9
    assert np.mean(hottest["Yes."]) > np.mean(hottest["No."]) + 0.2
    mute = np.mean(np.array(loudest["Yes."]) < np.quantile(loudest["No."], 0.75))
    assert 0.42 < mute < 0.9, "often the picture names no defect, and the map alone tells that there is one"


def test_a_hot_token_says_its_own_place() -> None:
    generator = torch.Generator().manual_seed(0)
    words = {word: torch.randn(16, generator=generator) for region in REGIONS for word in region.split()}
    tokens = torch.randn(2, 9 + SIDE**2, 16, generator=generator)
    heat = [0.0] * SIDE**2
    heat[-1] = 0.5
    made = speak_heat(tokens, [None, heat], words.__getitem__)
    assert torch.equal(made[0], tokens[0]) and torch.equal(made[1, :-1], tokens[1, :-1])
    assert torch.allclose(made[1, -1] - tokens[1, -1], 0.5 * LOUD * (words["bottom"] + words["right"]))


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
