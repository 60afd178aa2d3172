"""A model is not judged on what it was trained on.

A run folder holds `snapshot.json`, and with it the hash of every picture that training showed. A model from anywhere else
cannot be checked, and nothing is said about it.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from core.mmad import Benchmark, Snapshot, refuse_leaks
from core.runs import RunFolder

PROJECT = Path(__file__).resolve().parents[2]


def refuse_trained(model: str | Path, bench: Benchmark) -> None:
    """Do nothing when no test picture of `bench` is among what `model` was trained on, as far as that is known.

    Args:
        model: a run folder, something in one (`final/`, a checkpoint), or any other path or name. Where a run began at the
            model of another run, what that one was trained on counts too.

    Raises:
        UserError: a test picture, or an exact duplicate of one, was trained on; the pictures are named.
    """
    trained: dict[str, str] = {}
    seen: set[Path] = set()
    place = _run_of(str(model))
    while place is not None and place not in seen:
        seen.add(place)
        trained.update(Snapshot.load(place / "snapshot.json").trained_hashes())
        try:
            base = str(RunFolder(place).config().get("base") or "")
        except UserError:
            base = ""  # a run without its settings: its own snapshot still counts
        place = _run_of(base) if base else None
    if not trained:
        return
    try:
        refuse_leaks(bench, trained=trained)
    except UserError as error:
        raise UserError(
            f"{model} was trained on pictures of this test. {error} Or ask with --splits about others."
        ) from None


def _run_of(name: str) -> Path | None:
    """The run folder that a model lies in, None for a model of no run."""
    for start in (Path(name), PROJECT / name):
        if start.exists():
            here = start.resolve()
            # RUN, RUN/final, RUN/grpo/checkpoint-5
            return next((p for p in (here, *here.parents[:2]) if (p / "snapshot.json").is_file()), None)
    return None
