"""Pictures of results, readable in print and for colour-blind people.

Every function returns a matplotlib figure and shows nothing. Colours are Okabe and Ito's; what a colour says, a marker, a
hatch or a number says too. Intervals are drawn wherever they are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from core.evaluation.decisions import Calibration
from core.evaluation.records import normalized
from core.evaluation.tables import AVERAGE
from core.mmad import Task
from core.synthesis.regions import WORDINGS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo")
PUBLISHED = "#444444"


def radar(results: Mapping[str, pd.DataFrame]) -> Figure:
    """The tasks around a circle, a line per model with its interval as a band.

    Args:
        results: name -> table as of `accuracy_intervals`.
    """
    tasks = _tasks(results)
    angles = np.linspace(0, 2 * np.pi, len(tasks), endpoint=False)
    figure = _figure(8.0, 5.6)
    axes: Any = figure.add_subplot(projection="polar")
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    round_trip = [*angles, angles[0]]
    for number, (name, table) in enumerate(results.items()):
        values, low, high = (_closed(table[column].reindex(tasks)) for column in ("value", "low", "high"))
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(round_trip, values, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=5, label=name)
        axes.fill_between(round_trip, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xticks(angles, [task.replace(" ", "\n") for task in tasks], fontsize=9)
    axes.tick_params(axis="x", pad=8)
    # A name stands outside the circle, on its side.
    for word, angle in zip(axes.get_xticklabels(), angles, strict=True):
        across = np.sin(angle)
        word.set_horizontalalignment("center" if abs(across) < 0.1 else "left" if across > 0 else "right")
    axes.set_ylim(0, 100)
    axes.set_yticks([25, 50, 75, 100], ["25", "50", "75", "100 %"], fontsize=8, color="#444444")
    figure.legend(loc="outside lower center", ncols=min(len(results), 3), frameon=False, fontsize=9)
    return figure


def task_bars(results: Mapping[str, pd.DataFrame], published: pd.DataFrame | None = None) -> Figure:
    """Accuracy per task as bars with intervals; published figures as grey marks that belong to no bar.

    Args:
        published: rows of `published_table` to draw beside; their protocol is other than the bars'.
    """
    tasks = [*_tasks(results), AVERAGE]
    figure = _figure(9.0, 4.2)
    axes = figure.add_subplot()
    width = 0.8 / len(results)
    places = np.arange(len(tasks))
    for number, (name, table) in enumerate(results.items()):
        table = table.reindex(tasks)
        error = np.clip([table["value"] - table["low"], table["high"] - table["value"]], 0, None)
        axes.bar(
            places + (number - (len(results) - 1) / 2) * width, table["value"], width, yerr=error, capsize=2.5,
            color=COLOURS[number % len(COLOURS)], hatch=HATCHES[number % len(HATCHES)], edgecolor="white", label=name,
            error_kw={"elinewidth": 1},
        )  # fmt: skip
    if published is not None:
        for number, (_, row) in enumerate(published.iterrows()):
            axes.plot(
                places, [row.get(task, np.nan) for task in tasks], linestyle="none", marker="_xd+"[number % 4], markersize=11,
                color=PUBLISHED, markeredgewidth=1.5, path_effects=[withStroke(linewidth=4, foreground="white")],
                label=f"{row['model']} (published, other protocol)",
            )  # fmt: skip
    axes.set_xticks(places, [task.replace(" ", "\n") for task in tasks], fontsize=9)
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 100)
    axes.axvline(len(tasks) - 1.5, color="#bbbbbb", linewidth=0.8)
    _plain(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def defect_confusion(answers: pd.DataFrame, *, most: int = 12) -> Figure | None:
    """Which defect was taken for which: rows the right type, columns the type answered, in percent of the row.

    Only the `most` frequent types are shown, the others as "other". None without classification questions.
    """
    table = normalized(answers)
    table = table[table["task"] == Task.DEFECT_CLASSIFICATION.value]
    if not len(table) or "options" not in table:
        return None
    right, said = _texts(table)
    asked = list(right.value_counts().index)
    names = [*asked, *(n for n in said.value_counts().index if n not in asked and n != "no answer")][:most]
    columns = [*names, "other", "no answer"]
    right = right.where(right.isin(names), "other")
    said = said.where(said.isin(columns), "other")
    rows = [name for name in [*names, "other"] if (right == name).any()]
    counts = pd.crosstab(right, said).reindex(index=rows, columns=columns, fill_value=0)
    counts = counts.loc[:, (counts.sum() > 0) | counts.columns.isin(rows)]
    shares = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure = _figure(3.4 + 0.5 * shares.shape[1], 1.8 + 0.5 * len(rows))
    axes = figure.add_subplot()
    _heat(axes, shares.to_numpy(), [[f"{v:.0f}" if v else "" for v in row] for row in shares.to_numpy()])
    axes.set_xticks(range(shares.shape[1]), shares.columns, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{name} ({int(n)})" for name, n in counts.sum(axis=1).items()], fontsize=8)
    axes.set_title("rows: right type (questions), columns: answered", fontsize=9)
    return figure


def localization_map(answers: pd.DataFrame) -> Figure | None:
    """The picture's 3 x 3 regions: how often a defect there is placed rightly, and where the wrong answers go.

    None without localization questions whose options name a region.
    """
    table = normalized(answers)
    table = table[table["task"] == Task.DEFECT_LOCALIZATION.value]
    if not len(table) or "options" not in table:
        return None
    right, said = _texts(table)
    true, given = right.map(region_of), said.map(region_of)
    known = true.notna()
    if not known.any():
        return None
    hit = (table["answer"] == table["correct_answer"]).fillna(False)
    asked = np.array([int((true == i).sum()) for i in range(9)])
    correct = np.array([100.0 * hit[true == i].mean() if asked[i] else np.nan for i in range(9)])
    wrong = np.array([int(((given == i) & ~hit & known).sum()) for i in range(9)])
    figure = _figure(8.2, 4.0)
    left, other = figure.subplots(1, 2)
    _heat(
        left,
        correct.reshape(3, 3),
        _grid([f"{c:.0f} %\nof {n}" if n else "none" for c, n in zip(correct, asked, strict=True)]),
    )
    left.set_title("defect lies here: placed rightly", fontsize=10)
    share = 100.0 * wrong / max(wrong.sum(), 1)
    _heat(other, share.reshape(3, 3), _grid([f"{s:.0f} %\n({n})" for s, n in zip(share, wrong, strict=True)]))
    other.set_title("wrong answers point here", fontsize=10)
    for axes in (left, other):
        axes.set_xticks(range(3), ["left", "center", "right"])
        axes.set_yticks(range(3), ["top", "middle", "bottom"])
    return figure


def region_of(text: object) -> int | None:
    """The region (0..8, reading order) that an option's text names; None when it names none or several."""
    if not isinstance(text, str):
        return None
    words = " ".join(re.sub(r"[^a-z]+", " ", text.lower()).split())
    if words in _REGION_BY_WORDING:
        return _REGION_BY_WORDING[words]
    rows = [any(re.search(rf"\b{word}", words) for word in group) for group in (("top", "upper"), ("bottom", "lower"))]
    sides = [bool(re.search(rf"\b{word}\b", words)) for word in ("left", "right")]
    if all(rows) or all(sides):
        return None
    if not any(rows) and not any(sides):
        return 4 if re.search(r"\b(?:cent(?:er|re|ral)|middle)\b", words) else None
    row = 0 if rows[0] else 2 if rows[1] else 1
    return 3 * row + (0 if sides[0] else 2 if sides[1] else 1)


_REGION_BY_WORDING = {wording: place for place, wordings in enumerate(WORDINGS) for wording in wordings}


def calibration_plot(curves: Mapping[str, Calibration]) -> Figure:
    """P(defect) against the share of defective pictures with Wilson's intervals; on the diagonal it can be believed.

    Below: pictures per bin.
    """
    figure = _figure(5.8, 5.8)
    axes, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    axes.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1, label="perfect")
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        share = curve.bins["observed"].to_numpy()
        low, high = _wilson(share, curve.bins["pictures"].to_numpy())
        axes.errorbar(
            curve.bins["predicted"], share, yerr=np.array([share - low, high - share]), color=colour, capsize=2.5,
            elinewidth=0.8, marker=MARKERS[number % len(MARKERS)],
            label=f"{name} (calibration error {curve.error:.3f}, Brier {curve.brier:.3f})",
        )  # fmt: skip
        width = 0.8 * (curve.bins["high"] - curve.bins["low"]) / len(curves)
        middle = (curve.bins["low"] + curve.bins["high"]) / 2 + (number - (len(curves) - 1) / 2) * width
        below.bar(
            middle, curve.bins["pictures"], width, color=colour, hatch=HATCHES[number % len(HATCHES)], edgecolor="white"
        )
    axes.set_ylabel("share of defective pictures")
    axes.set_ylim(0, 1)
    below.set_xlim(0, 1)
    below.set_xlabel("P(defect) the model states")
    below.set_ylabel("pictures")
    for each in (axes, below):
        _plain(each)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8)
    return figure


def difficulty_plot(answers: Mapping[str, pd.DataFrame], difficulty: pd.DataFrame, *, bins: int = 5) -> Figure | None:
    """Accuracy over how hard a question was in training (share of wrong responses), with Wilson's 95 % intervals.

    A test question was never trained on: it counts as hard as the questions of its product and task were. None where training
    asked nothing of the kind.

    Args:
        difficulty: columns image, index, question_type, wrong (0..1), as a run records them; the mean of all passes is taken.
    """
    kind = ["dataset", "product", "task"]
    trained = difficulty.assign(answer=None, correct_answer="").drop(columns="index", errors="ignore")
    hard = normalized(trained).groupby(kind, as_index=False, observed=True)["wrong"].mean()
    figure = _figure(5.6, 3.8)
    axes = figure.add_subplot()
    drawn = False
    for number, (name, table) in enumerate(answers.items()):
        both = normalized(table).merge(hard, on=kind)
        if not len(both):
            continue
        drawn = True
        right = (both["answer"] == both["correct_answer"]).fillna(False).astype(float)
        place = np.minimum((both["wrong"] * bins).astype(int), bins - 1)
        found = right.groupby(place).agg(["mean", "size"])
        low, high = _wilson(found["mean"].to_numpy(), found["size"].to_numpy())
        share = found["mean"].to_numpy()
        low, high = _wilson(share, found["size"].to_numpy())
        axes.errorbar(
            (found.index + 0.5) / bins + 0.012 * number, 100 * share, yerr=100 * np.array([share - low, high - share]),
            color=COLOURS[number % len(COLOURS)], capsize=3, marker=MARKERS[number % len(MARKERS)], label=name,
        )  # fmt: skip
    if not drawn:
        return None
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 100)
    axes.set_xlabel("share of wrong responses in training\nto questions of the same product and task")
    axes.set_ylabel("accuracy, %")
    _plain(axes)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share of `count`: never empty, also at 0 and 1."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.minimum(middle - half, share), np.maximum(middle + half, share)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _plain(axes) -> None:  # noqa: ANN001
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _heat(axes, values: np.ndarray, words: list[list[str]]) -> None:  # noqa: ANN001
    """Percentages as a grey-free, printable scale from white to dark blue, each with its number."""
    axes.imshow(np.nan_to_num(values), cmap="Blues", vmin=0, vmax=100)
    for row, line in enumerate(words):
        for column, word in enumerate(line):
            dark = np.nan_to_num(values)[row, column] > 55
            axes.text(column, row, word, ha="center", va="center", fontsize=8, color="white" if dark else "#222222")


def _grid(words: list[str]) -> list[list[str]]:
    return [words[0:3], words[3:6], words[6:9]]


def _tasks(results: Mapping[str, pd.DataFrame]) -> list[str]:
    return [task.value for task in Task if any(task.value in table.index for table in results.values())]


def _closed(values: pd.Series) -> list[float]:
    numbers = values.astype(float).tolist()
    return [*numbers, numbers[0]] if numbers else []


def _texts(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The right option's text and the answered one's ("no answer"), without the final stop."""
    options = [json.loads(value) if isinstance(value, str) else dict(value) for value in table["options"]]
    right = [o.get(letter, "?") for o, letter in zip(options, table["correct_answer"], strict=True)]
    said = [
        o.get(letter, "no answer") if letter else "no answer"
        for o, letter in zip(options, table["answer"], strict=True)
    ]
    return tuple(pd.Series([text.strip().rstrip(".") for text in texts], table.index) for texts in (right, said))  # type: ignore[return-value]
