"""The models a comparison can choose from: base and tuned of every run, the shipped model, the one named in Settings.

A source has stored answers (a folder of part files), or a model that can be asked, or both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.mmad import Benchmark, Snapshot
from core.runs import RunFolder
from studio.models import SHIPPED, shipped

if TYPE_CHECKING:
    import pandas as pd

    from studio.services import Opened, Services

PROJECT = SHIPPED.parent.parent
SIDES = ("base", "tuned")


@dataclass(frozen=True)
class Source:
    """One model to compare.

    Attributes:
        id: "<run id>:tuned", "<run id>:base" or "model:<path>"; it stands in addresses and votes.
        label: what people call it.
        model: path or hub name to load, None when it is not there any more.
        answers: folder of its stored answers, None without any.
        snapshot: file of the data it was asked about, "" for none.
    """

    id: str
    label: str
    model: str | None = None
    answers: Path | None = None
    snapshot: str = ""


def sources(services: Services) -> list[Source]:
    """All of them, newest run first, tuned before base."""
    found: list[Source] = []
    for run in services.queue.runs():
        found += _of_run(run)
    paths = dict.fromkeys([str(services.workspace.settings.get("model") or ""), *map(str, shipped())])
    for path in paths:
        if path and (model := model_place(path)):
            found.append(Source(f"model:{path}", Path(path).name, model))
    return found


def _of_run(run: RunFolder) -> list[Source]:
    try:
        config = run.config()
    except UserError:
        return []
    name, snapshot = str(config.get("name") or run.id), str(config.get("snapshot") or "")
    models = {
        "base": model_place(str(config.get("base") or "")),
        "tuned": str(run.final) if run.final.is_dir() else None,
    }
    result = []
    for side in reversed(SIDES):
        folder = run.path / "answers" / side
        answers = folder if any(folder.glob("part-*.parquet")) else None
        if answers or (side == "tuned" and models[side]):
            result.append(
                Source(f"{run.id}:{side}", f"{name} · {side} · {run.id[4:13]}", models[side], answers, snapshot)
            )
    return result


def model_place(name: str) -> str | None:
    """Where a model lies: its folder (relative ones are the project's), else None; nothing is downloaded for a look."""
    for place in (Path(name), PROJECT / name):
        if name and place.is_dir():
            return str(place)
    return None


def stored(services: Services, source: Source | None) -> pd.DataFrame | None:
    """The stored answers, None without any; read again only when part files have come."""
    if source is None or source.answers is None:
        return None
    from core.evaluation import read_answers

    folder = source.answers
    try:
        stamp = max(path.stat().st_mtime_ns for path in folder.glob("part-*.parquet"))
    except (OSError, ValueError):
        return None
    return services.remember((f"answers {folder}", str(stamp)), lambda: read_answers(folder))


def pictures(services: Services, opened: Opened | None, source: Source | None, image: str) -> Benchmark | None:
    """The benchmark that holds `image`: the open one, else the snapshot the answers belong to; None when it is gone."""
    if opened is not None and image in opened.bench.by_image:
        return opened.bench
    if source is None or not source.snapshot or not Path(source.snapshot).is_file():
        return None
    path = Path(source.snapshot)
    try:
        bench = services.remember(
            (f"snapshot {path}", str(path.stat().st_mtime_ns)), lambda: Snapshot.load(path).benchmark
        )
    except UserError:
        return None
    return bench if image in bench.by_image else None
