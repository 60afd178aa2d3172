"""What stands in the tables of the proof: the README shows them as Markdown, the Compare page as HTML.

Cells are text already rounded; what is to be said in the reader's words (heads, parts, tasks, controls) is a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.demo.baselines import ABOUT
from core.demo.evidence import AVERAGE, CLAIMS, Bench, ablations, claim, gain, minutes, spread
from core.demo.summaries import PARTS, TASKS

# (what is asked with the right picture or map, what with the other, the control's key)
CONTROLS = (
    ("own_picture", "other_picture", "another_picture"),
    ("with_heatmap", "without_heatmap", "no_heatmap"),
    ("with_heatmap", "other_heatmap", "another_heatmap"),
)
SAID = frozenset({"on", "control", "task"})  # columns whose cells are keys


@dataclass(frozen=True)
class Table:
    """One table of a benchmark.

    Attributes:
        name: tasks, price, claims, ablations or controls.
        heads: a key for each column; the first column names the row.
        rows: cells, as many as heads; "" for what was not measured.
    """

    name: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(bench: Bench) -> list[Table]:
    """All that have a row, in the order in which they are shown."""
    made = (
        _tasks(bench),
        _price(bench),
        _claims("claims", bench, CLAIMS, ("all", "instances", "products")),
        _claims("ablations", bench, ablations(bench), ("all",)),
        _controls(bench),
    )
    return [table for table in made if table.rows]


def _tasks(bench: Bench) -> Table:
    tasks = [task for task in TASKS if any(bench.values(arm, task) for arm in bench.arms)]
    # The average stands where a narrow window shows it without scrolling.
    columns = (AVERAGE, *tasks)
    rows = [(arm, str(len(seeds)), *(mean(bench.values(arm, c)) for c in columns)) for arm, seeds in bench.arms.items()]
    return Table("tasks", ("arm", "runs", *columns), rows)


def _price(bench: Bench) -> Table:
    parts = [part for part in PARTS if any(bench.values(arm, AVERAGE, part) for arm in bench.arms)]
    rows = []
    for arm, seeds in bench.arms.items():
        if arm in ABOUT:
            continue
        spent, more = minutes(bench, arm), gain(bench, arm)
        tokens = float(np.mean([run.get("tokens", 0) for run in seeds.values()]))
        rows.append((
            arm, *(mean(bench.values(arm, AVERAGE, part)) for part in parts), f"{spent:.1f}" if spent else "",
            f"{tokens:,.0f}" if tokens else "", "" if more is None else signed(more),
            signed(more / spent) if more is not None and spent else "",
        ))  # fmt: skip
    return Table("price", ("arm", *parts, "minutes", "tokens", "gain", "per_minute"), rows)


def _claims(name: str, bench: Bench, pairs: Iterable[tuple[str, str]], parts: tuple[str, ...]) -> Table:
    rows = []
    for first, second in pairs:
        for part in parts:
            found = claim(bench, first, second, part)
            if found:
                rows.append((
                    f"{second} - {first}", part, str(len(found["seeds"])),
                    signed(found["difference"]) + _spread(found["spread"]), f"{found['fixed']} / {found['regressed']}",
                    _p(found["p"]), _p(found["p_seeds"]),
                ))  # fmt: skip
    return Table(name, ("difference", "on", "runs", "points", "changed", "mcnemar", "t"), rows)


def _controls(bench: Bench) -> Table:
    rows = []
    for control in bench.controls:
        for name, other, key in CONTROLS:
            for task, changed in control.get(other, {}).items():
                cells = control[name][task]
                rows.append((
                    control["label"], key, task, str(cells["questions"]), f"{cells['accuracy']:.1f}",
                    f"{changed['accuracy']:.1f}", f"{cells['chance']:.1f}", _p(changed["p_above_chance"]),
                ))  # fmt: skip
    return Table("controls", ("model", "control", "task", "questions", "own", "other", "chance", "above"), rows)


def mean(values: list[float]) -> str:
    """Mean and standard deviation over seeds; "" without a value."""
    return f"{np.mean(values):.1f}" + _spread(spread(values)) if values else ""


def signed(value: float) -> str:
    """With its sign, and no sign where it rounds to nothing."""
    rounded = round(value, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def _spread(value: float | None) -> str:
    return "" if value is None else f" ± {value:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
