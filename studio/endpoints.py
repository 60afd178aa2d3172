"""What scripts can do through `gradio_client`: typed functions by name, the same services the pages use.

    client = Client("http://127.0.0.1:7860")
    client.predict("demo", 1, 48, api_name="/list_samples")

A benchmark is named by its name or number; an empty name is the one the studio opens with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from core.mmad import Sample
from core.workspace import Conflict, export_knowledge, import_knowledge
from studio import generation
from studio.services import Opened, Services
from studio.views import describing
from studio.views.catalogue import catalogue, choice_of, select


def named(services: Services, benchmark: str) -> Opened:
    """The benchmark of that name or number; empty: the one the studio opens with."""
    if not benchmark:
        found = services.of(None)
        if found is None:
            raise UserError("The demo benchmark is still being made: try again in a minute.")
        return found
    for row in services.benchmarks():
        if benchmark in (row.name, str(row.id)):
            return services.opened(row.id)
    raise UserError(f"There is no benchmark {benchmark!r}: list_benchmarks names those there are.")


def browse(services: Services) -> list[Callable[..., Any]]:
    """Endpoints of the Browse page."""

    def list_benchmarks() -> list[dict]:
        """The opened benchmarks: id, name, folder."""
        # Not "path": clients take an object with that key for a file to fetch.
        return [{"id": row.id, "name": row.name, "folder": row.path} for row in services.benchmarks()]

    def list_samples(benchmark: str = "", filters: dict | None = None, page: int = 1, size: int = 48) -> dict:
        """One page of samples. Filters: dataset, product, defect, split, task, status, answers, mark, words, order."""
        opened = named(services, benchmark)
        rows = select(catalogue(services, opened), choice_of(filters or {}))
        size = min(max(int(size), 1), 500)
        shown = rows.iloc[(max(int(page), 1) - 1) * size :][:size]
        return {"count": len(rows), "samples": [_brief(opened.bench.by_image[image]) for image in shown["image"]]}

    def get_sample(image: str, benchmark: str = "") -> dict:
        """One sample with its questions and right answers."""
        sample = _sample(named(services, benchmark), image)
        questions = [
            {"question": q.text, "options": dict(q.options), "answer": q.answer, "task": q.task.value}
            for q in sample.questions
        ]
        references = list(dict.fromkeys((*sample.similar_templates, *sample.random_templates)))
        return {**_brief(sample), "mask": sample.mask, "references": references, "questions": questions}

    def flag_sample(image: str, reason: str = "", benchmark: str = "", request: gr.Request = None) -> str:  # type: ignore[assignment]
        """Keep a sample out of training and scoring."""
        opened = named(services, benchmark)
        _sample(opened, image)
        services.workspace.marks.flag(opened.id, image, reason=reason, author=services.person(request))
        return "flagged"

    def unflag_sample(image: str, benchmark: str = "", request: gr.Request = None) -> str:  # type: ignore[assignment]
        """Take a flagged sample back."""
        opened = named(services, benchmark)
        services.workspace.marks.unflag(opened.id, image, author=services.person(request))
        return "unflagged"

    return [list_benchmarks, list_samples, get_sample, flag_sample, unflag_sample]


def describe(services: Services) -> list[Callable[..., Any]]:
    """Endpoints of the Describe page."""

    def list_texts(product: str, benchmark: str = "") -> list[dict]:
        """The texts of a product ("product" or "dataset/product"): name, status, text, revision."""
        opened = named(services, benchmark)
        return [
            {"name": e.name, "kind": e.kind, "status": e.status, "text": e.text,
             "revision": describing.choose(services, opened, e).based_on}
            for e in describing.entries(services, opened, _product(opened, product))
        ]  # fmt: skip

    def save_text(
        product: str, name: str, text: str, status: str = "draft", based_on: int = -1, benchmark: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> dict:  # fmt: skip
        """Append a revision; `based_on` is the revision you read (-1: whatever is newest). A conflict keeps both texts."""
        opened = named(services, benchmark)
        entry = _entry(services, opened, product, name)
        seen = describing.choose(services, opened, entry).based_on if based_on < 0 else based_on
        author = services.person(request)
        try:
            saved = describing.save(services, opened, entry, text, status=status, author=author, based_on=seen)
        except Conflict as conflict:
            return {"saved": False, "message": str(conflict), "revision": conflict.mine.number}
        return {"saved": True, "message": "", "revision": saved.number}

    def suggest_texts(product: str = "", describer: str = generation.OFFLINE, benchmark: str = "") -> dict:
        """Let a describer suggest texts in the background: all of a product, or ("") all that are missing."""
        opened = named(services, benchmark)
        keys = generation.missing(services, opened)
        if product:
            where = _product(opened, product)
            keys = [(*where, e.name) for e in describing.entries(services, opened, where) if e.kind == "description"]
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

    def get_knowledge(benchmark: str = "") -> dict:
        """All texts as people left them, in the shape of domain_knowledge.json."""
        opened = named(services, benchmark)
        return export_knowledge(services.workspace, opened.bench, opened.id)

    def put_knowledge(knowledge: dict, benchmark: str = "", request: gr.Request = None) -> dict:  # type: ignore[assignment]
        """Save texts of that shape as drafts."""
        opened = named(services, benchmark)
        if not all(isinstance(t, str) for ps in knowledge.values() for ts in ps.values() for t in ts.values()):
            raise UserError("Knowledge must be dataset -> product -> defect -> text.")
        who = services.person(request)
        done = import_knowledge(services.workspace, opened.bench, opened.id, knowledge, author=who)
        return {"saved": len(done.saved), "same": done.same, "unknown": len(done.unknown)}

    return [list_texts, save_text, suggest_texts, suggesting, get_knowledge, put_knowledge]


def _brief(sample: Sample) -> dict[str, Any]:
    return {"image": sample.image, "dataset": sample.dataset, "product": sample.product, "defect": sample.label,
            "split": sample.split, "text": sample.text}  # fmt: skip


def _sample(opened: Opened, image: str) -> Sample:
    if image not in opened.bench.by_image:
        raise UserError(f"{opened.name} has no sample {image!r}: list_samples names those there are.")
    return opened.bench.by_image[image]


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
