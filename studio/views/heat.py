"""The heatmap of a sample: where the model's vision layers see a difference from the reference. Computed when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.mmad import Benchmark, Sample
from core.pictures import open_image
from studio.i18n import say
from studio.models import difference, first_model
from studio.placement import placement
from studio.thumbnails import LARGE

if TYPE_CHECKING:
    import gradio as gr

    from studio.services import Services


def model_path(services: Services) -> Path:
    """The model that looks: the one chosen in Settings, else the one that ships (tuned, if there is one)."""
    return Path(services.workspace.settings.get("model") or first_model())


def slider_pair(services: Services, bench: Benchmark, sample: Sample, request: gr.Request | None) -> tuple[Any, Any]:
    """(picture, picture with the heatmap over it), PIL, for a slider.

    Raises:
        UserError: there is no reference, no model, or a picture cannot be opened.
    """
    reference = bench.reference(sample)
    if sample.text is not None or reference is None:
        raise UserError(say(request, "browse.heatmap_none"))
    path = model_path(services)
    if not path.exists():
        raise UserError(say(request, "browse.heatmap_missing"))
    query, normal = open_image(bench.path(sample.image)), open_image(bench.path(reference))
    for picture in (query, normal):
        picture.thumbnail((LARGE, LARGE))
    heated = difference(services.models.get(path), query, normal, placement(services, sample.product))
    if heated is None:
        raise UserError(say(request, "browse.heatmap_missing"))
    return query, heated
