"""The second stage asks what the model is unsure of; a resumed run asks the same."""

from __future__ import annotations

import json

import numpy as np

from core.mmad import Protocol
from core.training.config import GRPO
from core.training.priorities import POOL, drawn, pool_of
from core.training.questions import Asked, Course, benchmark_of, choose_questions
from tests.unit.training.conftest import make_benchmark, quick


def course_of(bench, positions: int) -> Course:
    asked = choose_questions(bench)
    return Course(bench, Protocol(), asked, tuple((i % len(asked), 0) for i in range(positions)), positions)


def test_unsure_questions_are_drawn_more_often_and_none_twice_in_a_pass(tmp_path):
    course = course_of(make_benchmark(tmp_path, train=40), 10)
    count = len(course.asked)
    chances = [0.5 if i % 4 == 0 else 0.999 for i in range(count)]
    found = [drawn(course, chances, seed) for seed in range(40)]
    places = [[place for place, _ in one.order] for one in found]
    assert all(
        len(one.order) == 10 and len(set(p)) == min(10, count // POOL) for one, p in zip(found, places, strict=True)
    )
    assert np.mean([place % 4 == 0 for p in places for place in p]) > 0.9
    assert drawn(course, chances, 3).order == found[3].order != found[4].order


def test_a_pool_larger_than_what_is_needed_is_asked():
    section = GRPO(sampling="prioritised", max_steps=10, groups=4)
    assert pool_of(section).samples == POOL * 40
    assert pool_of(GRPO(max_steps=10)).samples == 0 and pool_of(GRPO(sampling="prioritised", samples=7)).samples == 7


def test_chosen_questions_keep_their_order(tmp_path):
    bench = make_benchmark(tmp_path, train=4)
    asked = choose_questions(bench, limit=5, seed=1)
    rows = [(s.image, q) for s in benchmark_of(bench, asked) for q in s.questions]
    assert rows == [(one.sample.image, one.question) for one in asked] and isinstance(asked[0], Asked)


def test_a_run_asks_beforehand_and_keeps_what_it_heard(base, snapshot, tmp_path):
    from core.training.worker import run

    options = {"sampling": "prioritised", "difficulty": "running", "max_steps": 2}
    done = run(quick(base, snapshot, sft={"enabled": False}, grpo=options), tmp_path / "run")
    chances = json.loads((done.path / "grpo" / "chances.json").read_text())
    assert all(0 < chance < 1 for chance in chances)
    rows = done.difficulty()
    assert len(rows) and ((rows["weight"] - 1 - rows["wrong"]).abs().iloc[0] < 1e-6)  # of the first group of a kind
