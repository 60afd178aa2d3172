"""The base is taught products, never defects, and a lesson's right letter always names the right option."""

from __future__ import annotations

import random
import re
from itertools import islice

import pytest

from core.demo.lessons import Asked, lessons, reading_lesson, turn
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


def test_a_text_answers_its_own_questions() -> None:
    for seed in range(50):
        lesson = reading_lesson(random.Random(seed), turns=4)
        told = lesson.asked[0][0]["text"].lower()
        for parts, reply in zip(lesson.asked, lesson.replies, strict=True):
            letter = re.search(r"([ABCD])(</answer>)?$", reply).group(1)
            option = re.search(rf"^{letter}\. (.+)$", parts[-1]["text"], re.M).group(1)
            assert option.lower() in told or "where" in parts[-1]["text"].lower()


def test_no_lesson_names_a_defect(metas: list[dict]) -> None:
    # "hole" and "thread" are also names of normal parts (a mounting hole, a warp thread).
    names = {word for name in DEFECTS for word in name.split()} - {"hole", "thread", "part", "object", "edge"}
    for lesson in islice(lessons(metas, 0, reading=0.3, turns=4), 200):
        asked = " ".join(part.get("text", "") for parts in lesson.asked for part in parts)
        # The system prompt and the knowledge of a normal product may say that a surface is free of them.
        asked = re.sub(r"What is known about this product:\n.*\n", "", asked)
        words = set(re.findall(r"[a-z]+", f"{asked} {' '.join(lesson.replies)}".lower()))
        assert not words & names, words & names


def test_the_same_seed_gives_the_same_lessons(metas: list[dict]) -> None:
    first, second = (list(islice(lessons(metas, 3, reading=0.3, turns=3), 20)) for _ in range(2))
    assert first == second
    assert first != list(islice(lessons(metas, 4, reading=0.3, turns=3), 20))
