"""The workspace: one folder (or database URL) with everything people make, and how it is laid over a benchmark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from core.mmad import Benchmark
from core.workspace.database import open_engine, reading, writing
from core.workspace.marks import Marks
from core.workspace.resolve import Resolved, corrected, overlay
from core.workspace.tables import OpenedBenchmark, Setting, Status, now
from core.workspace.texts import TEXT_SAMPLE, Texts


class Workspace:
    """Everything people make.

    Attributes:
        texts: suggestions and revisions.
        marks: flags, corrections, votes.
        benchmarks: the benchmark folders that were opened.
        settings: name -> value.
    """

    def __init__(self, place: str | Path) -> None:
        """Open or make the workspace at a folder (SQLite in WAL mode) or a database URL.

        Raises:
            UserError: the folder cannot be written, or what lies there is no workspace of this version.
        """
        self.engine = open_engine(place)
        self.texts = Texts(self.engine)
        self.marks = Marks(self.engine)
        self.benchmarks = Benchmarks(self.engine)
        self.settings = Settings(self.engine)

    def resolve(self, bench: Benchmark, benchmark_id: int) -> Resolved:
        """`bench` as people left it, with the ids of the revisions its texts come from."""
        latest = self.texts.latest(benchmark_id)
        samples_texts = {key[2]: revision for key, revision in self.texts.latest(benchmark_id, TEXT_SAMPLE).items()}
        flags, corrections = self.marks.flags(benchmark_id), self.marks.corrections(benchmark_id)
        samples, changed = [], []
        for sample in bench.samples:
            if sample.image in flags:
                continue
            if sample.image in samples_texts:
                revision = samples_texts[sample.image]
                if revision.status == Status.REJECTED:
                    continue
                sample = replace(sample, text=revision.text)
            if sample.image in corrections:
                sample = corrected(sample, corrections[sample.image])
                changed.append(sample.image)
            samples.append(sample)
        used = sorted(revision.id for revision in (*latest.values(), *samples_texts.values()))
        knowledge = overlay(bench.knowledge, latest)
        flagged = tuple(image for image in flags if image in bench.by_image)
        left = Benchmark(bench.root, tuple(samples), knowledge)
        return Resolved(left, tuple(used), flagged, tuple(changed), self.texts.origin(benchmark_id))

    def close(self) -> None:
        self.engine.dispose()


class Benchmarks:
    """The benchmark folders that were opened, so that they are there again after a restart."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, path: str | Path, name: str | None = None) -> OpenedBenchmark:
        """Remember a benchmark folder (its id stays the same) and when it was last opened."""
        full = str(Path(path).resolve())
        try:
            with writing(self._engine) as session, session.begin():
                row = session.scalar(select(OpenedBenchmark).filter_by(path=full))
                if row is None:
                    row = OpenedBenchmark(path=full, name=name or Path(full).name)
                    session.add(row)
                row.opened, row.hidden = now(), False
                row.name = name or row.name
            return row
        except IntegrityError:  # somebody was faster
            return self.open(path, name)

    def all(self) -> list[OpenedBenchmark]:
        """Those on the list, the last opened first."""
        with reading(self._engine) as session:
            query = select(OpenedBenchmark).filter_by(hidden=False).order_by(OpenedBenchmark.opened.desc())
            return list(session.scalars(query))

    def forget(self, benchmark_id: int) -> None:
        """Take a benchmark off the list; what people wrote about it stays and is back when it is opened again."""
        with writing(self._engine) as session, session.begin():
            row = session.get(OpenedBenchmark, benchmark_id)
            if row is not None:
                row.hidden = True


class Settings:
    """Settings of the studio: any JSON value by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, name: str, default: Any = None) -> Any:
        with reading(self._engine) as session:
            row = session.get(Setting, name)
            return default if row is None else row.value

    def set(self, name: str, value: Any) -> None:
        json.dumps(value)  # a value that is no JSON fails here, not in the middle of a transaction
        with writing(self._engine) as session, session.begin():
            session.merge(Setting(name=name, value=value))
