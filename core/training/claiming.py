"""Becoming a run's worker, before torch is loaded: the app sees it running within a second."""

from __future__ import annotations

import os
from pathlib import Path

from core.runs import Journal, RunFolder, RunState
from core.training.config import RunConfig


def claim(config: RunConfig, folder: str | Path) -> Journal | None:
    """Become the worker of `folder` (made if it is new); None for all processes but the first.

    Raises:
        UserError: another process is its worker, or the folder is of another version.
    """
    if int(os.environ.get("RANK", 0)):
        return None
    place = RunFolder(Path(folder).resolve())
    if not (place.path / "state.json").is_file():
        config.save_to(place.path / "config.yaml")
        place.write_state(RunState(message="Started."))
    return Journal.claim(place)
