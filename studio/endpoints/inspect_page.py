"""Endpoints of the Inspect page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from studio.adding import add_picture
from studio.endpoints import drawn, model_of, named, uploaded
from studio.services import Services


def endpoints(services: Services) -> list[Callable[..., Any]]:
    def inspect_pictures(
        pictures: list[gr.FileData], references: list[gr.FileData], model: str, kinds: list[str], threshold: float = 0.5
    ) -> list[dict]:
        """A verdict for every picture beside its golden references: verdict, P(defect), type, place."""
        from studio.inspection import Wish
        from studio.inspection import inspect_pictures as judge

        queries, normals = _read(pictures), _read(references)
        if not queries:
            raise UserError("Give at least one picture.")
        wish = Wish(kinds=tuple(kinds), threshold=threshold)
        loaded = services.models.get(model_of(services, model))
        return [verdict.row() for verdict in judge(loaded, queries, [picture for _, picture in normals], wish)]

    def teach_picture(
        picture: list[gr.FileData], product: str, label: str, mask: list[gr.FileData], benchmark: str = ""
    ) -> str:
        """Put a picture with its right label ("good" or a defect), and a mask file or none, into a benchmark; gives its name."""
        queries = _read(picture[:1])
        if not queries:
            raise UserError("Give a picture.")
        opened = named(services, benchmark)
        return add_picture(services, opened, queries[0][1], product=product, label=label, drawn=drawn(mask)).image

    return [inspect_pictures, teach_picture]


def _read(files: list[gr.FileData]) -> list[tuple[str, Any]]:
    from studio.pages.inspect_page import read_pictures

    found, bad = read_pictures(uploaded(files))
    if bad:
        raise UserError(f"No pictures: {', '.join(bad)}.")
    return found
