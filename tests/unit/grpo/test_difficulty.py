"""Difficulty on given groups: weights, advantages, and who is answered again."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from core.errors import UserError
from core.grpo import difficulty_weight
from core.grpo.difficulty import RunningDifficulty, apply_difficulty, group_advantages, resample
from core.runs import hardest

YES, NO = True, False


@pytest.mark.parametrize(
    "right, weight", [(8, 1.0), (7, 1.125), (4, 1.5), (1, 1.875), (0, 1.0)], ids=lambda value: str(value)
)
def test_weight_grows_with_wrong_responses_and_is_one_without_a_right_one(right, weight):
    correct = torch.tensor([[YES] * right + [NO] * (8 - right)])
    assert difficulty_weight(correct).tolist() == [weight]


def test_weight_takes_ints_and_many_groups():
    correct = torch.tensor([[1, 0], [0, 0], [1, 1]])
    assert difficulty_weight(correct).tolist() == [1.5, 1.0, 1.0]


def test_advantages_are_of_the_group():
    rewards = torch.tensor([1.0, 0.0, 3.0, 3.0])
    std = torch.tensor([1.0, 0.0]).std()
    expected = torch.tensor([0.5, -0.5, 0.0, 0.0]) / (std + 1e-4)
    torch.testing.assert_close(group_advantages(rewards, 2), expected)


@pytest.mark.parametrize(
    "reweighting, resampling, factors",
    [(YES, YES, [1.5, 0.0]), (YES, NO, [1.5, 1.0]), (NO, YES, [1.0, 0.0]), (NO, NO, [1.0, 1.0])],
)
def test_both_parts_can_be_switched(reweighting, resampling, factors):
    advantages = torch.tensor([1.0, -1.0, 2.0, -2.0])
    correct = torch.tensor([[YES, NO], [NO, NO]])
    weights = difficulty_weight(correct) if reweighting else torch.ones(2)
    changed = apply_difficulty(advantages, correct, weights, resampling=resampling)
    assert changed.tolist() == [factors[0], -factors[0], 2 * factors[1], -2 * factors[1]]


def test_a_running_weight_remembers_the_kind_of_question():
    running = RunningDifficulty(pace=0.5)
    correct = torch.tensor([[YES, NO], [YES, YES], [NO, NO], [YES, YES]])
    weights = running(["nut/where", "bolt/where", "nut/where", "bolt/where"], correct)
    assert weights.tolist() == [1.5, 1.0, 1.75, 1.0]
    assert running(["nut/where"], torch.tensor([[YES, YES]])).tolist() == [1.375]  # easy now, hard so far
    again = RunningDifficulty(pace=0.5)
    for wrong in (0.5, 1.0, 0.0):
        again.add("nut/where", wrong)
    assert again.wrong["nut/where"] == running.wrong["nut/where"]


def test_only_hard_groups_are_answered_again_once_a_round_until_one_is_right():
    correct = [[YES, NO], [NO, NO], [NO, NO], [NO, NO]]
    answers = {1: [[NO, YES]], 2: [[NO, NO], [NO, NO], [YES, NO]], 3: [[NO, NO]] * 3}
    asked = []

    def generate(groups):
        asked.append(list(groups))
        return [answers[group].pop(0) for group in groups]

    assert resample(correct, generate, rounds=3) == [0, 1, 3, 3]
    assert asked == [[1, 2, 3], [2, 3], [2, 3]]
    assert correct == [[YES, NO], [NO, YES], [YES, NO], [NO, NO]]


def test_no_rounds_and_no_hard_groups_generate_nothing():
    def generate(groups):
        raise AssertionError("nothing is to be generated")

    assert resample([[NO, NO]], generate, rounds=0) == [0]
    assert resample([[YES, NO]], generate, rounds=3) == [0]


def test_a_process_without_hard_groups_takes_part_while_another_has_some():
    calls = []
    counts = resample([[YES]], lambda groups: calls.append(list(groups)) or [], rounds=2, busy=lambda count: True)
    assert counts == [0] and calls == [[], []]


def table() -> pd.DataFrame:
    rows = [
        ("d/p/a/1.png", 0, "a", "Anomaly Detection", 1, 0.5, 0, True),
        ("d/p/a/1.png", 0, "a", "Anomaly Detection", 2, 1.0, 3, False),
        ("d/p/a/1.png", 1, "a", "Defect Localization", 2, 0.25, 0, True),
        ("d/q/b/2.png", 0, "b", "Anomaly Detection", 3, 0.9, 1, True),
    ]
    names = ["image", "index", "defect", "question_type", "step", "wrong", "resamplings", "solved"]
    frame = pd.DataFrame(rows, columns=names).assign(dataset="d", reward=0.0, weight=1.0)
    return frame.assign(product=frame["image"].str[2])


def test_hardest_question_first():
    ranked = hardest(table())
    assert list(zip(ranked["image"], ranked["index"], strict=True)) == [
        ("d/q/b/2.png", 0),
        ("d/p/a/1.png", 0),
        ("d/p/a/1.png", 1),
    ]
    second = ranked.iloc[1]
    assert (second["hardness"], second["unsolved"], second["visits"], second["last_step"]) == (0.75, 0.5, 2, 2)
    assert second["question_type"] == "Anomaly Detection"


def test_hardest_product_defect_and_sample():
    assert hardest(table(), "product")["product"].tolist() == ["q", "p"]
    assert hardest(table(), "defect")["hardness"].round(3).tolist() == [0.9, 0.583]
    assert "question_type" not in hardest(table(), "sample")
    assert hardest(pd.DataFrame(), "sample").empty
    with pytest.raises(UserError, match="no level"):
        hardest(table(), "colour")
