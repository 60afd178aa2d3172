"""The loop: benchmark -> snapshot -> run (SFT, difficulty-aware GRPO, evaluation) -> table of base and tuned.

The run is a process of its own in a run folder, the same as the Train page starts: this command only follows it. Stopped
here (Ctrl+C) it saves a checkpoint, and the same folder can be resumed.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from core.demo.bars import bar
from core.errors import UserError
from core.mmad import Protocol, Snapshot, Task, read_mmad
from core.mmad.vocabulary import Benchmark

POLL = 0.3  # seconds between two looks at the run folder


LARGE = "large"  # given as `data`: the embedded demo with ten times the training pictures


def open_benchmark(data: str | Path | None, workspace: Path) -> Benchmark:
    """The benchmark at `data`; None or LARGE: the embedded demo, rendered into the workspace when it is not there yet."""
    if data is not None and str(data) != LARGE:
        return read_mmad(data)
    from core.synthesis.factory import write_demo
    from core.synthesis.factory.plans import LARGE as MORE

    sizes: dict[str, Any] = {} if data is None else MORE
    with bar("demo pictures") as show:
        return write_demo(workspace / "benchmarks" / ("demo-large" if sizes else "demo"), progress=show, **sizes)


def run_loop(
    data: str | Path | None,
    *,
    preset: str,
    workspace: str | Path,
    base: str | None = None,
    seed: int = 0,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry the loop out and return what `--json` writes: per task accuracy of base and tuned in percent.

    Args:
        data: root of a benchmark in MMAD's layout; None takes the embedded demo.
        workspace: folder below which runs, snapshots and the demo benchmark are kept.
        base: model to start from, by default the preset's.
        changes: settings that differ from the preset, as in `RunConfig.with_`.

    Raises:
        UserError: a bad benchmark or setting, or the run failed (its own sentence).
    """
    from core.runs import create_run, start_run
    from core.training import preset as preset_of

    began = time.monotonic()
    workspace = Path(workspace)
    config = preset_of(preset).with_(seed=seed, **({"base": base} if base else {}), **(changes or {}))
    bench = open_benchmark(data, workspace)
    if not any(sample.questions for sample in bench.split("train")):
        raise UserError(
            f"{bench.root} has no training questions: build it with a training part, for example "
            "python -m core.synthesis ... --split auto."
        )
    snapshot = Snapshot.of(bench, options={"benchmark": bench.root.name}, seed=seed)
    place = snapshot.save(workspace / "snapshots" / f"{snapshot.digest[:16]}.json")
    config = config.with_(snapshot=str(place.resolve()))
    run = create_run(workspace / "runs", config.to_dict(), name=f"{preset}-{bench.root.name}")
    start_run(run)
    follow(run)
    table = run.table()
    if table is None:
        raise UserError(f"Run {run.id} has no evaluation: set evaluate.final to a split of the benchmark.")
    return result_of(table, run.path, preset, seconds=time.monotonic() - began)


def follow(run: Any) -> None:
    """Show the progress of a started run until it is over.

    Raises:
        UserError: it did not finish; the sentence says why and how to go on.
    """
    from core.runs import list_runs, stop_run

    stage = ""
    with ExitStack() as bars:
        try:
            while not (state := run.state()).is_over:
                if state.stage != stage:
                    bars.close()
                    stage, show = state.stage, bars.enter_context(bar(state.stage))
                if stage and state.steps:
                    show(state.step, state.steps)
                time.sleep(POLL)
                list_runs(run.path.parent)  # notices a worker that is gone
        except KeyboardInterrupt:
            stop_run(run)
            raise UserError(f"Stopped. Go on with: python -m core.training {run.path}") from None
    if state.status != "finished":
        raise UserError(f"Run {run.id} {state.status}: {state.message} Its log is {run.path / 'log.txt'}.")


def result_of(table: dict[str, Any], run: Path, preset: str, *, seconds: float) -> dict[str, Any]:
    """The result of a run for scripts: tasks that the benchmark lacks are left out."""
    rows = {name: table[name]["Average"] for name in ("base", "tuned")}
    names = [*(task.value for task in Task), "Average"]
    return {
        "preset": preset,
        "protocol": table["protocol"],
        "questions": table["questions"],
        "labels": table["labels"],
        **{name: {task: row[task] for task in names if row.get(task) is not None} for name, row in rows.items()},
        "seconds": round(seconds, 1),
        "run": str(run),
    }


def format_table(result: dict[str, Any]) -> str:
    """The 7-task table as text: a row per task, columns base, tuned and their difference, in percent."""
    lines = [f"{'task':24}{'base':>9}{'tuned':>9}{'gain':>9}"]
    for task, base in result["base"].items():
        tuned = result["tuned"][task]
        if task == "Average":
            lines.append("-" * len(lines[0]))
        lines.append(f"{task:24}{base:9.2f}{tuned:9.2f}{tuned - base:+9.2f}")
    lines.append(f"{result['questions']} questions, {result['seconds']:.0f} s, preset {result['preset']}")
    lines.append(f"protocol: {Protocol(**result['protocol'])}")
    lines += [f"note: {label}" for label in result["labels"]]
    return "\n".join(lines)
