"""Summaries say what the answers said: the same accuracies, tests and prices, from a bit per question."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.demo.summaries import (
    by_difficulty,
    judged,
    keep,
    mcnemar,
    part_masks,
    questions_of,
    read_asked,
    read_summaries,
    rights,
    training_facts,
)  # fmt: skip
from core.errors import UserError
from core.evaluation import accuracy_table, compare_answers
from core.evaluation.records import Reply, frame, row
from core.mmad import Benchmark, Protocol
from tests.unit.evaluation.scenes import small_benchmark

HOLDOUTS = ("instances", "products", "instances", "defects", "instances", "products")


@pytest.fixture
def bench(tmp_path: Path) -> Benchmark:
    whole = small_benchmark(tmp_path)
    extras = [{"holdout": part, "difficulty": n / 6} for n, part in enumerate(HOLDOUTS)]
    return whole.select(replace(s, extra=extra) for s, extra in zip(whole.samples, extras, strict=True))


def answered(bench: Benchmark, skill: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    rows = []
    for sample in bench:
        for index, question in enumerate(sample.questions):
            wrong = next(letter for letter in question.options if letter != question.answer)
            letter = question.answer if rng.random() < skill else wrong
            rows.append(row(sample, index, Reply(letter, letter), "model", Protocol()))
    return frame(rows)


def test_accuracies_are_those_of_the_evaluation(bench: Benchmark) -> None:
    answers = answered(bench, 0.5)
    asked, result = judged(bench, answers)
    table = accuracy_table(answers).loc["Average"]
    for task, value in result["parts"]["all"].items():
        if task != "questions":
            assert value == pytest.approx(table[task], abs=1e-3), task
    assert result["questions"] == len(result["right"]) == asked["questions"] == len(answers)
    products = [s.extra["holdout"] == "products" for s in bench for _ in s.questions]
    assert part_masks(asked)["products"].tolist() == products
    part = answers[np.array(products)]
    assert result["parts"]["products"]["Average"] == pytest.approx(
        accuracy_table(part).loc["Average", "Average"], abs=1e-3
    )


def test_unseen_defects_are_judged_beside_normal_pieces(bench: Benchmark) -> None:
    asked = questions_of(bench)
    tasks, parts = (np.array(list(asked[key])) for key in ("tasks", "parts"))
    mask = part_masks(asked)["defects"]
    assert set(parts[mask]) == {"d", "i"} and set(tasks[mask & (parts == "i")]) == {"0"}


def test_mcnemar_over_all_questions_is_that_of_the_comparison(bench: Benchmark) -> None:
    one, two = answered(bench, 0.3, 1), answered(bench, 0.8, 2)
    found = mcnemar(*(rights(judged(bench, answers)[1]["right"]) for answers in (one, two)))
    comparison = compare_answers(one, two)
    assert (found["fixed"], found["regressed"]) == (len(comparison.fixed), len(comparison.regressed))
    assert 0 < found["p"] <= 1
    assert mcnemar([True, False], [True, False])["p"] == 1.0
    assert mcnemar([False] * 10, [True] * 10)["p"] == pytest.approx(2 / 2**10)


def test_difficulty_counts_questions_about_the_defect_only(bench: Benchmark) -> None:
    asked = questions_of(bench)
    right = np.ones(asked["questions"], bool)
    rows = by_difficulty(asked, right)
    defective = [s for s in bench if s.defect]
    about = sum(q.task.value.startswith(("Anomaly", "Defect")) for s in defective for q in s.questions)
    assert sum(r["questions"] for r in rows) == about and all(r["accuracy"] == 100 for r in rows)
    assert by_difficulty({**asked, "difficulty": None}, right) == []


def test_an_unfinished_evaluation_is_no_summary(bench: Benchmark) -> None:
    with pytest.raises(UserError, match="Only .* of .* questions are answered"):
        judged(bench, answered(bench, 1.0).iloc[:-2])


def test_kept_and_read_back(bench: Benchmark, tmp_path: Path) -> None:
    asked, result = judged(bench, answered(bench, 0.5))
    place = keep(tmp_path / "out", "emit-0", asked, {"arm": "emit", "seed": 0, **result})
    (read,) = read_summaries(tmp_path / "out")
    assert read["right"] == result["right"] and read_asked(tmp_path / "out", read["asked"]) == asked
    place.write_text(json.dumps({"version": 99}))
    with pytest.raises(UserError, match="no summary of version"):
        read_summaries(tmp_path / "out")


def test_minutes_leave_pauses_out_and_tokens_are_counted_where_they_were_made() -> None:
    rows = [{"stage": "sft", "step": n, "time": 10.0 * n, "loss": 1.0} for n in (1, 2, 3)]
    start = 7000.0  # somebody stopped it, and went on the next day
    for n in (1, 2, 3, 4):
        if n == 2:
            rows.append({"stage": "grpo", "step": 2, "time": start + 58.0, "val_accuracy": 0.5})
        pause = 90_000.0 if n > 3 else 0.0
        rows.append({"stage": "grpo", "step": n, "time": start + 30.0 * n + pause, "generated_tokens": 100.0,
                     "hard_groups": 0.5 if n > 2 else 1.0, "unsolved_groups": 0.0})  # fmt: skip
    facts = training_facts(rows)
    assert facts["steps"] == {"sft": 3, "grpo": 4} and facts["tokens"] == 400
    assert facts["minutes"]["sft"] == 0.5 and facts["minutes"]["grpo"] < 4
    (point,) = facts["curve"]
    assert point["tokens"] == 200 and point["accuracy"] == 50.0 and point["minutes"] > facts["minutes"]["sft"]
    assert facts["hard"] == [[1, 1.0], [2, 1.0], [3, 0.5], [4, 0.5]]
    assert training_facts([]) == {"minutes": {}, "steps": {}, "tokens": 0, "curve": [], "hard": [], "unsolved": []}
