"""Endpoints of the Compare page."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import gradio as gr
import pandas as pd

from core.errors import UserError
from core.mmad import Protocol, parse_answer
from studio.endpoints import model_of, named, sample_of
from studio.services import Services
from studio.views import scores as score
from studio.views.pairs import choose, counts, pair, tally
from studio.views.sources import Source, sources, stored

WINNERS = ("first", "second", "tie")
SHOWN = ["image", "index", "task", "product", "defect", "question", "options", "correct_answer", "answer_a", "reply_a",
         "answer_b", "reply_b", "outcome"]  # fmt: skip


def endpoints(services: Services) -> list[Callable[..., Any]]:
    def models() -> list[dict]:
        """What can be compared: id, label, and whether answers are stored."""
        return [{"id": s.id, "label": s.label, "stored": s.answers is not None} for s in sources(services)]

    def compare_models(first: str, second: str) -> dict:
        """Both models over all tasks, on the questions both answered: a row per task, and how many answers changed."""
        _, tables = _both(first, second)
        rows = [
            {"task": row.task, "first": row.first, "second": row.second, "difference": row.gain, "low": _finite(row.low),
             "high": _finite(row.high), "p": _finite(row.p), "questions": row.count}
            for row in score.scores(*tables)
        ]  # fmt: skip
        return {"tasks": rows, "changes": counts(pair(*tables))}

    def list_answers(
        first: str, second: str, outcome: str = "all", task: str = "", product: str = "", page: int = 1, size: int = 48
    ) -> dict:
        """One page of questions with both stored answers. Outcome: all, fixed, regressed, both_wrong, both_right."""
        rows = choose(pair(*_both(first, second)[1]), outcome, task, product)
        size = min(max(int(size), 1), 500)
        shown = rows.iloc[(max(int(page), 1) - 1) * size :][:size][[name for name in SHOWN if name in rows]]
        return {"count": len(rows), "answers": shown.astype(object).where(shown.notna(), None).to_dict("records")}

    def ask_model(model: str, image: str, question: int = 0, thinking: bool = False, benchmark: str = "") -> dict:
        """A model's answer now to a sample's question (0: its first): reply, letter, right."""
        from studio.models import stream

        opened = named(services, benchmark)
        sample = sample_of(opened, image)
        if not 0 <= question < len(sample.questions):
            raise UserError(f"{image} has {len(sample.questions)} questions: count them from 0.")
        asked, protocol = sample.questions[question], Protocol(thinking=thinking, answering="generate")
        loaded = services.models.get(model_of(services, model))
        reply = deque(stream(loaded, opened.bench, sample, asked, protocol), maxlen=1).pop()  # the last is the whole
        letter = parse_answer(reply, asked.options)
        return {"reply": reply, "letter": letter, "right": letter == asked.answer}

    def vote(
        first: str, second: str, image: str, question: int, winner: str, benchmark: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # fmt: skip
        """Say which of two models answered a question better ("first", "second" or "tie"); gives all votes so far."""
        opened = named(services, benchmark)
        sample_of(opened, image)
        known = {source.id for source in sources(services)}
        if winner not in WINNERS or not {first, second} <= known:
            raise UserError(f"Give two ids of `models`, and the winner as one of {', '.join(WINNERS)}.")
        services.workspace.marks.vote(
            opened.id, image, question, left=first, right=second, author=services.person(request),
            winner={"first": first, "second": second}.get(winner, "tie"),
        )  # fmt: skip
        return votes(first, second, benchmark)

    def votes(first: str, second: str, benchmark: str = "") -> dict:
        """How the votes between two models stand."""
        found = tally(services.workspace.marks.votes(named(services, benchmark).id), first, second)
        return {"first": found["a"], "second": found["b"], "tie": found["tie"]}

    def comparison_report(first: str, second: str, request: gr.Request = None) -> str:  # type: ignore[assignment]
        """The comparison as one HTML page with pictures."""
        from studio.pages.compare_tasks import report_of

        (one, two), tables = _both(first, second)
        return report_of(services, request, one, two, *tables)

    def _both(first: str, second: str) -> tuple[tuple[Source, Source], tuple[pd.DataFrame, pd.DataFrame]]:
        known = {source.id: source for source in sources(services)}
        one, two = known.get(first), known.get(second)
        left, right = stored(services, one), stored(services, two)
        if one is None or two is None or left is None or right is None:
            raise UserError("Both models need stored answers: choose two ids of `models` that have them.")
        return (one, two), (left, right)

    return [models, compare_models, list_answers, ask_model, vote, votes, comparison_report]


def _finite(value: float) -> float | None:
    return value if value == value else None
