"""Endpoints of the Train page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.runs import RunFolder, delete_run
from core.training import preset_names
from studio.endpoints import named, run_of
from studio.services import Services


def endpoints(services: Services) -> list[Callable[..., Any]]:
    def presets() -> list[str]:
        """The names that `preset:` may have."""
        return list(preset_names())

    def snapshots() -> list[str]:
        """The data of earlier runs, newest first, to train on again."""
        from studio.pages.train_form import saved_snapshots

        return [path.name for path in saved_snapshots(services)]

    def plan_training(settings: str) -> dict:
        """What settings (YAML as on the page) amount to: all of them, and the memory needed in bytes (None: unknown)."""
        from core.training.memory import estimate
        from studio.views.settings_form import parse

        config = parse(settings)
        needed = estimate(config)
        return {"settings": config.to_dict(), "memory": needed.peak if needed else None}

    def start_training(settings: str, snapshot: str = "", benchmark: str = "") -> str:
        """Start (or queue) a run on a benchmark (empty: the one the studio opens with) or a saved snapshot; gives its id.

        `settings` is YAML as on the page: "preset: smoke", and whatever shall differ from the preset.
        """
        from studio.pages.train_form import start_run_of

        return start_run_of(services, named(services, benchmark), settings, snapshot, None).id

    def runs() -> list[dict]:
        """All training runs, newest first."""
        return [_state(services, run) for run in services.queue.runs()]

    def run_state(run: str) -> dict:
        """Where one run stands: status, stage, step, message."""
        return _state(services, run_of(services, run))

    def run_metrics(run: str) -> list[dict]:
        """What the curves are drawn from: a row a step and stage."""
        return run_of(services, run).metric_rows()

    def run_log(run: str, lines: int = 40) -> str:
        """The last lines of a run's log."""
        return run_of(services, run).log_tail(min(max(int(lines), 1), 5000))

    def run_answers(run: str) -> list[dict]:
        """The sample answers of the last logged step, with rewards and advantages."""
        table = run_of(services, run).completions()
        last = table[table["step"] == table["step"].max()] if len(table) else table
        return last.astype(object).where(last.notna(), None).to_dict("records")

    def stop_training(run: str) -> dict:
        """Save a checkpoint and end the run."""
        return _done(run, services.queue.stop)

    def cancel_training(run: str) -> dict:
        """End the run at once, without saving."""
        return _done(run, services.queue.cancel)

    def resume_training(run: str) -> dict:
        """Go on from the run's last checkpoint."""
        return _done(run, services.queue.resume)

    def delete_training(run: str) -> str:
        """Remove a run that is over, with its checkpoints, curves and answers. This cannot be undone."""
        found = run_of(services, run)
        services.queue.leave(found)
        delete_run(found)
        return "deleted"

    def _done(run: str, action: Callable[[RunFolder], None]) -> dict:
        found = run_of(services, run)
        action(found)
        return _state(services, found)

    return [presets, snapshots, plan_training, start_training, runs, run_state, run_metrics, run_log, run_answers,
            stop_training, cancel_training, resume_training, delete_training]  # fmt: skip


def _state(services: Services, run: RunFolder) -> dict[str, Any]:
    state = run.state()
    return {
        "id": run.id, "status": state.status, "stage": state.stage, "step": state.step, "steps": state.steps,
        "message": state.message, "place": services.queue.place(run),
    }  # fmt: skip
