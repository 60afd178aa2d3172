"""From P(defect) to accepting or rejecting a part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import UserError
from core.evaluation import Costs, calibration, choose_threshold, decision_table, expected_cost, ranking_table
from tests.unit.evaluation.scenes import random_answers


def scored(p: list[float], defective: list[int], split: str = "val") -> pd.DataFrame:
    return pd.DataFrame({
        "image": [f"D/p/test/{'dent' if d else 'good'}/{split}{i}.png" for i, d in enumerate(defective)],
        "question_type": "Anomaly Detection", "correct_answer": ["A" if d else "B" for d in defective],
        "answer": ["A" if x > 0.5 else "B" for x in p], "p_defect": p, "split": split,
    })  # fmt: skip


def test_ranking() -> None:
    table = ranking_table(scored([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]))
    assert table.loc["D/p", "AUROC"] == pytest.approx(75)
    assert table.loc["D/p", "AP"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert np.isnan(ranking_table(scored([0.2, 0.3], [1, 1])).loc["D/p", "AUROC"])


def test_a_dear_miss_moves_the_threshold_down() -> None:
    answers = scored([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8], [0, 0, 0, 0, 1, 1, 1])
    assert 0.3 < choose_threshold(answers, Costs(miss=10, overkill=1)) < 0.4
    assert 0.6 < choose_threshold(answers, Costs(miss=1, overkill=10)) < 0.7


def test_the_chosen_threshold_is_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(0)
    defective = rng.integers(0, 2, 200)
    answers = scored(list(np.clip(0.5 * defective + rng.normal(0.25, 0.25, 200), 0, 1)), list(defective))
    costs = Costs(miss=5, overkill=1, prevalence=0.1)
    best = expected_cost(answers, choose_threshold(answers, costs), costs)["cost"]
    assert best <= min(expected_cost(answers, t, costs)["cost"] for t in np.linspace(0, 1.01, 203)) + 1e-12


def test_expected_cost_in_numbers() -> None:
    answers = scored([0.9, 0.2, 0.6, 0.1], [1, 1, 0, 0])
    assert expected_cost(answers, 0.5, Costs(10, 1)) == {
        "cost": 0.5 * 0.5 * 10 + 0.5 * 0.5,
        "miss": 50,
        "overkill": 50,
        "pictures": 4,
    }
    assert expected_cost(answers, 0.5, Costs(10, 1, prevalence=0.02))["cost"] == pytest.approx(0.02 * 5 + 0.98 * 0.5)


def test_the_threshold_is_chosen_on_validation_and_judged_on_test() -> None:
    answers = pd.concat(
        [scored([0.1, 0.3, 0.7, 0.9], [0, 0, 1, 1]), scored([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1], "test")]
    )
    table = decision_table(answers, Costs(10, 1))
    assert table.loc["chosen on val", "val cost"] == 0
    assert table.loc["chosen on val", "test cost"] == pytest.approx(0.5 * 0.5 * 10 + 0.5 * 0.5)
    assert table.loc["reject all", "test miss"] == 0 and table.loc["pass all", "test overkill"] == 0
    with pytest.raises(UserError, match="split test"):
        decision_table(scored([0.1, 0.9], [0, 1]))


def test_calibration_of_an_honest_and_of_a_boasting_model() -> None:
    honest = calibration(scored([0.25] * 4 + [0.75] * 4, [1, 0, 0, 0, 1, 1, 1, 0]))
    assert honest.error == pytest.approx(0) and list(honest.bins["observed"]) == [0.25, 0.75]
    boasting = calibration(scored([1.0] * 4, [1, 1, 0, 0]))
    assert boasting.error == pytest.approx(0.5) and boasting.brier == pytest.approx(0.5)


def test_bad_input() -> None:
    with pytest.raises(UserError, match="answer by 'letters'"):
        ranking_table(random_answers(100))
    with pytest.raises(UserError, match="normal and defective"):
        choose_threshold(scored([0.2], [1]), Costs())
    with pytest.raises(UserError, match="negative"):
        Costs(miss=-1)
    with pytest.raises(UserError, match="from 0 to 1"):
        Costs(prevalence=2)
