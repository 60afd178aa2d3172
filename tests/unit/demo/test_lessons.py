"""The base is shown products, never defects, and a lesson's right letter always names the right option."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from core.demo.imagining import imagined_lesson
from core.demo.lessons import DESCRIBE, PICTURE, Asked, Passage, turn
from core.demo.naming import strange_lesson
from core.demo.pool import Pool
from core.demo.seeing import seeing_lesson, telling_lesson
from core.demo.views import View
from core.synthesis.factory import DEFECTS, PRODUCTS, render
from core.synthesis.factory.rendering import visible_parts


@pytest.fixture(scope="module")
def pool() -> Pool:
    pictures = [render(name, None, seed, size=64) for seed, name in enumerate(PRODUCTS) for _ in range(2)]
    return Pool(
        np.stack([p.image for p in pictures]), np.stack([p.parts for p in pictures]), [dict(p.meta) for p in pictures]
    )  # fmt: skip


def test_the_letter_names_the_right_option() -> None:
    rng = random.Random(0)
    letters = []
    for _ in range(200):
        text, reply = turn(Asked("Which?", "Right", ["Wrong one", "Wrong two", "Wrong three"]), rng, thinking=False)
        assert f"{reply}. Right" in text.splitlines()
        letters.append(reply)
    assert all(30 < letters.count(letter) < 70 for letter in "ABCD")


def test_a_thinking_reply_states_the_fact_and_then_the_letter() -> None:
    _, reply = turn(Asked("Which?", "Right", ["Wrong"]), random.Random(0), thinking=True)
    assert re.fullmatch(r"<think>Right</think><answer>[AB]</answer>", reply)


def said_in(passage: Passage) -> str:
    return "".join(part.text for part in passage.parts)


def test_every_picture_has_its_place(pool: Pool) -> None:
    lessons = [seeing_lesson(pool, random.Random(seed), turns=3) for seed in range(40)]
    for passage, views in lessons:
        assert said_in(passage).count(PICTURE) == len(views)
        assert len({view.meta["product"] for view in views}) == 1, "a reference is of the same lot"
        assert not any(view.marks for view in views[:-1]), "a reference bears no mark"
    assert {len(views) for _, views in lessons} == {1, 2}
    assert {len(views[-1].marks) for _, views in lessons} == {0, 1}


def test_nobody_speaks_of_a_mark(pool: Pool) -> None:
    for seed in range(60):
        rng = random.Random(seed)
        passages = [telling_lesson(pool, rng)[0], seeing_lesson(pool, rng, turns=5)[0]]
        passages += [imagined_lesson(pool, rng).passage, strange_lesson(pool, rng, ["fold", "pit"]).passage]
        for passage in passages:
            words = set(re.findall(r"[a-z]+", said_in(passage).lower()))
            assert not words & {"mark", "marks", "zigzag", "bulge", "notch"}, words


def test_the_description_comes_last(pool: Pool) -> None:
    """It gives away what is asked before it."""
    found = 0
    for seed in range(60):
        for passage in (
            telling_lesson(pool, random.Random(seed))[0],
            seeing_lesson(pool, random.Random(seed), turns=5)[0],
        ):
            asked = [
                part.text for part in passage.parts if not part.learned and "?" in part.text or DESCRIBE in part.text
            ]
            found += any(DESCRIBE in text for text in asked)
            assert not any(DESCRIBE in text for text in asked[:-1])
    assert found > 60


def test_a_part_that_is_gone_is_neither_asked_nor_told(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_before = found = 0
    for seed in range(400):
        view = View.of(pool, seed % len(pool)).marked(random.Random(seed), 1, ("gone",))
        left = set(visible_parts(PRODUCTS[view.meta["product"]], view.parts))
        lost = set(view.meta["visible"]) - left
        if not lost:
            continue
        found += 1
        monkeypatch.setattr("core.demo.seeing._shown", lambda pool, rng, view=view: [view])
        for about in ("as it is", "without the change's facts"):
            if about != "as it is":
                monkeypatch.setattr("core.demo.seeing._facts", lambda view: view.meta)
            told = said_in(telling_lesson(pool, random.Random(seed))[0])
            asked = said_in(seeing_lesson(pool, random.Random(seed), turns=5)[0])
            spoken = any(re.search(rf"[Tt]he (query product's )?{re.escape(name)}\b", told + asked) for name in lost)
            assert not spoken or about != "as it is", (lost, told, asked)
            asked_before += spoken
        monkeypatch.undo()
    assert found > 20 and asked_before > 5, "what is lost would be spoken of, did nobody take it out"


def test_no_lesson_about_a_picture_names_a_defect(pool: Pool) -> None:
    # "hole" and "thread" are also names of normal parts (a mounting hole, a warp thread).
    names = {word for name in DEFECTS for word in name.split()} - {"hole", "thread", "part", "object", "edge"}
    for seed in range(200):
        for passage in (
            seeing_lesson(pool, random.Random(seed), turns=4)[0],
            telling_lesson(pool, random.Random(seed))[0],
        ):
            words = set(re.findall(r"[a-z]+", said_in(passage).lower()))
            assert not words & names, words & names


def test_the_same_seed_gives_the_same_lesson(pool: Pool) -> None:
    first, second, other = (seeing_lesson(pool, random.Random(seed), turns=3)[0] for seed in (3, 3, 4))
    assert first == second != other
