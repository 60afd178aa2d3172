"""Two models over the seven tasks: a table with intervals and a paired test, and a radar.

The numbers come from `core.evaluation`; here they become HTML and SVG that follow the theme's colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from core.errors import UserError
from studio.i18n import say
from studio.views.pairs import task_name

if TYPE_CHECKING:
    import pandas as pd

AVERAGE = "Average"


@dataclass(frozen=True)
class Score:
    """One row of the table, in percent.

    Attributes:
        task: MMAD's name of the task, or "Average".
        first, second: accuracy of both models.
        low, high: 95 % interval of the difference; NaN when it cannot be told.
        p: of the paired test, corrected for the number of tasks; NaN when it cannot be told (always for the average).
        count: questions both answered.
        fixed, regressed: how many changed to right, to wrong.
    """

    task: str
    first: float
    second: float
    low: float
    high: float
    p: float
    count: int
    fixed: int
    regressed: int

    @property
    def gain(self) -> float:
        return self.second - self.first

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def scores(first: pd.DataFrame, second: pd.DataFrame) -> list[Score]:
    """Every task and the average over tasks, on the questions both answered; empty when there are none."""
    from core.evaluation.comparing import compare_answers

    try:
        table = compare_answers(first, second, names=("first", "second"), across_protocols=True).table
    except UserError:
        return []
    return [
        Score(
            str(task), float(row["first"]), float(row["second"]), float(row["low"]), float(row["high"]), float(row["p_holm"]),
            int(row["questions"]), int(row["fixed"]), int(row["regressed"]),
        )
        for task, row in table.iterrows()
    ]  # fmt: skip


def table(rows: Sequence[Score], first: str, second: str, lang: str) -> str:
    """The table as HTML; the better side of a sure difference is marked."""
    heads = "".join(f'<th scope="col">{text}</th>' for text in (
        say(lang, "compare.task"), escape(first), escape(second), say(lang, "compare.difference"),
        say(lang, "compare.interval"), say(lang, "compare.p"), say(lang, "compare.changed"), say(lang, "compare.questions"),
    ))  # fmt: skip
    body = "".join(_row(row, lang) for row in rows)
    return (
        f'<div class="scroll"><table class="scores"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(row: Score, lang: str) -> str:
    tone = ("up" if row.gain > 0 else "down") if row.sure else ""
    name = say(lang, "compare.average") if row.task == AVERAGE else task_name(row.task, lang)
    interval = f"{row.low:+.1f} … {row.high:+.1f}" if row.low == row.low else "–"
    p = "–" if row.p != row.p else "&lt; 0.001" if row.p < 0.001 else f"{row.p:.3f}"
    changed = f'<span class="up">+{row.fixed}</span> <span class="down">−{row.regressed}</span>'
    kind = ' class="average"' if row.task == AVERAGE else ""
    return (
        f'<tr{kind}><th scope="row">{name}</th><td>{row.first:.1f}</td><td>{row.second:.1f}</td>'
        f'<td class="{tone}"><b>{row.gain:+.1f}</b></td><td>{interval}</td><td>{p}</td>'
        f"<td>{changed}</td><td>{row.count}</td></tr>"
    )


def radar(rows: Sequence[Score], first: str, second: str, lang: str, size: int = 360) -> str:
    """The tasks as a radar in SVG; with fewer than three tasks there is none to draw."""
    rows = [row for row in rows if row.task != AVERAGE]
    if len(rows) < 3:
        return ""
    centre, reach, width = size / 2, size * 0.34, size + 250
    angles = [2 * math.pi * i / len(rows) - math.pi / 2 for i in range(len(rows))]

    def point(angle: float, percent: float) -> tuple[float, float]:
        share = max(0.0, percent) / 100
        return width / 2 + math.cos(angle) * reach * share, centre + math.sin(angle) * reach * share

    def ring(values: Sequence[float]) -> str:
        return " ".join("{:.1f},{:.1f}".format(*point(a, v)) for a, v in zip(angles, values, strict=True))

    grid = "".join(f'<polygon points="{ring([level] * len(rows))}" class="grid"/>' for level in (25, 50, 75, 100))
    spokes = "".join(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="grid"/>'.format(width / 2, centre, *point(a, 100))
        for a in angles
    )
    marks = "".join(f'<text x="{width / 2 + 4:.0f}" y="{centre - reach * level / 100 - 2:.0f}" class="level">{level}</text>'
                    for level in (50, 100))  # fmt: skip
    names = "".join(
        _name(point(angle, 124), angle, task_name(row.task, lang)) for angle, row in zip(angles, rows, strict=True)
    )
    shapes = (
        f'<polygon points="{ring([row.first for row in rows])}" class="first"/>'
        f'<polygon points="{ring([row.second for row in rows])}" class="second"/>'
    )
    said = "; ".join(f"{task_name(row.task, lang)}: {row.first:.0f} %, {row.second:.0f} %" for row in rows)
    names_of = f'<span class="first">{escape(first)}</span><span class="second">{escape(second)}</span>'
    legend = f'<div class="radar-legend">{names_of}</div>'
    return (
        f'<figure class="radar"><svg viewBox="0 0 {width} {size}" role="img" aria-label="{said}">'
        f"{grid}{spokes}{shapes}{marks}{names}</svg>{legend}</figure>"
    )


def _name(place: tuple[float, float], angle: float, text: str) -> str:
    across = math.cos(angle)
    anchor = "middle" if abs(across) < 0.3 else "start" if across > 0 else "end"
    return f'<text x="{place[0]:.1f}" y="{place[1] + 4:.1f}" text-anchor="{anchor}">{text}</text>'


def to_csv(rows: Sequence[Score]) -> str:
    """The table as CSV text."""
    lines = ["task,first,second,difference,low,high,p,fixed,regressed,questions"]
    lines += [
        f"{r.task},{r.first:.2f},{r.second:.2f},{r.gain:.2f},{_number(r.low)},{_number(r.high)},{_number(r.p)},"
        f"{r.fixed},{r.regressed},{r.count}"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
