"""Figures of the proof, each to be read alone in print: what is drawn, units, and how many runs stand behind it.

Colours are those of `core.evaluation.figures` (Okabe and Ito); what a colour says, a marker or a label says too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.demo.baselines import ABOUT
from core.demo.evidence import AVERAGE, Bench, minutes, spread
from core.demo.report import WORDS
from core.demo.summaries import PARTS, TASKS
from core.evaluation.figures import COLOURS, MARKERS, task_bars
from core.files import write_atomic

MAIN = ("base", "sft", "grpo", "emit")  # few enough to be told apart in one picture


def draw_all(bench: Bench, folder: Path) -> list[tuple[Path, str]]:
    """Write every figure that the summaries have something for; (path, what it shows) of each."""
    drawn = []
    for name, make, said in FIGURES:
        figure = make(bench)
        if figure is not None:
            figure.suptitle(
                f"{bench.name}, {_questions(bench)} test questions: {said[0].lower()}{said[1:]}", fontsize=9, wrap=True
            )
            place = folder / f"proof-{bench.name}-{name}.svg"
            # A fixed salt and no date: the same summaries give the same file.
            with matplotlib.rc_context({"svg.hashsalt": "emit"}):
                write_atomic(place, functools.partial(figure.savefig, format="svg", metadata={"Date": None}))
            drawn.append((place, said))
    return drawn


def _main(bench: Bench) -> list[str]:
    return [arm for arm in MAIN if arm in bench.arms]


def _questions(bench: Bench) -> int:
    return max(run["questions"] for runs in bench.arms.values() for run in runs.values())


def _look(arm: str, others: list[str]) -> dict[str, Any]:
    """Colour and marker of an arm: the main arms' are the same in every figure; hollow marks tell a second round apart, and
    from a third on markers move on by one beside the colours."""
    order = [*MAIN[1:], *(name for name in others if name not in MAIN)]
    place = order.index(arm) + 1
    moved = place + place // (2 * len(MARKERS))
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[moved % len(MARKERS)],
            "fillstyle": "full" if place < len(MARKERS) else "none"}  # fmt: skip


def _label(bench: Bench, arm: str) -> str:
    count = len(bench.arms[arm])
    return f"{arm} ({count} run{'s' * (count > 1)})"


def tasks(bench: Bench) -> Figure | None:
    results = {}
    for arm in [*_main(bench), *(name for name in ABOUT if name in bench.arms)]:
        rows = {}
        for column in (*TASKS, AVERAGE):
            values = bench.values(arm, column)
            if values:
                middle, off = float(np.mean(values)), spread(values) or 0.0
                rows[column] = {"value": middle, "low": middle - off, "high": middle + off}
        results[_label(bench, arm)] = pd.DataFrame.from_dict(rows, orient="index")
    return task_bars(results) if results else None


def averages(bench: Bench) -> Figure | None:
    """Every arm a row; every run a point, for all questions and for each unseen part."""
    arms = [arm for arm in bench.arms if bench.values(arm, AVERAGE)][::-1]
    parts = ["all", *(part for part in PARTS if any(bench.values(arm, AVERAGE, part) for arm in arms))]
    if not arms:
        return None
    words = {**WORDS, "all": "all test questions"}
    figure = Figure(figsize=(8.4, 1.6 + 0.42 * len(arms)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    for number, part in enumerate(parts):
        shift = (number - (len(parts) - 1) / 2) * 0.17
        for place, arm in enumerate(arms):
            values = bench.values(arm, AVERAGE, part)
            axes.plot(
                values, [place - shift] * len(values), linestyle="none", marker=MARKERS[number], color=COLOURS[number],
                markersize=5, label=words[part] if place == 0 else None,
            )  # fmt: skip
            if values:
                axes.plot(
                    [np.mean(values)] * 2, [place - shift - 0.08, place - shift + 0.08], color="#222222", linewidth=1.5
                )
    axes.set_yticks(range(len(arms)), [_label(bench, arm) for arm in arms])
    axes.set_xlabel("average accuracy over tasks, % (a mark is a run, a bar their mean)")
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(parts), frameon=False, fontsize=9)
    return figure


def _lines(
    bench: Bench,
    arms: list[str],
    curves: Callable[[dict[str, Any]], list[tuple[float, float]]],
    x: str,
    y: str,
    axes: Any,
) -> bool:
    """A line per run, in the colour and with the marker of its arm."""
    any_drawn = False
    for arm in arms:
        label: str | None = _label(bench, arm)
        for run in bench.arms[arm].values():
            points = curves(run)
            if points:
                any_drawn = True
                axes.plot(
                    *zip(*points, strict=True), markersize=4, linewidth=1.2, alpha=0.85, label=label, **_look(arm, arms)
                )
                label = None
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.yaxis.grid(True, color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return any_drawn


def _legend(figure: Figure, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)


def learning(bench: Bench) -> Figure | None:
    """At equal minutes, and at equal generated tokens."""
    figure = Figure(figsize=(8.6, 3.8), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, sharey=True)
    arms = [arm for arm in _main(bench) if arm != "base"]
    y = "accuracy on validation questions, %"

    def along(key: str) -> Callable[[dict[str, Any]], list[tuple[float, float]]]:
        return lambda run: [(point[key], point["accuracy"]) for point in run.get("curve", [])]

    drawn = _lines(bench, arms, along("minutes"), "minutes of training", y, left)
    _lines(bench, arms, along("tokens"), "tokens generated in training", y, right)
    right.set_ylabel("")
    _legend(figure, left)
    return figure if drawn else None


def hard_groups(bench: Bench) -> Figure | None:
    figure = Figure(figsize=(8.6, 3.8), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, sharey=True)
    arms = [arm for arm in _main(bench) if arm in ("grpo", "emit")]

    def along(key: str) -> Callable[[dict[str, Any]], list[tuple[float, float]]]:
        return lambda run: [(step, 100 * share) for step, share in run.get(key, [])]

    _lines(bench, arms, along("hard"), "GRPO step", "groups, %", left)
    drawn = _lines(bench, arms, along("unsolved"), "GRPO step", "", right)
    left.set_title("no right answer at first (EMIT answers again)", fontsize=9)
    right.set_title("no right answer in the end", fontsize=9)
    _legend(figure, right)
    return figure if drawn else None


def difficulty(bench: Bench) -> Figure | None:
    figure = Figure(figsize=(6.0, 4.0), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    drawn = False
    names: list[str] = []
    for number, arm in enumerate(_main(bench)):
        runs = [run["difficulty"] for run in bench.arms[arm].values() if run["difficulty"]]
        if runs:
            drawn = True
            middles = [(row["low"] + row["high"]) / 2 for row in runs[0]]
            names = [f"{row['low']:g} to {row['high']:g}\n({row['questions']} questions)" for row in runs[0]]
            values = np.array([[row["accuracy"] for row in run] for run in runs])
            off = values.std(axis=0, ddof=1) if len(values) > 1 else None
            axes.errorbar(
                np.array(middles) + 0.008 * (number - 1.5), values.mean(axis=0), yerr=off, color=COLOURS[number],
                marker=MARKERS[number], capsize=3, label=_label(bench, arm),
            )  # fmt: skip
            axes.set_xticks(middles, names, fontsize=8)
    axes.set_xlabel("how hard the defect is to see (0 plain, 1 barely visible)")
    axes.set_ylabel("accuracy on questions about the defect, %")
    axes.yaxis.grid(True, color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(figure, axes)
    return figure if drawn else None


def price(bench: Bench) -> Figure | None:
    arms = [arm for arm in bench.arms if arm not in ABOUT and arm != "base" and minutes(bench, arm)]
    base = bench.values("base", AVERAGE)
    if not arms or not base:
        return None
    figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    for arm in arms:
        own = [
            (sum(run["minutes"].values()), run["parts"]["all"][AVERAGE] - base[0]) for run in bench.arms[arm].values()
        ]
        axes.plot(
            *zip(*own, strict=True), linestyle="none", label=_label(bench, arm), **_look(arm, arms),
        )  # fmt: skip
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes of training (a mark is a run)")
    axes.set_ylabel("points over the base (average over tasks)")
    axes.yaxis.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


FIGURES: tuple[tuple[str, Callable[[Bench], Figure | None], str], ...] = (
    ("tasks", tasks, "Accuracy per task on the test split; bars are means over runs, whiskers one standard deviation."),
    ("averages", averages, "Average accuracy of every arm, on all test questions and on what training never showed."),
    (
        "learning",
        learning,
        "Validation accuracy while training, at equal minutes and at equal tokens; a line is a run.",
    ),
    ("hard", hard_groups, "Share of groups of responses without a right answer over training; a line is a run."),
    (
        "difficulty",
        difficulty,
        "Accuracy by how hard the defect is to see; means over runs, whiskers one standard deviation.",
    ),
    ("price", price, "What the training minutes buy."),
)
