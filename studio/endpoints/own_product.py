"""Endpoints of the page that brings an own product in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from studio import intake
from studio.endpoints import named, uploaded
from studio.services import Services


def endpoints(services: Services) -> list[Callable[..., Any]]:
    def list_folders(folder: str, archive: list[gr.FileData]) -> dict:
        """The picture folders of a product (a folder of the server, or an uploaded zip): path, count, role as guessed.

        `root` in the answer is what `add_product` takes.
        """
        root = intake.source(services, folder, next(iter(uploaded(archive)), None))
        found = [{"folder": f.path, "count": f.count, "role": f.role} for f in intake.look(root)]
        return {"root": intake.told(services, root), "folders": found}

    def add_product(
        root: str, name: str, good: list[str], defects: list[str], masks: list[str], keep_splits: bool = False
    ) -> dict:
        """Make a benchmark of the folders that hold good pieces, defects and masks; runs in the background."""
        intake.start(services, intake.known(services, root), name, good, defects, masks, keep_splits=keep_splits)
        return product_state(name)

    def product_state(name: str) -> dict:
        """How far that is: state, done, total, message; once done: benchmark, pictures, left_out, findings."""
        job = services.jobs.get(intake.job_name(name))
        if job is None:
            raise UserError(f"No product {name!r} is being made: call add_product first.")
        told = {"state": job.state, "done": job.done, "total": job.total, "message": job.message}
        if job.state == "done":
            number, made = job.result
            told |= {"benchmark": number, "pictures": len(made.bench), "left_out": [list(row) for row in made.skipped],
                     "findings": [list(row) for row in made.findings]}  # fmt: skip
        return told

    def open_benchmark(folder: str) -> dict:
        """Open a folder in MMAD's layout that lies on the server: id, name."""
        intake.only_local(services)
        opened = services.open(folder)
        return {"id": opened.id, "name": opened.name}

    def forget_benchmark(benchmark: str) -> str:
        """Take a benchmark off the list; its files and what people wrote about it stay."""
        services.workspace.benchmarks.forget(named(services, benchmark).id)
        return "forgotten"

    return [list_folders, add_product, product_state, open_benchmark, forget_benchmark]
