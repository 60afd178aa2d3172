"""The samples of a benchmark as one table that is filtered, counted and sorted in milliseconds.

What never changes (dataset, product, tasks, ...) is read once per benchmark; what people and runs change (description
status, flags, corrections, hardness, right or wrong) is looked up for every request.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from core.errors import UserError
from core.mmad import OBJECT_TASKS, Benchmark, Task
from core.mmad.vocabulary import GOOD
from core.runs import hardest, list_runs
from core.workspace import Status

if TYPE_CHECKING:
    from studio.services import Opened, Services

T = TypeVar("T")
FACETS = ("dataset", "product", "defect", "split", "task", "status", "answers", "mark")
STATUSES = ("none", "original", "suggested", *(str(status) for status in Status))
ANSWERS = ("fixed", "regressed", "both_wrong", "both_right")
MARKS = ("flagged", "corrected", "text")
ORDERS = ("file", "hardest")
_ORDER = {
    "split": ("train", "val", "test"),
    "task": tuple(t.value for t in Task),
    "status": STATUSES,
    "answers": ANSWERS,
    "mark": MARKS,
}


@dataclass(frozen=True)
class Choice:
    """What a page of samples is chosen by: facet -> value, the order, and words in the path."""

    facets: Mapping[str, str] = field(default_factory=dict)
    order: str = "file"
    words: str = ""

    def with_facet(self, name: str, value: str) -> Choice:
        """The same with that value; choosing it again takes it away."""
        facets = {key: old for key, old in self.facets.items() if key != name}
        if self.facets.get(name) != value and value:
            facets[name] = value
        return Choice(facets, self.order, self.words)


def fixed_columns(bench: Benchmark) -> pd.DataFrame:
    """One row a sample, in the order of the file: what only the benchmark says."""
    samples = bench.samples
    table = pd.DataFrame(
        {
            "image": [s.image for s in samples],
            "dataset": pd.Categorical([s.dataset for s in samples]),
            "product": pd.Categorical([s.product for s in samples]),
            "defect": pd.Categorical([s.label for s in samples]),
            "split": pd.Categorical([s.split for s in samples]),
            "text": [s.text is not None for s in samples],
        }
    )
    for task in Task:
        table[task.value] = np.array([any(q.task is task for q in s.questions) for s in samples], dtype=bool)
    return table


def catalogue(services: Services, opened: Opened) -> pd.DataFrame:
    """The table of an opened benchmark as it is now."""
    table = services.remember(("fixed", opened.id, opened.stamp), lambda: fixed_columns(opened.bench)).copy(deep=False)
    marks, images = services.workspace.marks, table["image"]
    corrections = marks.corrections(opened.id)
    table["flagged"] = images.isin(set(marks.flags(opened.id)))
    table["corrected"] = images.isin(set(corrections))
    _relabel(table, {image: correction.label for image, correction in corrections.items()})
    table["status"] = _statuses(table, opened, services)
    run = last_run(services, opened)
    table["hardness"] = images.map(run.hardness) if len(run.hardness) else np.nan
    table["answers"] = images.map(run.answers) if len(run.answers) else None
    return table


def last_run(services: Services, opened: Opened) -> RunFacts:
    """What the last run on this benchmark found hard and answered."""
    key = ("last run", opened.id, opened.stamp, *_newest(services.runs_dir))
    return services.remember(key, lambda: run_facts(services.runs_dir, opened.bench.by_image))


def _relabel(table: pd.DataFrame, labels: Mapping[str, str]) -> None:
    """Put corrected labels in place; questions about an old label are gone with it (`core.workspace.resolve.corrected`)."""
    rows = np.flatnonzero(table["image"].isin(labels))
    if not len(rows):
        return
    old = table["defect"].iloc[rows].astype(str)
    new = [labels[image] for image in table["image"].iloc[rows]]
    defect = table["defect"].astype(object)
    defect.iloc[rows] = new
    table["defect"] = pd.Categorical(defect)
    relabelled = np.zeros(len(table), dtype=bool)
    relabelled[rows] = old.to_numpy() != np.array(new)
    for task in set(Task) - set(OBJECT_TASKS):
        table[task.value] = table[task.value].to_numpy() & ~relabelled


def _statuses(table: pd.DataFrame, opened: Opened, services: Services) -> pd.Categorical:
    """Each sample's description status: what its product and defect's text has reached."""
    latest = services.workspace.texts.latest(opened.id)
    suggested = services.workspace.texts.suggested(opened.id)
    known: dict[tuple[str, str, str], str] = {}

    def status(key: tuple[str, str, str]) -> str:
        if key not in known:
            if key in latest:
                known[key] = latest[key].status
            elif key in suggested:
                known[key] = "suggested"
            else:
                known[key] = "original" if opened.bench.descriptions(*key[:2]).get(key[2], "").strip() else "none"
        return known[key]

    keys = zip(table["dataset"], table["product"], table["defect"], strict=True)
    return pd.Categorical([status(key) for key in keys], categories=STATUSES)


@dataclass(frozen=True)
class RunFacts:
    """What the last run (`name`: its id) says about samples: hardness 0 to 1, and base against tuned, by image."""

    name: str = ""
    hardness: Mapping[str, float] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


def run_facts(runs_dir: Path, known: Container[str]) -> RunFacts:
    """From the newest run that recorded difficulty of `known` images, and the newest that answered questions about them.

    A run on another benchmark says nothing here; a damaged one is passed over.
    """
    name, hardness, answers = "", {}, {}
    for run in list_runs(runs_dir):
        try:
            if not hardness:
                ranked = hardest(run.difficulty(), "sample")
                hardness = _known(dict(zip(ranked["image"], ranked["hardness"], strict=True)), known)
                name = run.id if hardness else name
            if not answers:
                answers = _known(_outcomes(run.path / "answers"), known)
        except (UserError, OSError, ValueError, KeyError):
            continue
        if hardness and answers:
            break
    return RunFacts(name, hardness, answers)


def _known(values: Mapping[str, T], known: Container[str]) -> dict[str, T]:
    return {image: value for image, value in values.items() if image in known}


def _outcomes(folder: Path) -> dict[str, str]:
    """Image -> fixed, regressed, both_wrong or both_right; a sample counts as right when all its answers are."""
    right = []
    for model in ("base", "tuned"):
        parts = [pd.read_parquet(path) for path in sorted((folder / model).glob("*.parquet"))]
        if not parts:
            return {}
        answers = pd.concat(parts, ignore_index=True)
        correct = (answers["answer"] == answers["correct_answer"]).fillna(False)
        right.append(correct.astype(bool).groupby(answers["image"]).all())
    both = pd.concat(right, axis=1, keys=("base", "tuned"), join="inner")
    names = {
        (False, True): "fixed",
        (True, False): "regressed",
        (False, False): "both_wrong",
        (True, True): "both_right",
    }
    return {image: names[bool(base), bool(tuned)] for image, base, tuned in both.itertuples()}


def _newest(runs_dir: Path) -> tuple[float, ...]:
    """Changes when a run is added or writes: the modification times of what is read above."""
    times = [0.0]
    for pattern in ("*/difficulty", "*/answers", "*/answers/*"):
        times += [path.stat().st_mtime for path in runs_dir.glob(pattern)]
    return max(times), len(times)


def select(table: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """The rows a choice leaves, in its order."""
    keep = _words(table, choice.words)
    for name, value in choice.facets.items():
        keep &= _has(table, name, value)
    found = table[keep]
    if choice.order == "hardest":
        found = found.sort_values("hardness", ascending=False, kind="stable", na_position="last")
    return found


def counts(table: pd.DataFrame, choice: Choice) -> dict[str, dict[str, int]]:
    """For each facet, how many samples each of its values would leave beside the other choices."""
    masks = {name: _has(table, name, value) for name, value in choice.facets.items()}
    words = _words(table, choice.words)
    result: dict[str, dict[str, int]] = {}
    for name in FACETS:
        keep = words.copy()
        for other, mask in masks.items():
            if other != name:
                keep &= mask
        result[name] = _count(table, name, keep)
    return result


def _count(table: pd.DataFrame, name: str, keep: np.ndarray) -> dict[str, int]:
    if name == "task":
        return {task.value: n for task in Task if (n := int((table[task.value].to_numpy() & keep).sum()))}
    if name == "mark":
        return {mark: n for mark in MARKS if (n := int((table[mark].to_numpy() & keep).sum()))}
    found = table[name][keep].value_counts()
    found = {str(value): int(n) for value, n in found.items() if n}
    order = _ORDER.get(name)
    if order:
        return {value: found[value] for value in order if value in found}
    # Normal first, then by name: a list that moves with its counts cannot be learnt.
    return dict(sorted(found.items(), key=lambda item: (item[0] != GOOD, item[0].lower())))


def _has(table: pd.DataFrame, name: str, value: str) -> np.ndarray:
    if name in ("task", "mark"):
        known = {task.value for task in Task} | set(MARKS)
        return table[value].to_numpy(dtype=bool) if value in known else np.zeros(len(table), dtype=bool)
    return (table[name] == value).to_numpy(dtype=bool, na_value=False) if name in FACETS else np.ones(len(table), bool)


def _words(table: pd.DataFrame, words: str) -> np.ndarray:
    keep = np.ones(len(table), dtype=bool)
    for word in words.split():
        keep &= table["image"].str.contains(word, case=False, regex=False).to_numpy(dtype=bool)
    return keep


def choice_of(values: Mapping[str, Any]) -> Choice:
    """The choice an address stands for (`?product=bolt&order=hardest&words=...`)."""
    facets = {name: str(values[name]) for name in FACETS if values.get(name)}
    order = str(values.get("order") or "file")
    return Choice(facets, order if order in ORDERS else "file", str(values.get("words") or ""))


def address_of(choice: Choice, **more: Any) -> dict[str, Any]:
    """The values for the address; None removes one."""
    facets = {name: choice.facets.get(name) for name in FACETS}
    return {**facets, "order": choice.order if choice.order != "file" else None, "words": choice.words or None, **more}
