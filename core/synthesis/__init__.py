"""From product folders to multi-task questions: sources, regions, questions, templates, descriptions, exports. No torch;
image features come in as a function `encode`.

Names are imported when they are asked for, so that a script that only names the regions of a mask loads nothing else.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "read_source": "sources",
    "SOURCES": "sources",
    "Found": "sources.found",
    "build_questions": "questions",
    "region_names": "regions",
    "REGIONS": "regions",
    "WORDINGS": "regions",
    "similar_templates": "templates",
    "with_templates": "templates",
    "describe": "descriptions",
    "text_samples": "descriptions",
    "export": "exports",
    "FORMATS": "exports",
    "build": "building",
    "unpack": "archives",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
