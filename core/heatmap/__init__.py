"""The comparison at EMIT's heart: patch features of a query against those of a normal reference.

`anomaly_map` is the map, `ContrastiveEmbedder` turns it into tokens for the language model, `overlay` shows it to people.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.heatmap.comparison import anomaly_map
    from core.heatmap.embedder import ContrastiveEmbedder
    from core.heatmap.pairs import compare_pictures
    from core.heatmap.pictures import overlay

# The overlay works on arrays and imports no torch, so names are only loaded when asked for (PEP 562).
_HOME = {
    "anomaly_map": "comparison",
    "ContrastiveEmbedder": "embedder",
    "compare_pictures": "pairs",
    "overlay": "pictures",
}
__all__ = ["ContrastiveEmbedder", "anomaly_map", "compare_pictures", "overlay"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
