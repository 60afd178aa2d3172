"""The measured comparison of the method's parts: the tables of the README, made of the same summaries in `data/proof`."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from studio import markup
from studio.i18n import say, texts
from studio.views.pairs import task_name
from studio.views.sources import PROJECT

if TYPE_CHECKING:
    from core.demo.evidence import Bench
    from core.demo.tables import Table

SUMMARIES = PROJECT / "data" / "proof"


def there(folder: Path = SUMMARIES) -> bool:
    """Whether anything was measured; opens no file."""
    return any(folder.glob("*/*.json"))


def proof(lang: str, folder: Path = SUMMARIES) -> str:
    """All benchmarks as HTML: accuracy per task (mean ± standard deviation over seeds), the price, the claims' tests, controls.

    Raises:
        UserError: there is no summary, or the summaries do not belong together.
    """
    from core.demo.evidence import read_all
    from core.demo.tables import tables

    parts = [f'<p class="run-facts">{say(lang, "compare.proof.how")}</p>']
    for bench in read_all(folder):
        parts.append(f'<h2 class="section">{escape(bench.name)}</h2>{_about(bench, lang)}')
        parts += [_shown(table, lang) for table in tables(bench)]
    return f'<div class="proof">{"".join(parts)}</div>'


def _about(bench: Bench, lang: str) -> str:
    from core.demo.evidence import main_run, notes

    runs = [run for seeds in bench.arms.values() for run in seeds.values()]
    dates = sorted({str(run["date"]) for run in runs})
    cores = sorted({int(run["machine"]["cores"]) for run in runs})
    first = main_run(bench)
    told = say(
        lang, "compare.proof.about", questions=first["questions"], runs=len(runs), protocol=escape(str(first["protocol"])),
        cores=", ".join(map(str, cores)), dates=" … ".join(dict.fromkeys((dates[0], dates[-1]))),
    )  # fmt: skip
    return f'<p class="run-facts">{told}</p>' + "".join(markup.notice(note, "warn") for note in notes(bench))


def _shown(table: Table, lang: str) -> str:
    """With what it tells above it; the first is open, the others open at a click, as a page of them all is long."""
    shown = _table(table, lang)
    if table.name == "tasks":
        return shown
    told = say(lang, f"compare.proof.table.{table.name}")
    return f"<details{' open' if table.name == 'claims' else ''}><summary>{told}</summary>{shown}</details>"


def _table(table: Table, lang: str) -> str:
    head = "".join(f'<th scope="col">{_word(key, lang)}</th>' for key in table.heads)
    rows = []
    for row in table.rows:
        first, *cells = (_cell(key, cell, lang) for key, cell in zip(table.heads, row, strict=True))
        rows.append(f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    return f'<div class="scroll"><table class="scores"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cell(head: str, cell: str, lang: str) -> str:
    from core.demo.evidence import about
    from core.demo.tables import SAID

    if not cell:
        return "–"
    if head in SAID:
        return _word(cell, lang)
    if head == "arm":
        return f"<b>{escape(cell)}</b><small>{escape(about(cell))}</small>"
    if head == "difference":
        return escape(cell.replace(" - ", " − "))
    if head == "changed":
        fixed, lost = cell.split(" / ")
        return f'<span class="up">+{fixed}</span> <span class="down">−{lost}</span>'
    value, sign, spread = escape(cell).partition(" ± ")
    value = f"<b>{value}</b>" if head in ("Average", "points") else value
    return f"{value} <small>± {spread}</small>" if sign else value


def _word(key: str, lang: str) -> str:
    """What a key of a table is called; a task's name stands for itself."""
    name = f"compare.proof.{key.lower()}"
    return escape(say(lang, name)) if name in texts() else task_name(key, lang)
