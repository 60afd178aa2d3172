"""EMIT around a Hugging Face image-text model: configuration, modeling, processor, loading, conversion, export."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.model.configuration import EmitConfig
    from core.model.loading import load_model
    from core.model.modeling import EmitForConditionalGeneration
    from core.model.processing import EmitProcessor

# torch and transformers take seconds to import, so names are only loaded when asked for (PEP 562).
_HOME = {
    "EmitConfig": "configuration",
    "EmitForConditionalGeneration": "modeling",
    "EmitProcessor": "processing",
    "load_model": "loading",
}
__all__ = ["EmitConfig", "EmitForConditionalGeneration", "EmitProcessor", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
