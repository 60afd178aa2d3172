"""Carries a run out: run config, grounding (small models), SFT stage, difficulty-aware GRPO stage, validation, evaluation.

    python -m core.training RUN_DIR

`core.training.config` imports no torch, so that a page can show and check settings at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.training.config import RunConfig, preset, preset_names

if TYPE_CHECKING:
    from core.training.worker import run as run

__all__ = ["RunConfig", "preset", "preset_names", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        return import_module("core.training.worker").run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
