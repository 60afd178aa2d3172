"""The measured comparison of the method's parts: the figures of the README, read from the same summaries in `data/proof`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from studio import markup
from studio.i18n import say
from studio.views.pairs import task_name
from studio.views.sources import PROJECT

if TYPE_CHECKING:
    from core.demo.report import Bench

SUMMARIES = PROJECT / "data" / "proof"
AVERAGE = "Average"


def there(folder: Path = SUMMARIES) -> bool:
    """Whether anything was measured; opens no file."""
    return any(folder.glob("*/*.json"))


def proof(lang: str, folder: Path = SUMMARIES) -> str:
    """All benchmarks as HTML: accuracy per task (mean ± standard deviation over seeds), the price, and the claims' tests.

    Raises:
        UserError: there is no summary, or the summaries do not belong together.
    """
    from core.demo.report import read_all

    parts = [f'<p class="run-facts">{say(lang, "compare.proof.how")}</p>']
    for bench in read_all(folder):
        parts.append(f'<h2 class="section">{escape(bench.name)}</h2>{_about(bench, lang)}')
        parts += [_tasks(bench, lang), _claims(bench, lang)]
    return f'<div class="proof">{"".join(parts)}</div>'


def _about(bench: Bench, lang: str) -> str:
    runs = [run for seeds in bench.arms.values() for run in seeds.values()]
    dates = sorted({str(run["date"]) for run in runs})
    cores = sorted({int(run["machine"]["cores"]) for run in runs})
    asked = max(run["questions"] for run in runs)  # a map alone answers two of the tasks
    told = say(
        lang, "compare.proof.about", questions=asked, runs=len(runs), protocol=escape(str(runs[-1]["protocol"])),
        cores=", ".join(map(str, cores)), dates=" … ".join(dict.fromkeys((dates[0], dates[-1]))),
    )  # fmt: skip
    notes = "".join(
        markup.notice(label, "warn") for label in sorted({label for run in runs for label in run.get("labels", [])})
    )
    return f'<p class="run-facts">{told}</p>{notes}'


def _tasks(bench: Bench, lang: str) -> str:
    from core.demo.arms import ARMS
    from core.demo.baselines import ABOUT
    from core.demo.report import minutes
    from core.demo.summaries import TASKS

    tasks = [task for task in TASKS if any(bench.values(arm, task) for arm in bench.arms)]
    # The average stands where a narrow window shows it without scrolling.
    heads = ["", *(say(lang, name) for name in ("compare.proof.runs", "compare.average", "compare.proof.minutes"))]
    heads += [task_name(task, lang) for task in tasks]
    rows = []
    for arm, seeds in bench.arms.items():
        spent = minutes(bench, arm)
        name = f"<b>{escape(arm)}</b><small>{escape(ABOUT[arm] if arm in ABOUT else ARMS[arm].about)}</small>"
        cells = [str(len(seeds)), f"<b>{_mean(bench.values(arm, AVERAGE))}</b>", f"{spent:.1f}" if spent else "–"]
        rows.append([name, *cells, *(_mean(bench.values(arm, task)) for task in tasks)])
    return _table(heads, rows)


def _claims(bench: Bench, lang: str) -> str:
    from core.demo.report import CLAIMS, ablations, claim

    rows = []
    for first, second in (*CLAIMS, *ablations(bench)):
        found = claim(bench, first, second)
        if found:
            rows.append([
                f"{escape(second)} − {escape(first)}", str(len(found["seeds"])),
                f"<b>{found['difference']:+.1f}</b>{_spread(found['spread'])}",
                f'<span class="up">+{found["fixed"]}</span> <span class="down">−{found["regressed"]}</span>',
                _p(found["p"]), _p(found["p_seeds"]),
            ])  # fmt: skip
    heads = ["", *(say(lang, f"compare.proof.{name}") for name in ("runs", "points")), say(lang, "compare.changed"),
             *(say(lang, f"compare.proof.{name}") for name in ("mcnemar", "t"))]  # fmt: skip
    return _table(heads, rows) if rows else ""


def _mean(values: Sequence[float]) -> str:
    from core.demo.report import spread

    return f"{sum(values) / len(values):.1f}{_spread(spread(list(values)))}" if values else "–"


def _spread(value: float | None) -> str:
    return "" if value is None else f" <small>± {value:.1f}</small>"


def _p(value: float | None) -> str:
    return "–" if value is None else "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; the first of a row names it."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="scroll"><table class="scores"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
