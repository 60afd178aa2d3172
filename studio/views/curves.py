"""From a run's `metrics.jsonl` to what a line plot takes: one long table (step, value, series) per curve.

Steps of the stages follow each other on one axis. A long run is thinned to what a screen can show, its last point always
kept. Several runs are laid over each other by naming the series after the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

POINTS = 300  # a curve is about 400 px wide
STAGES = ("pretrain", "grounding", "sft", "grpo", "evaluation")
# Okabe and Ito's palette: told apart by colour-blind people, and on white as on dark grounds.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C8C00", "#7F7F7F")


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: the first of `columns` a run has is drawn; with a `prefix`, one line for every column that bears it."""

    id: str
    columns: tuple[str, ...] = ()
    prefix: str = ""
    share: bool = False  # a share from 0 to 1, shown in percent
    by_stage: bool = False  # the stages measure different things under one name: a line each


CURVES = (
    Curve("loss", ("loss",), by_stage=True),
    Curve("grounded", prefix="grounded/", share=True),
    Curve("reward", ("reward",)),
    Curve("rewards", prefix="rewards/"),
    Curve("kl", ("kl",)),
    Curve("length", ("length",)),
    Curve("resampling", ("resamplings",)),
    Curve("hard", ("hard_groups",), share=True),
    Curve("unsolved", ("unsolved_groups",), share=True),
    Curve("accuracy", ("val_accuracy",), share=True),
)


def axis(metrics: pd.DataFrame) -> pd.Series:
    """The step on the common axis: the steps of earlier stages are added to those of later ones."""
    if "stage" not in metrics:
        return metrics["step"]
    last = metrics.groupby("stage")["step"].max()
    order = sorted(last.index, key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES))
    offsets, total = {}, 0
    for stage in order:
        offsets[stage] = total
        total += int(last[stage])
    return metrics["step"] + metrics["stage"].map(offsets)


def lines(metrics: pd.DataFrame, curve: Curve, name: str = "") -> dict[str, pd.DataFrame]:
    """Series name -> table (step, value) of one run; empty when the run has not measured it.

    Args:
        name: the run's name when several runs share the chart; alone, a series bears the name of what it shows.
    """
    import pandas as pd

    if not len(metrics) or "step" not in metrics:
        return {}
    if curve.prefix:
        found = [c for c in metrics if str(c).startswith(curve.prefix) and not str(c).endswith("/std")]
        labels = [_plain(str(column)[len(curve.prefix) :]) for column in found]
        labels = [f"{name} · {label}" if name else label for label in labels]
    else:
        found = [column for column in curve.columns if column in metrics][:1]
        labels = [name or curve.id] * len(found)
    steps = axis(metrics)
    result = {}
    for column, label in zip(found, labels, strict=True):
        values = pd.to_numeric(metrics[column], errors="coerce")
        table = pd.DataFrame({"step": steps, "value": values * (100 if curve.share else 1)}).dropna()
        table = table.sort_values("step", kind="stable")
        stages = metrics["stage"].reindex(table.index).unique() if curve.by_stage and "stage" in metrics else ()
        if len(stages) > 1:
            for stage in stages:
                title = f"{name} · {stage.upper()}" if name else stage.upper()
                result[title] = table[metrics["stage"].reindex(table.index) == stage]
        elif len(table):
            result[label] = table
    return result


def _plain(column: str) -> str:
    for ending in ("/mean", "_reward"):
        column = column.removesuffix(ending)
    return column.replace("_", " ")


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average without the pull of the first value; weight 0 changes nothing, 1 is not allowed."""
    result, average, mass = [], 0.0, 0.0
    for value in values:
        average = weight * average + (1 - weight) * value
        mass = weight * mass + (1 - weight)
        result.append(average / mass)
    return result


def thin(table: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` rows, evenly spaced, the last one among them."""
    if len(table) <= points:
        return table
    stride = -(-len(table) // points)
    return table.iloc[(len(table) - 1) % stride :: stride]


def chart(runs: Mapping[str, pd.DataFrame], curve: Curve, weight: float = 0.0) -> pd.DataFrame:
    """The long table of a chart (step, value, series) over one or several runs (name -> metrics)."""
    import pandas as pd

    tables = []
    for name, metrics in runs.items():
        for series, table in lines(metrics, curve, name if len(runs) > 1 else "").items():
            table = table.assign(value=smooth(table["value"].tolist(), weight)) if weight else table
            tables.append(thin(table).assign(series=series))
    if not tables:
        return pd.DataFrame({"step": [], "value": [], "series": []})
    return pd.concat(tables, ignore_index=True)


def colours(series: Sequence[str]) -> dict[str, str]:
    """A colour for every series; the palette begins again after eight."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(series)}


def legend(palette: Mapping[str, str]) -> str:
    """Which line is which, as a list."""
    rows = (f'<li><i style="border-color:{colour}"></i>{escape(name)}</li>' for name, colour in palette.items())
    return f'<ul class="legend">{"".join(rows)}</ul>'


def sparkline(values: Sequence[float], label: str, width: int = 120, height: int = 28) -> str:
    """A small SVG line that takes the text's colour; a screen reader says the label and the last value."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 4) / (len(values) - 1)
    points = " ".join(
        f"{2 + i * step:.1f},{2 + (height - 4) * (1 - (v - low) / span):.1f}" for i, v in enumerate(values)
    )
    said = escape(f"{label}: {values[0]:.3g} to {values[-1]:.3g}", quote=True)
    return (
        f'<svg class="sparkline" role="img" aria-label="{said}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title>{said}</title>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/></svg>'
    )


def trend(metrics: pd.DataFrame, points: int = 60) -> tuple[str, list[float]]:
    """What a run's sparkline shows: its latest stage's reward if it has one, else the loss."""
    for curve in (CURVES[2], CURVES[0]):
        if found := lines(metrics, curve):
            series, table = list(found.items())[-1]
            return series, thin(table, points)["value"].tolist()
    return "", []
