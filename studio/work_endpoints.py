"""What scripts can do over HTTP with the Train, Compare and Inspect pages (`gradio_client`): small, typed, documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from core.errors import UserError
from core.runs import RunFolder
from studio.endpoints import named
from studio.services import Services
from studio.views import scores as score
from studio.views.pairs import counts, pair
from studio.views.sources import sources, stored


def train(services: Services) -> list[Callable[..., Any]]:
    """Endpoints of the Train page."""

    def runs() -> list[dict]:
        """All training runs, newest first."""
        return [_state(services, run) for run in services.queue.runs()]

    def run_state(run: str) -> dict:
        """Where one run stands: status, stage, step, message."""
        return _state(services, _find(services, run))

    def start_training(settings: str, snapshot: str = "", benchmark: str = "") -> str:
        """Start (or queue) a run on a benchmark (empty: the one the studio opens with) or a saved snapshot; gives its id.

        `settings` is YAML as on the page: "preset: smoke", and whatever shall differ from the preset.
        """
        from studio.pages.train_form import start_run_of

        return start_run_of(services, named(services, benchmark), settings, snapshot, None).id

    def stop_training(run: str) -> dict:
        """Save a checkpoint and end the run."""
        found = _find(services, run)
        services.queue.stop(found)
        return _state(services, found)

    def resume_training(run: str) -> dict:
        """Go on from the run's last checkpoint."""
        found = _find(services, run)
        services.queue.resume(found)
        return _state(services, found)

    return [runs, run_state, start_training, stop_training, resume_training]


def compare(services: Services) -> list[Callable[..., Any]]:
    """Endpoints of the Compare page."""

    def models() -> list[dict]:
        """What can be compared: id, label, and whether answers are stored."""
        return [{"id": s.id, "label": s.label, "stored": s.answers is not None} for s in sources(services)]

    def compare_models(first: str, second: str) -> dict:
        """Both models over all tasks, on the questions both answered: a row per task, and how many answers changed."""
        known = {source.id: source for source in sources(services)}
        tables = [stored(services, known.get(name)) for name in (first, second)]
        if tables[0] is None or tables[1] is None:
            raise UserError("Both models need stored answers: choose two ids of `models` that have them.")
        rows = [
            {"task": row.task, "first": row.first, "second": row.second, "difference": row.gain, "low": _finite(row.low),
             "high": _finite(row.high), "p": _finite(row.p), "questions": row.count}
            for row in score.scores(*tables)
        ]  # fmt: skip
        return {"tasks": rows, "changes": counts(pair(*tables))}

    return [models, compare_models]


def inspect(services: Services) -> list[Callable[..., Any]]:
    """Endpoints of the Inspect page."""

    def inspect_pictures(
        pictures: list[gr.FileData], references: list[gr.FileData], model: str, kinds: list[str], threshold: float = 0.5
    ) -> list[dict]:
        """A verdict for every picture beside its golden references: verdict, P(defect), type, place."""
        from studio.inspection import Wish
        from studio.inspection import inspect_pictures as judge
        from studio.pages.inspect_page import read_pictures

        (queries, bad), (normals, _) = (read_pictures(_uploaded(files)) for files in (pictures, references))
        source = next((source for source in sources(services) if source.id == model and source.model), None)
        if source is None or source.model is None:
            raise UserError("There is no such model: choose an id of `models`.")
        if bad or not queries:
            raise UserError(f"No pictures: {', '.join(bad)}." if bad else "Give at least one picture.")
        wish = Wish(kinds=tuple(kinds), threshold=threshold)
        loaded = services.models.get(source.model)
        return [verdict.row() for verdict in judge(loaded, queries, [picture for _, picture in normals], wish)]

    return [inspect_pictures]


def _uploaded(files: list[gr.FileData]) -> list[str]:
    """The paths of uploaded files; a path of the server's own is refused."""
    folder = Path(get_upload_folder()).resolve()
    paths = [Path(file["path"]).resolve() for file in files]
    if not all(folder in path.parents for path in paths):
        raise UserError("Pictures must be uploaded: wrap their paths in gradio_client.handle_file.")
    return [str(path) for path in paths]


def _find(services: Services, run: str) -> RunFolder:
    found = services.queue.find(run)
    if found is None:
        raise UserError("There is no such run: choose an id of `runs`.")
    return found


def _state(services: Services, run: RunFolder) -> dict[str, Any]:
    state = run.state()
    return {
        "id": run.id, "status": state.status, "stage": state.stage, "step": state.step, "steps": state.steps,
        "message": state.message, "place": services.queue.place(run),
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if value == value else None
