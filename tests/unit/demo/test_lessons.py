"""The base is shown products, never defects, and a lesson's right letter always names the right option."""

from __future__ import annotations

import random
import re

import pytest

from core.demo.lessons import PICTURE, Asked, seeing_lesson, turn
from core.synthesis.factory import DEFECTS, PRODUCTS, render


@pytest.fixture(scope="module")
def metas() -> list[dict]:
    return [dict(render(name, None, seed, size=64).meta) for seed, name in enumerate(PRODUCTS) for _ in range(2)]


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


def test_every_picture_has_its_place(metas: list[dict]) -> None:
    shown = [seeing_lesson(metas, random.Random(seed), turns=3) for seed in range(40)]
    for passage in shown:
        text = "".join(part.text for part in passage.parts)
        assert text.count(PICTURE) == len(passage.pictures)
        assert len({index // 2 for index in passage.pictures}) == 1, "a reference is of the same lot"
    assert {len(passage.pictures) for passage in shown} == {1, 2}


def test_no_lesson_about_a_picture_names_a_defect(metas: list[dict]) -> None:
    # "hole" and "thread" are also names of normal parts (a mounting hole, a warp thread).
    names = {word for name in DEFECTS for word in name.split()} - {"hole", "thread", "part", "object", "edge"}
    for seed in range(200):
        text = "".join(part.text for part in seeing_lesson(metas, random.Random(seed), turns=4).parts)
        words = set(re.findall(r"[a-z]+", text.lower()))
        assert not words & names, words & names


def test_the_same_seed_gives_the_same_lesson(metas: list[dict]) -> None:
    first, second, other = (seeing_lesson(metas, random.Random(seed), turns=3) for seed in (3, 3, 4))
    assert first == second != other
