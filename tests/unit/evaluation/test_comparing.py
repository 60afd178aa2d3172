"""Two models on the same questions: what is shown, what is not, and what must not be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from core.errors import UserError
from core.evaluation import accuracy_intervals, accuracy_table, compare_answers
from core.evaluation.comparing import holm
from tests.unit.evaluation.scenes import random_answers

PROTOCOL = dict(shots=1, template="similar", knowledge=True, thinking=False, heatmap=True, answering="letters", seed=0)


def test_a_clear_gain_is_shown_and_adds_up() -> None:
    weak, strong = random_answers(1200, skill=0.3), random_answers(1200, skill=0.9, seed=1)
    result = compare_answers(weak, strong, names=("base", "tuned"), draws=400)
    assert result.verdict().endswith(": shown")
    tables = [accuracy_table(answers).loc["Average"] for answers in (weak, strong)]
    np.testing.assert_allclose(result.table["first"], tables[0][result.table.index])
    np.testing.assert_allclose(result.table["difference"], (tables[1] - tables[0])[result.table.index])
    counts = result.table[["fixed", "regressed", "both_wrong", "both_right"]]
    assert (counts.sum(axis=1) == result.table["questions"]).all()
    assert len(result.fixed) == counts.loc["Average", "fixed"]
    one = result.fixed.iloc[0]
    assert one["answer_second"] == one["correct_answer"] != one["answer_first"]


def test_models_of_equal_skill_show_no_difference() -> None:
    result = compare_answers(random_answers(800, seed=1), random_answers(800, seed=2), draws=400)
    assert result.verdict().endswith(": not shown")
    assert result.table.loc["Average", "low"] < 0 < result.table.loc["Average", "high"]


def test_the_same_answers_differ_by_nothing() -> None:
    answers = random_answers(300)
    table = compare_answers(answers, answers, draws=50).table
    assert (table[["difference", "low", "high", "fixed", "regressed"]] == 0).all(axis=None)
    assert (table["p"].dropna() == 1).all()


def test_intervals_are_reproducible_and_wider_when_a_pictures_questions_fall_together() -> None:
    """100 pictures with 10 questions that all stand or fall together know no more than 100 questions."""
    rng = np.random.default_rng(0)
    picture = np.repeat(np.arange(100), 10)
    base = pd.DataFrame({
        "image": [f"D/p/test/dent/{n}.png" for n in picture], "index": np.tile(np.arange(10), 100),
        "question_type": "Defect Analysis", "correct_answer": "A",
    })  # fmt: skip
    together = accuracy_intervals(base.assign(answer=np.where(rng.random(100) < 0.5, "A", "B")[picture]))
    apart = accuracy_intervals(base.assign(answer=np.where(rng.random(1000) < 0.5, "A", "B")))
    width = (together["high"] - together["low"])["Average"] / (apart["high"] - apart["low"])["Average"]
    assert 2.3 < width < 4.2  # the square root of 10
    again = accuracy_intervals(
        base.assign(answer=np.where(np.random.default_rng(0).random(100) < 0.5, "A", "B")[picture])
    )
    pd.testing.assert_frame_equal(together, again)


def test_p_is_exact_mcnemar_corrected_after_holm() -> None:
    result = compare_answers(random_answers(500, seed=1), random_answers(500, skill=0.75, seed=2), draws=50).table
    row = result.loc["Defect Analysis"]
    assert row["p"] == pytest.approx(binomtest(int(row["fixed"]), int(row["fixed"] + row["regressed"])).pvalue)
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    assert (result["p_holm"].dropna() >= result["p"].dropna()).all()


def test_two_protocols_are_refused_unless_asked_for() -> None:
    one = random_answers(200).assign(**PROTOCOL)
    other = random_answers(200, seed=1).assign(**{**PROTOCOL, "knowledge": False})
    with pytest.raises(UserError, match="two protocols"):
        compare_answers(one, other)
    with pytest.raises(UserError, match="not stated"):
        compare_answers(one, random_answers(200, seed=1))
    result = compare_answers(one, other, across_protocols=True, draws=50)
    assert any("protocol" in note for note in result.notes)


def test_missing_questions_are_said_and_other_benchmarks_refused() -> None:
    whole = random_answers(300)
    part = whole.iloc[:120]
    result = compare_answers(whole, part, draws=50)
    assert (
        result.left_out == (180, 0) and "Partial" in result.notes[0] and result.table.loc["Average", "questions"] == 120
    )
    part.attrs["total"] = 300
    assert (
        "second is partial: 120 of 300 questions are answered (40.0 %)." in compare_answers(part, part, draws=20).notes
    )
    with pytest.raises(UserError, match="no question in common"):
        compare_answers(whole, whole.assign(image="X" + whole["image"]))
    with pytest.raises(UserError, match="different right answers"):
        compare_answers(whole, whole.assign(correct_answer="A"))
    with pytest.raises(UserError, match="twice"):
        compare_answers(whole, pd.concat([whole, whole.head(2)]))
