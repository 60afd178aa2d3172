"""Rewards by table: what each completion earns, and why."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from core.grpo import accuracy_reward, cosine_length_reward, format_reward, repetition_reward

GOOD = "<think>The left edge is torn.</think>\n<answer>B</answer>"

ACCURACY = [
    ("right", GOOD, 1.0),
    ("wrong", "<think>x</think><answer>C</answer>", 0.0),
    ("a bare letter is an answer", "B", 1.0),
    ("a bare letter with a stop", "B.", 1.0),
    ("lower case", "<think>x</think><answer>b</answer>", 1.0),
    ("lower-case bare letter", "b", 1.0),
    ("letter outside A-D", "<answer>E</answer>", -1.0),
    ("bare letter outside A-D", "F", -1.0),
    ("no letter", "<think>x</think><answer>scratch</answer>", -1.0),
    ("a word is no letter", "Broken", -1.0),
    ("only thinking", "<think>B or C</think>", -1.0),
    ("unclosed answer", "<think>x</think><answer>", -1.0),
    ("Chinese thinking", "<think>左边有划痕</think><answer>B</answer>", 1.0),
    ("Chinese only", "左边有划痕", -1.0),
    ("empty", "", -1.0),
    ("white space", " \n", -1.0),
    ("a long text without an answer", "scratch " * 512, -1.0),
]


@pytest.mark.parametrize("why, reply, reward", ACCURACY, ids=[row[0] for row in ACCURACY])
def test_accuracy(why, reply, reward):
    assert accuracy_reward([reply], solution=["B"]) == [reward]
    assert accuracy_reward([[{"role": "assistant", "content": reply}]], solution=["B"]) == [reward]
    assert accuracy_reward([[{"role": "assistant", "content": [{"type": "text", "text": reply}]}]], ["B"]) == [reward]


LENGTH = [
    (1, 1.0, -0.5),
    (255, 1.0, -0.5),
    (256, 1.0, -0.5),
    (384, 0.75, -0.25),
    (512, 0.5, 0.0),
    (900, 0.5, 0.0),
]


@pytest.mark.parametrize("tokens, right, wrong", LENGTH)
def test_cosine_length(tokens, right, wrong):
    ids = [[0] * tokens] * 3
    rewards = cosine_length_reward(["B", "C", "dunno"], solution=["B"] * 3, completion_ids=ids)
    assert rewards == pytest.approx([right, wrong, -1.0])


def test_cosine_length_scales_with_the_limit_and_counts_words_without_ids():
    (at_three_quarters,) = cosine_length_reward(["B"], ["B"], completion_ids=[[0] * 48], max_length=64)
    assert at_three_quarters == pytest.approx(0.75)
    quarter = 0.5 + 0.5 * (1 + math.cos(math.pi / 4)) / 2
    assert cosine_length_reward(["B"], ["B"], completion_ids=[[0] * 320]) == pytest.approx([quarter])
    long = "<think>" + "word " * 600 + "</think> <answer>B</answer>"
    assert cosine_length_reward([long], ["B"]) == pytest.approx([0.5])


FORMAT = [
    ("think then answer", GOOD, 1.0),
    ("nothing between", "<think>x</think><answer>A</answer>", 1.0),
    ("over several lines", "<think>a\nb\nc</think>\n\n<answer>A</answer>", 1.0),
    ("empty thinking", "<think></think><answer>A</answer>", 1.0),
    ("Chinese", "<think>划痕</think><answer>A</answer>", 1.0),
    ("text before", "Well. <think>x</think><answer>A</answer>", 0.0),
    ("text after", "<think>x</think><answer>A</answer> done", 0.0),
    ("text between", "<think>x</think> so <answer>A</answer>", 0.0),
    ("other order", "<answer>A</answer><think>x</think>", 0.0),
    ("only the answer", "<answer>A</answer>", 0.0),
    ("unclosed answer", "<think>x</think><answer>A", 0.0),
    ("unclosed thinking", "<think>x<answer>A</answer>", 0.0),
    ("nested thinking", "<think><think>x</think></think><answer>A</answer>", 0.0),
    ("two thoughts", "<think>x</think><think>y</think><answer>A</answer>", 0.0),
    ("two answers", "<think>x</think><answer>A</answer><answer>B</answer>", 0.0),
    ("an answer while thinking", "<think><answer>A</answer></think><answer>A</answer>", 0.0),
    ("a bare letter", "A", 0.0),
    ("empty", "", 0.0),
]


@pytest.mark.parametrize("why, reply, reward", FORMAT, ids=[row[0] for row in FORMAT])
def test_format(why, reply, reward):
    assert format_reward([reply]) == [reward]


REPETITION = [
    ("nothing repeated", "one two three four five six", 0.0),
    ("fewer than four words", "a a a", 0.0),
    ("empty", "", 0.0),
    ("all the same", "no " * 8, 1 / 5 - 1),
    ("case does not matter", "One two three four one TWO three four", 4 / 5 - 1),
    ("Chinese without spaces is one word", "划痕划痕划痕", 0.0),
]


@pytest.mark.parametrize("why, reply, reward", REPETITION, ids=[row[0] for row in REPETITION])
def test_repetition(why, reply, reward):
    assert repetition_reward([reply]) == pytest.approx([reward])


def test_a_512_token_loop_is_near_the_floor():
    assert repetition_reward(["the scratch is " * 171])[0] == pytest.approx(3 / 510 - 1)


def test_columns_of_trl_are_ignored_and_lengths_must_agree():
    columns = {"prompts": ["p"], "completion_ids": [[1]], "trainer_state": None, "log_metric": print}
    assert accuracy_reward(["B"], solution=["B"], **columns) == [1.0]
    assert format_reward(["B"], **columns) == repetition_reward(["B"], **columns) == [0.0]
    with pytest.raises(ValueError):
        accuracy_reward(["B", "B"], solution=["B"])


def test_rewards_need_no_torch():
    subprocess.run([sys.executable, "-c", "import sys, core.grpo; assert 'torch' not in sys.modules"], check=True)
