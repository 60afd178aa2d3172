"""Endpoints of the Describe page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from core.workspace import Conflict, Status, export_knowledge, import_knowledge
from studio import generation
from studio.endpoints import named
from studio.services import Opened, Services
from studio.views import describing


def endpoints(services: Services) -> list[Callable[..., Any]]:
    def list_texts(product: str, benchmark: str = "") -> list[dict]:
        """The texts of a product ("product" or "dataset/product"): name, status, text, revision."""
        opened = named(services, benchmark)
        return [
            {"name": e.name, "kind": e.kind, "status": e.status, "text": e.text,
             "revision": describing.choose(services, opened, e).based_on}
            for e in describing.entries(services, opened, _product(opened, product))
        ]  # fmt: skip

    def get_text(product: str, name: str, benchmark: str = "") -> dict:
        """One text with its suggestions and its history, both newest first."""
        opened = named(services, benchmark)
        entry = _entry(services, opened, product, name)
        chosen = describing.choose(services, opened, entry)
        return {
            "text": entry.text, "status": entry.status, "original": entry.original, "revision": chosen.based_on,
            "suggestions": [
                {"text": s.text, "model": s.model, "tokens": s.prompt_tokens + s.completion_tokens, "cost": s.cost,
                 "when": s.created.isoformat()} for s in chosen.suggestions
            ],
            "history": [
                {"revision": r.number, "based_on": r.based_on, "text": r.text, "status": r.status, "author": r.author,
                 "parked": r.parked, "when": r.created.isoformat()} for r in chosen.history
            ],
        }  # fmt: skip

    def save_text(
        product: str, name: str, text: str, status: str = "draft", based_on: int = -1, benchmark: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # fmt: skip
        """Append a revision; `based_on` is the revision you read (-1: whatever is newest). A conflict keeps both texts."""
        opened = named(services, benchmark)
        entry = _entry(services, opened, product, name)
        if status not in set(Status):
            raise UserError(f"There is no status {status!r}: use {', '.join(Status)}.")
        seen = describing.choose(services, opened, entry).based_on if based_on < 0 else based_on
        author = services.person(request)
        try:
            saved = describing.save(services, opened, entry, text, status=status, author=author, based_on=seen)
        except Conflict as conflict:
            return {"saved": False, "message": str(conflict), "revision": conflict.mine.number}
        return {"saved": True, "message": "", "revision": saved.number}

    def estimate_texts(product: str = "", describer: str = "", benchmark: str = "") -> dict:
        """What suggesting would need: texts, calls, tokens, cost in US dollars (None when the price is unknown)."""
        opened = named(services, benchmark)
        found = generation.estimate(services, opened, _keys(services, opened, product), describer or None)
        return {"texts": found.texts, "calls": found.calls, "tokens": found.tokens, "cost": found.cost}

    def suggest_texts(product: str = "", describer: str = generation.OFFLINE, benchmark: str = "") -> dict:
        """Let a describer suggest texts in the background: all of a product, or ("") all that are missing."""
        opened = named(services, benchmark)
        keys = _keys(services, opened, product)
        if not keys:
            return {"state": "done", "done": 0, "total": 0, "message": ""}
        generation.start(services, opened, keys, describer)
        return suggesting(benchmark)

    def suggesting(benchmark: str = "") -> dict:
        """How far the describer is: state, done, total, message."""
        job = services.jobs.get(generation.job_name(named(services, benchmark)))
        if job is None:
            return {"state": "none", "done": 0, "total": 0, "message": ""}
        return {"state": job.state, "done": job.done, "total": job.total, "message": job.message}

    def stop_suggesting(benchmark: str = "") -> dict:
        """End the describer after the text it is at; what is written stays."""
        job = services.jobs.get(generation.job_name(named(services, benchmark)))
        if job is not None:
            job.stop()
        return suggesting(benchmark)

    def get_knowledge(benchmark: str = "") -> dict:
        """All texts as people left them, in the shape of domain_knowledge.json."""
        opened = named(services, benchmark)
        return export_knowledge(services.workspace, opened.bench, opened.id)

    def put_knowledge(knowledge: dict, benchmark: str = "", request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Save texts of that shape as drafts."""
        opened = named(services, benchmark)
        if not _is_knowledge(knowledge):
            raise UserError("Knowledge must be dataset -> product -> defect -> text.")
        who = services.person(request)
        done = import_knowledge(services.workspace, opened.bench, opened.id, knowledge, author=who)
        return {"saved": len(done.saved), "same": done.same, "unknown": len(done.unknown)}

    return [list_texts, get_text, save_text, estimate_texts, suggest_texts, suggesting, stop_suggesting, get_knowledge,
            put_knowledge]  # fmt: skip


def _is_knowledge(value: Any) -> bool:
    for _ in ("dataset", "product"):
        if not isinstance(value, dict) or not all(isinstance(inner, dict) for inner in value.values()):
            return False
        value = {(name, key): item for name, inner in value.items() for key, item in inner.items()}
    return all(isinstance(text, str) for text in value.values())


def _keys(services: Services, opened: Opened, product: str) -> list[tuple[str, str, str]]:
    if not product:
        return generation.missing(services, opened)
    where = _product(opened, product)
    return [(*where, e.name) for e in describing.entries(services, opened, where) if e.kind == "description"]


def _product(opened: Opened, name: str) -> tuple[str, str]:
    for dataset, product in describing.products(opened.bench):
        if name in (product, f"{dataset}/{product}"):
            return dataset, product
    raise UserError(f"{opened.name} has no product {name!r}.")


def _entry(services: Services, opened: Opened, product: str, name: str) -> describing.Entry:
    for entry in describing.entries(services, opened, _product(opened, product)):
        if entry.name == name:
            return entry
    raise UserError(f"{product} has no text {name!r}: list_texts names those there are.")
