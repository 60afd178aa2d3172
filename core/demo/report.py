"""`python -m core.demo report`: table and figures of the proof, made again from the committed summaries.

For every benchmark with summaries: accuracy per task (mean and standard deviation over seeds, and how many runs stand behind
each row), averages on the unseen parts, price, the claims with their tests, baselines and controls. The text goes between
the markers of the README, the figures into a folder; `--json` writes the averages for scripts.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from core.demo.evidence import AVERAGE, Bench, about, averages, main_run, notes, read_all
from core.demo.tables import SAID, Table, tables
from core.errors import UserError, explain_os_error
from core.files import check_writable, write_atomic, write_json

BEGIN, END = "<!-- proof:begin -->", "<!-- proof:end -->"
HOW = (
    "Measured by `python -m core.demo proof`, put together by `python -m core.demo report` from the summaries in `data/proof`. "
    "The McNemar test pools the questions of all seeds, which are the same in each: it speaks for these trained models. The "
    "t-test takes each seed as one observation: it speaks for the recipe."
)
LEGENDS = {
    "tasks": "Accuracy in percent, mean ± standard deviation over the runs, each with its own seed.",
    "price": "Average over tasks on what training never showed, and the price: minutes of training, tokens generated in it.",
    "controls": "Does it look? The same questions, with another picture of the product shown, without the heatmap's tokens, or "
    "with those of another pair's heatmap.",
}
FOLDED = frozenset({"controls"})  # as long as all others together: open at a click
FORMER = "-former-"  # in the name of a benchmark whose runs are of another base or preset than those shipped: folded as a whole
WORDS = {
    "Anomaly Detection": "detect", "Defect Classification": "classify", "Defect Localization": "locate",
    "Defect Description": "describe", "Defect Analysis": "analyse", "Object Classification": "object",
    "Object Analysis": "object detail", AVERAGE: "average", "all": "all", "instances": "unseen instances",
    "defects": "unseen defect of the product", "products": "unseen products", "arm": "", "gain": "points over base",
    "per_minute": "points per minute", "changed": "fixed / lost", "mcnemar": "p (McNemar, questions of all seeds)",
    "t": "p (t-test, seeds)", "another_picture": "another picture", "no_heatmap": "no heatmap",
    "another_heatmap": "another's heatmap", "own": "as it is, %", "other": "control, %", "chance": "chance, %",
    "above": "p (control above chance)",
}  # fmt: skip


def markdown(benches: Iterable[Bench], figures: Mapping[str, list[tuple[str, str]]]) -> str:
    """All tables.

    Args:
        figures: benchmark -> (path as the text shall name it, what it shows).
    """
    benches = list(benches)
    named = dict.fromkeys(arm for bench in benches for arm in bench.arms)
    rows = "\n".join(f"- **{arm}**: {about(arm)}" for arm in named)
    blocks = [f"## What EMIT gains\n\n{HOW}\n\n{rows}"]
    for bench in benches:
        shown = [f"![{said}]({path})" for path, said in figures.get(bench.name, [])]
        title, text = f"### {bench.name}", "\n\n".join([_about(bench), *map(_table, tables(bench)), *shown])
        blocks.append(f"{title}\n\n{_folded('Of a former base or preset', text) if FORMER in bench.name else text}")
    return "\n\n".join(blocks)


def _about(bench: Bench) -> str:
    runs = [run for seeds in bench.arms.values() for run in seeds.values()]
    machines = sorted({_machine(run["machine"]) for run in runs})
    dates = sorted({run["date"] for run in runs})
    first = main_run(bench)
    seeds = sorted({seed for arm in bench.trained for seed in bench.arms[arm]})
    trained = f" (seeds {', '.join(map(str, seeds))})" if seeds else ""
    lines = [
        f"{first['questions']} test questions, {len(runs)} runs{trained}",
        f"preset {first['preset']}" if first.get("preset") else "",
        f"protocol: {first['protocol']}", *machines, dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
    ]  # fmt: skip
    return "; ".join(filter(None, lines)) + "." + "".join(f" Note: {note}." for note in notes(bench))


def _machine(machine: Mapping[str, Any]) -> str:
    words = [f"{machine['cores']} CPU cores, {machine['memory_gb']} GB"]
    return ", ".join([*words, machine["gpu"]] if machine.get("gpu") else words)


def _table(table: Table) -> str:
    lines = [[WORDS.get(head, head) for head in table.heads], ["---", *["---:"] * (len(table.heads) - 1)]]
    for row in table.rows:
        lines.append([_cell(head, cell) for head, cell in zip(table.heads, row, strict=True)])
    text, legend = "\n".join(f"| {' | '.join(line)} |" for line in lines), LEGENDS.get(table.name, "")
    if table.name in FOLDED:
        return _folded(legend, text)
    return f"{legend}\n\n{text}" if legend else text


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _cell(head: str, cell: str) -> str:
    if head in SAID:
        return WORDS.get(cell, cell)
    if head == AVERAGE and cell:
        value, sign, spread = cell.partition(" ± ")
        return f"**{value}**{sign}{spread}"
    return cell


def put_between_markers(readme: Path, text: str) -> bool:
    """Put `text` between the markers of a file; False where it has none.

    Raises:
        UserError: it cannot be read, or only one marker is there.
    """
    try:
        content = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, readme) from error
    if BEGIN not in content and END not in content:
        return False
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{readme} has only one of the markers {BEGIN} and {END}, in this order: put both there.")
    write_atomic(readme, f"{before}{BEGIN}\n{text}\n{END}{after}")
    return True


def add_flags(add: Callable[..., Any]) -> None:
    add("--summaries", default="data/proof", metavar="DIR", help="where `proof` keeps them (data/proof)")
    add("--out", default="docs/figures", metavar="DIR", help="where figures go (docs/figures)")
    add("--readme", default="README.md", metavar="FILE", help=f"the text goes between {BEGIN} and {END} (README.md)")
    add("--json", metavar="FILE", help="write the averages for scripts")


def act(flags: argparse.Namespace) -> None:
    from core.demo.charts import draw_all

    if flags.json:
        check_writable(flags.json)
    benches = read_all(Path(flags.summaries))
    readme = Path(flags.readme)
    figures = {}
    for bench in benches:
        # With a single trained arm (domain shift) the tables say all there is.
        drawn = draw_all(bench, Path(flags.out)) if len(bench.trained) > 1 else []
        figures[bench.name] = [(os.path.relpath(path, readme.parent), said) for path, said in drawn]
    text = markdown(benches, figures)
    print(text)
    if flags.json:
        write_json(flags.json, averages(benches))
    if readme.is_file() and put_between_markers(readme, text):
        print(f"\nWritten into {readme}.")
