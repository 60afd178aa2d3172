"""Endpoints of the Browse page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from core.mmad import Sample, audit
from studio.endpoints import drawn, named, sample_of
from studio.services import Services
from studio.views import heat, masks
from studio.views.catalogue import catalogue, choice_of, select


def endpoints(services: Services) -> list[Callable[..., Any]]:
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
        sample = sample_of(named(services, benchmark), image)
        questions = [
            {"question": q.text, "options": dict(q.options), "answer": q.answer, "task": q.task.value}
            for q in sample.questions
        ]
        references = list(dict.fromkeys((*sample.similar_templates, *sample.random_templates)))
        return {**_brief(sample), "mask": sample.mask, "references": references, "questions": questions}

    def draw_heatmap(image: str, benchmark: str = "", request: gr.Request = None) -> str:  # type: ignore[assignment]
        """The sample with its heatmap laid over, as a PNG in base64."""
        bench = named(services, benchmark)
        _, heated = heat.slider_pair(services, bench.bench, sample_of(bench, image), request)
        buffer = io.BytesIO()
        heated.save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    def flag_sample(image: str, reason: str = "", benchmark: str = "", request: gr.Request = None) -> str:  # type: ignore[assignment]
        """Keep a sample out of training and scoring."""
        opened = named(services, benchmark)
        sample_of(opened, image)
        services.workspace.marks.flag(opened.id, image, reason=reason, author=services.person(request))
        return "flagged"

    def unflag_sample(image: str, benchmark: str = "", request: gr.Request = None) -> str:  # type: ignore[assignment]
        """Take a flagged sample back."""
        opened = named(services, benchmark)
        services.workspace.marks.unflag(opened.id, image, author=services.person(request))
        return "unflagged"

    def correct_sample(
        image: str, label: str, mask: list[gr.FileData], benchmark: str = "", request: gr.Request = None,  # type: ignore[assignment]
    ) -> str:  # fmt: skip
        """Give a sample its right label ("good" or a defect) and, if you like, a mask file; kept as a revision."""
        opened = named(services, benchmark)
        sample_of(opened, image)
        if not label.strip():
            raise UserError('Give the right label: "good", or the defect\'s name.')
        kept = masks.keep(opened.bench, image, drawn(mask))
        author = services.person(request)
        services.workspace.marks.correct(opened.id, image, label=label.strip(), author=author, mask=kept)
        return "corrected"

    def audit_benchmark(benchmark: str = "") -> list[dict]:
        """What is wrong with a benchmark: kind, image, message of each finding. Opens every picture: takes a while."""
        found = audit(named(services, benchmark).bench)
        return [{"kind": str(r.kind), "image": str(r.image), "message": str(r.message)} for r in found.itertuples()]

    return [list_benchmarks, list_samples, get_sample, draw_heatmap, flag_sample, unflag_sample, correct_sample,
            audit_benchmark]  # fmt: skip


def _brief(sample: Sample) -> dict[str, Any]:
    return {"image": sample.image, "dataset": sample.dataset, "product": sample.product, "defect": sample.label,
            "split": sample.split, "text": sample.text}  # fmt: skip
