"""Snapshot: exactly what a run was trained and judged on, unchangeable and named by its content.

It holds the entries (questions, splits, templates), the resolved descriptions, the hash of every picture, the ids of the
description revisions, the options and the seed. Pictures stay where they are. The same inputs give the same digest,
wherever the benchmark's folder lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import digest, file_digest, read_json, write_json
from core.mmad.leaks import knowledge_labels, refuse_leaks, shown
from core.mmad.storage import entry, parse_sample
from core.mmad.vocabulary import Benchmark, Knowledge

VERSION = 1


@dataclass(frozen=True)
class Snapshot:
    """An immutable set of questions.

    Attributes:
        root: folder of the pictures (not part of the digest).
        entries: image path -> entry as in `mmad.json`.
        knowledge: dataset -> product -> "good" or defect -> text, as resolved at the time.
        hashes: image path -> SHA-256 of the file, for every query and reference.
        revisions: ids of the description revisions the knowledge was taken from.
        options: how the samples were chosen, for the reader.
        seed: of that choice.
        labels: what a reader must know beside every figure, e.g. "knowledge names the test's defect classes".
    """

    root: Path
    entries: Mapping[str, Mapping[str, Any]]
    knowledge: Knowledge
    hashes: Mapping[str, str]
    revisions: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    labels: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        bench: Benchmark,
        *,
        splits: Iterable[str] = ("train", "val", "test"),
        revisions: Iterable[int] = (),
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        labels: Iterable[str] = (),
        described_from: Iterable[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> Snapshot:
        """Take a snapshot of the named splits of `bench`; every picture it needs is hashed.

        Args:
            described_from: the pictures that the knowledge was written from. Knowledge that saw test pictures, or names
                the test's defects, is labelled so, besides `labels`.

        Raises:
            UserError: a picture is missing; it is named.
        """
        chosen = bench.split(*splits)
        entries = {sample.image: entry(sample) for sample in chosen}
        needed = dict.fromkeys(
            path
            for sample in chosen
            for path in (*(() if sample.text else (sample.image,)), *sample.similar_templates, *sample.random_templates)
        )
        hashes = {}
        for done, path in enumerate(needed):
            hashes[path] = file_digest(bench.path(path))
            if progress:
                progress(done + 1, len(needed))
        told = tuple(dict.fromkeys((*labels, *knowledge_labels(bench, described_from))))
        return cls(bench.root, entries, bench.knowledge, hashes, tuple(revisions), dict(options or {}), seed, told)

    @cached_property
    def digest(self) -> str:
        """64 hex characters; equal for equal content."""
        return digest(self._content())

    @cached_property
    def benchmark(self) -> Benchmark:
        """The snapshot as a benchmark."""
        samples = tuple(parse_sample(image, value) for image, value in self.entries.items())
        return Benchmark(self.root, samples, self.knowledge)

    def trained_hashes(self) -> dict[str, str]:
        """SHA-256 -> image path of every picture, query or template, that training shows."""
        return {self.hashes[path]: path for path in shown(self.benchmark, "train") if path in self.hashes}

    def refuse_leaks(self) -> None:
        """Do nothing when no test picture of this snapshot is in its training part.

        Raises:
            UserError: one or an exact duplicate is; the pictures are named.
        """
        refuse_leaks(self.benchmark, hashes=self.hashes)

    def _content(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "entries": self.entries,
            "knowledge": self.knowledge,
            "hashes": self.hashes,
            "revisions": list(self.revisions),
            "options": self.options,
            "seed": self.seed,
            "labels": list(self.labels),
        }

    def save(self, path: str | Path) -> Path:
        """Write the snapshot as one JSON file in one step."""
        return write_json(
            path, {"digest": self.digest, "root": str(self.root.resolve()), **self._content()}, indent=None
        )

    @classmethod
    def load(cls, path: str | Path) -> Snapshot:
        """Read a snapshot.

        Raises:
            UserError: missing, of another version, or its content no longer has its digest.
        """
        value = read_json(path)
        if not isinstance(value, dict) or value.get("version") != VERSION:
            raise UserError(f"{path} is not a snapshot of version {VERSION}: take a new snapshot.")
        try:
            snapshot = cls(
                Path(value["root"]), value["entries"], value["knowledge"], value["hashes"],
                tuple(value["revisions"]), value["options"], value["seed"], tuple(value["labels"]),
            )  # fmt: skip
        except KeyError as error:
            raise UserError(f"{path} lacks {error}: take a new snapshot.") from error
        if snapshot.digest != value.get("digest"):
            raise UserError(f"{path} was changed after it was taken: take a new snapshot.")
        return snapshot
