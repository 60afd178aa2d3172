"""The answers of two models to the same questions, side by side: what was fixed, what regressed, what both get wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from studio.i18n import say, texts

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = ("fixed", "regressed", "both_wrong", "both_right")
KEY = ["image", "index"]
_SHARED = ["dataset", "product", "defect", "split", "task", "question", "options", "correct_answer"]
_OWN = ["answer", "reply", "p_answer", "p_defect"]
_SAID = [*_OWN, "right"]


def pair(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One row per question that both answered, with the columns of both (`answer_a`, `answer_b`, ...) and `outcome`.

    Seen from first to second: "fixed" was wrong and is right, "regressed" was right and is wrong.
    """
    shared = [name for name in _SHARED if name in first]
    left = first[[*KEY, *shared, *(name for name in _OWN if name in first)]]
    right = second[[*KEY, *(name for name in _OWN if name in second)]]
    table = left.merge(right, on=KEY, suffixes=("_a", "_b"))
    table["right_a"] = (table["answer_a"] == table["correct_answer"]).fillna(False).astype(bool)
    table["right_b"] = (table["answer_b"] == table["correct_answer"]).fillna(False).astype(bool)
    names = {
        (False, True): "fixed",
        (True, False): "regressed",
        (False, False): "both_wrong",
        (True, True): "both_right",
    }
    table["outcome"] = [names[key] for key in zip(table["right_a"], table["right_b"], strict=True)]
    return table


def counts(pairs: pd.DataFrame) -> dict[str, int]:
    """How many questions have each outcome, and "all"."""
    found = pairs["outcome"].value_counts() if len(pairs) else {}
    return {"all": len(pairs), **{name: int(found.get(name, 0)) for name in OUTCOMES}}


def choose(
    pairs: pd.DataFrame, outcome: str = "all", task: str = "", product: str = "", image: str = ""
) -> pd.DataFrame:
    """The rows with that outcome, task, product ("dataset/product") and picture; what is empty does not filter."""
    table = pairs
    if outcome in OUTCOMES:
        table = table[table["outcome"] == outcome]
    if task:
        table = table[table["task"] == task]
    if product:
        table = table[table["dataset"].astype(str) + "/" + table["product"].astype(str) == product]
    if image:
        table = table[table["image"] == image]
    return table


def options(row: Mapping[str, Any]) -> dict[str, str]:
    """letter -> text of a row's question."""
    value = row.get("options")
    try:
        found = json.loads(value) if isinstance(value, str) else dict(value or {})
    except (ValueError, TypeError):
        return {}
    return {str(letter): str(text) for letter, text in found.items()}


@dataclass(frozen=True)
class Reply:
    """What one model said; `source` is "stored", "live" or "waiting"."""

    text: str
    letter: str | None
    probability: float | None = None
    source: str = "stored"


def task_name(task: str, lang: str) -> str:
    """A task as people call it, escaped."""
    key = f"compare.task.{task.lower().replace(' ', '_')}"
    return escape(say(lang, key) if key in texts() else task)


def question_card(row: Mapping[str, Any], lang: str, *, blind: bool = False) -> str:
    """The question with its options; the right one is marked, unless answers are to be judged blindly."""
    right = None if blind else row["correct_answer"]
    items = "".join(
        f'<li class="{"right" if letter == right else ""}"><b>{escape(letter)}</b> {escape(text)}'
        f"{_mark(lang) if letter == right else ''}</li>"
        for letter, text in options(row).items()
    )
    return (
        f'<div class="q-card"><p class="run-facts">{task_name(str(row.get("task", "")), lang)} · {escape(str(row["image"]))}</p>'
        f"<h3>{escape(str(row['question']))}</h3><ol>{items}</ol></div>"
    )


def _mark(lang: str) -> str:
    return f'<span class="tick">✓ {say(lang, "compare.right_answer")}</span>'


def answer_card(title: str, reply: Reply | None, row: Mapping[str, Any], lang: str, *, blind: bool = False) -> str:
    """One model's answer: letter, right or wrong, how sure, the reasoning, and whether it is live or stored.

    A blind card does not say which model it is, nor whether it is right: a vote should judge the answer.
    """
    if reply is None:
        return f'<div class="a-card blank"><h4>{escape(title)}</h4><p>{say(lang, "compare.no_answer")}</p></div>'
    right = reply.letter is not None and reply.letter == row["correct_answer"]
    waiting = reply.source == "waiting"
    verdict = "" if waiting or blind else "right" if right else "wrong"
    said = options(row).get(reply.letter or "", "")
    letter = f"{escape(reply.letter)} · {escape(said)}" if reply.letter else say(lang, "compare.no_letter")
    badge = f'<span class="verdict {verdict}">{say(lang, f"compare.{verdict}")}</span>' if verdict else ""
    sure = ""
    if reply.probability is not None and reply.probability == reply.probability:
        sure = f'<span class="sure">{say(lang, "compare.sure", share=f"{reply.probability * 100:.0f}")}</span>'
    source = f'<span class="source {reply.source}">{say(lang, f"compare.source.{reply.source}")}</span>'
    thinking, rest = reasoning(reply.text)
    thought = (
        f'<div class="thinking"><h5>{say(lang, "compare.reasoning")}</h5>{_lines(thinking)}</div>' if thinking else ""
    )
    written = f'<div class="reply">{_lines(rest)}</div>' if rest and rest != reply.letter else ""
    stated = "" if waiting and not reply.letter else f'<p class="letter">{letter}</p>'
    return (
        f'<div class="a-card {verdict}"><div class="a-head"><h4>{escape(title)}</h4>{badge}{source}</div>'
        f"{stated}{sure}{thought}{written}</div>"
    )


def reasoning(text: str) -> tuple[str, str]:
    """What stands between <think> and </think> (or after an unclosed <think>, as while streaming), and the rest."""
    before, found, after = text.partition("<think>")
    if not found:
        return "", _plain(text)
    thought, _, rest = after.partition("</think>")
    return thought.strip(), _plain(before + rest)


def _plain(text: str) -> str:
    return text.replace("<answer>", "").replace("</answer>", "").strip()


def _lines(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.splitlines() if line.strip())


def blind_order(image: str, index: int, voter: str) -> bool:
    """Whether the models change sides in a blind vote: a coin that falls the same way for the same question and voter."""
    return random.Random(f"{image}|{index}|{voter}").random() < 0.5


def tally(votes: Sequence[Any], first: str, second: str) -> dict[str, int]:
    """How often each of the two models won when compared with the other, and ties."""
    between = [vote for vote in votes if {vote.left, vote.right} == {first, second}]
    return {
        "a": sum(vote.winner == first for vote in between),
        "b": sum(vote.winner == second for vote in between),
        "tie": sum(vote.winner == "tie" for vote in between),
    }


def to_csv(pairs: pd.DataFrame, first: str, second: str) -> str:
    """The pairs as CSV text, columns named by the models; a cell that a spreadsheet would run is quoted."""
    names = {f"{name}_{side}": f"{name} ({model})" for side, model in (("a", first), ("b", second)) for name in _SAID}
    table = pairs.rename(columns=names)
    return table.map(_harmless).to_csv(index=False)


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" else value
