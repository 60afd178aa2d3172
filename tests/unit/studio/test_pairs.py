"""Two models on the same questions: outcomes, cards, votes, export."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pandas as pd

from studio.views.pairs import (
    Reply,
    answer_card,
    blind_order,
    choose,
    counts,
    pair,
    question_card,
    reasoning,
    tally,
    to_csv,
)


def answers(letters: str, replies: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [f"d/p{i % 2}/bad/{i}.png" for i in range(len(letters))], "index": 0, "dataset": "d",
            "product": [f"p{i % 2}" for i in range(len(letters))], "defect": "bad", "split": "test",
            "task": "Anomaly Detection", "question": "Is there a defect?",
            "options": json.dumps({"A": "Yes.", "B": "No."}), "correct_answer": "A",
            "answer": [None if letter == "-" else letter for letter in letters],
            "reply": replies or list(letters), "p_answer": 0.9, "p_defect": 0.9,
        }
    )  # fmt: skip


def test_outcomes_are_seen_from_the_first_to_the_second():
    pairs = pair(answers("BAB-A"), answers("ABB-A"))
    assert pairs["outcome"].tolist() == ["fixed", "regressed", "both_wrong", "both_wrong", "both_right"]
    assert counts(pairs) == {"all": 5, "fixed": 1, "regressed": 1, "both_wrong": 2, "both_right": 1}
    assert counts(pair(answers("A").head(0), answers("A")))["all"] == 0


def test_only_questions_both_answered_are_paired():
    assert len(pair(answers("AAA"), answers("AA"))) == 2


def test_filters_combine():
    pairs = pair(answers("BBBB"), answers("AAAB"))
    assert len(choose(pairs, "fixed", product="d/p0")) == 2
    assert len(choose(pairs, "fixed", image="d/p1/bad/1.png", task="Anomaly Detection")) == 1


def test_cards_show_right_and_wrong_and_never_run_what_a_model_wrote():
    row = pair(answers("B", ["<script>alert(1)</script>"]), answers("A")).iloc[0].to_dict()
    wrong = answer_card("base", Reply(row["reply_a"], "B", 0.7), row, "en")
    assert "wrong" in wrong and "<script>" not in wrong and "&lt;script&gt;" in wrong and "70" in wrong
    assert "verdict right" in answer_card("tuned", Reply("A", "A"), row, "en")
    assert "verdict" not in answer_card("left", Reply("A", "A"), row, "en", blind=True)
    assert "Is there a defect?" in question_card(row, "en")


def test_reasoning_is_told_apart_from_the_answer_also_while_it_streams():
    assert reasoning("<think>dark spot</think><answer>B</answer>") == ("dark spot", "B")
    assert reasoning("<think>dark sp") == ("dark sp", "")
    assert reasoning("B") == ("", "B")


def test_a_blind_vote_shuffles_sides_but_keeps_them_on_reload():
    sides = [blind_order("a/b/c.png", index, "ana") for index in range(40)]
    assert sides == [blind_order("a/b/c.png", index, "ana") for index in range(40)] and len(set(sides)) == 2


def test_votes_between_others_do_not_count():
    votes = [SimpleNamespace(left="x", right="y", winner="x"), SimpleNamespace(left="y", right="x", winner="tie"),
             SimpleNamespace(left="x", right="z", winner="z")]  # fmt: skip
    assert tally(votes, "x", "y") == {"a": 1, "b": 0, "tie": 1}


def test_csv_reads_back_and_holds_no_formula():
    pairs = pair(answers("B", ["=HYPERLINK(1)"]), answers("A"))
    table = pd.read_csv(io.StringIO(to_csv(pairs, "base", "tuned")))
    assert table["reply (base)"][0] == "'=HYPERLINK(1)" and table["answer (tuned)"][0] == "A"
