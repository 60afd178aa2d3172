"""One self-contained HTML file, and CSVs beside it: everything a reader needs to judge one or two models.

<out>/report.html       pictures are inside the file; nothing is fetched from anywhere
<out>/*.csv             the tables behind it
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from PIL import Image

from core.errors import UserError
from core.evaluation import figures
from core.evaluation.comparing import Comparison, accuracy_intervals, compare_answers
from core.evaluation.decisions import Costs, calibration, decision_table, ranking_table
from core.evaluation.published import FILE, published_table
from core.evaluation.records import label_notes, labels_of, normalized, partial_notes, protocol_of
from core.evaluation.tables import AVERAGE, accuracy_table, detection_table, unparseable_rate
from core.files import read_json, write_atomic
from core.mmad import Benchmark, Task
from core.pictures import open_image

GALLERY = 24
THUMBNAIL = 256


def write_report(
    answers: Mapping[str, pd.DataFrame],
    out: str | Path,
    *,
    bench: Benchmark | None = None,
    difficulty: pd.DataFrame | None = None,
    costs: Costs | None = None,
    heatmap: Callable[[str, str], np.ndarray] | None = None,
    across_protocols: bool = False,
    published: bool = True,
    title: str = "Evaluation",
    draws: int = 2000,
) -> Path:
    """Write `report.html` and CSVs into the folder `out`; returns the report's path.

    Args:
        answers: name -> answers, of one or two models; of two the second is compared with the first.
        bench: for pictures in the gallery; without it there is no gallery.
        difficulty: columns image, index, question_type, wrong, as a run records them.
        costs: of a miss and an overkill.
        heatmap: (query, reference; both paths on disk) -> anomaly map [H, W], for the gallery.
        across_protocols: see `compare_answers`.
        published: add the published figures.

    Raises:
        UserError: no answers, more than two models, or two protocols.
    """
    if not 1 <= len(answers) <= 2:
        raise UserError(f"A report takes the answers of one or two models, not {len(answers)}.")
    tables = {name: normalized(table, name) for name, table in answers.items()}
    if not all(len(table) for table in tables.values()):
        raise UserError("There are no answers to report on: answer some questions first.")
    out, costs = Path(out), costs or Costs()
    names = tuple(tables)
    comparison = None
    if len(names) == 2:
        comparison = compare_answers(
            *tables.values(), names=(names[0], names[1]), across_protocols=across_protocols, draws=draws
        )
    accuracy = {name: accuracy_table(table) for name, table in tables.items()}
    products = {name: accuracy_table(table, by="product") for name, table in tables.items()}
    detection = {name: _or_none(detection_table, table) for name, table in tables.items()}
    ranking = {name: _or_none(ranking_table, table) for name, table in tables.items()}
    decisions = {name: _or_none(lambda t: decision_table(t, costs), table) for name, table in tables.items()}
    intervals = {name: accuracy_intervals(table, draws=draws) for name, table in tables.items()}

    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template("report.jinja")
    html = page.render(
        title=title,
        protocols={name: str(protocol_of(table) or "protocol not stated") for name, table in tables.items()},
        # A label of a model is a note of the comparison too.
        notes=list(dict.fromkeys([*_notes(tables), *(comparison.notes if comparison else [])])),
        labels={name: " and ".join(labels_of(table)) for name, table in tables.items()},
        comparison=comparison,
        verdict=comparison.verdict() if comparison else "",
        comparison_table=_comparison(comparison) if comparison else "",
        accuracy={name: _html(table) for name, table in accuracy.items()},
        detection={name: _html(table) for name, table in detection.items() if table is not None and len(table)},
        ranking={name: _html(table) for name, table in ranking.items() if table is not None},
        decision={name: _html(table, 2) for name, table in decisions.items() if table is not None},
        costs=_cost_words(costs),
        figures=_figures(tables, intervals, ranking, difficulty),
        gallery=_gallery(tables, comparison, bench, heatmap) if bench else [],
        gallery_title=_gallery_title(comparison),
        published=_published() if published else None,
        published_figure=_figure_source(figures.task_bars(intervals, _closest())) if published else "",
        published_about=read_json(FILE)["about"] if published else "",
    )
    for name in tables:
        stem = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
        said = labels_of(tables[name])
        _csv(out / f"{stem}-accuracy.csv", accuracy[name], said)
        _csv(out / f"{stem}-accuracy-by-product.csv", products[name], said)
        _csv(out / f"{stem}-intervals.csv", intervals[name], said)
        _csv(out / f"{stem}-detection.csv", detection[name], said)
        _csv(out / f"{stem}-ranking.csv", ranking[name], said)
        _csv(out / f"{stem}-decision.csv", decisions[name], said)
    if comparison:
        _csv(out / "comparison.csv", comparison.table, comparison.labelled)
        _csv(out / "comparison-questions.csv", comparison.questions.drop(columns="p_letters", errors="ignore"))
    return write_atomic(out / "report.html", html)


def _or_none(make: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame) -> pd.DataFrame | None:
    """A part of the report that the answers have nothing for is left out."""
    try:
        return make(table)
    except UserError:
        return None


def _notes(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    notes = label_notes(tables) + partial_notes(tables)
    for name, table in tables.items():
        rate = unparseable_rate(table)
        if rate >= 1:
            what = "hardly says anything but babble" if rate > 50 else "leaves questions open"
            notes.append(f"{name} {what}: {rate:.1f} % of its replies hold no letter and count as wrong.")
    protocols = {name: protocol_of(table) for name, table in tables.items()}
    told = [name for name, protocol in protocols.items() if protocol and protocol.knowledge]
    if told:
        notes.append(
            f"{' and '.join(told)} {'was' if len(told) == 1 else 'were'} shown domain knowledge: compare only with results that "
            "had it too."
        )
    return notes


def _figures(
    tables: Mapping[str, pd.DataFrame],
    intervals: Mapping[str, pd.DataFrame],
    ranking: Mapping[str, pd.DataFrame | None],
    difficulty: pd.DataFrame | None,
) -> list[dict[str, str]]:
    band = "bars and bands are 95 % bootstrap intervals over pictures"
    drawn: list[tuple[str, str, Any]] = []
    if len(next(iter(intervals.values()))) > 3:
        drawn.append(("Tasks", f"Accuracy per task; {band}.", figures.radar(intervals)))
        drawn.append(("", f"Accuracy per task; {band}.", figures.task_bars(intervals)))
    else:
        drawn.append(("Tasks", f"Accuracy per task; {band}.", figures.task_bars(intervals)))
    types = "Which type was taken for which, in percent of each row."
    places = (
        "Left: accuracy by the region the defect lies in. Right: regions that wrong answers name, in percent of them."
    )
    for name, table in tables.items():
        drawn.append((f"Defect types: {name}", types, figures.defect_confusion(table)))
        drawn.append((f"Places: {name}", places, figures.localization_map(table)))
    curves = {name: calibration(table) for name, table in tables.items() if ranking[name] is not None}
    calibrated = (
        "On the diagonal pictures are defective as often as the model states; bars are Wilson's 95 % intervals."
    )
    if curves:
        plot = figures.calibration_plot(curves)
        drawn.append(("Can P(defect) be believed?", calibrated, plot))
    if difficulty is not None and len(difficulty):
        words = (
            "Accuracy over how hard questions of the same product and task were in training; Wilson's 95 % intervals."
        )
        drawn.append(("Difficulty", words, figures.difficulty_plot(tables, difficulty)))
    return [
        {"heading": heading, "caption": caption, "source": _figure_source(figure)}
        for heading, caption, figure in drawn
        if figure is not None
    ]


def _gallery_title(comparison: Comparison | None) -> str:
    if comparison is None:
        return "Wrong answers"
    shown, total = min(GALLERY, len(comparison.regressed)), len(comparison.regressed)
    return f"Regressions: right before, wrong now ({shown} of {total})"


def _gallery(
    tables: Mapping[str, pd.DataFrame],
    comparison: Comparison | None,
    bench: Benchmark,
    heatmap: Callable[[str, str], np.ndarray] | None,
) -> list[dict[str, Any]]:
    marks: list[tuple[str, str]]
    if comparison:
        chosen = comparison.regressed
        marks = [("answer_first", comparison.names[0]), ("answer_second", comparison.names[1])]
    else:
        table = next(iter(tables.values()))
        chosen = table[(table["answer"] != table["correct_answer"]).fillna(True)]
        marks = [("answer", next(iter(tables)))]
    # Spread over tasks, so that one task's failures do not fill the page.
    rank = chosen.groupby("task").cumcount()
    cards = []
    for _, row in chosen.iloc[rank.argsort(kind="stable")[:GALLERY]].iterrows():
        sample = bench.by_image.get(row["image"])
        if sample is None or not isinstance(row.get("options"), str):
            continue
        right = row["correct_answer"]
        options = [
            {
                "text": f"{letter}. {text}",
                "right": letter == right,
                "marks": ", ".join([*(["right"] if letter == right else []),
                                    *(name for column, name in marks if row[column] == letter)]),
            }
            for letter, text in json.loads(row["options"]).items()
        ]  # fmt: skip
        silent = [f"{name} gave no letter" for column, name in marks if not isinstance(row[column], str)]
        cards.append({
            "image": row["image"], "task": row["task"], "question": row["question"], "options": options,
            "replies": silent, "pictures": _pictures(bench, sample, heatmap),
        })  # fmt: skip
    return cards


def _pictures(bench: Benchmark, sample: Any, heatmap: Callable[[str, str], np.ndarray] | None) -> list[dict[str, str]]:
    shown: list[tuple[str, Image.Image]] = []
    reference = bench.reference(sample)
    try:
        query = open_image(bench.path(sample.image)) if sample.text is None else None
        if query is not None:
            shown.append(("query", query))
        if reference:
            shown.append(("reference", open_image(bench.path(reference))))
        if heatmap and query is not None and reference:
            from core.heatmap import overlay

            heat = heatmap(str(bench.path(sample.image)), str(bench.path(reference)))
            shown.append(("heatmap", overlay(query, heat)))
    except UserError:
        pass  # a picture that has gone since leaves its place empty
    result = []
    for name, picture in shown:
        picture = picture.copy()
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        held = io.BytesIO()
        picture.convert("RGB").save(held, "JPEG", quality=85)
        result.append({"name": name, "source": _data("image/jpeg", held.getvalue())})
    return result


def _figure_source(figure: Any) -> str:
    held = io.BytesIO()
    figure.savefig(held, format="svg", metadata={"Date": None})
    return _data("image/svg+xml", held.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _html(table: pd.DataFrame, digits: int = 1, special: Mapping[str, int] | None = None) -> Markup:
    """A table as HTML; every cell is escaped, empty ones are a dash, the row "Average" stands out."""
    places = [(special or {}).get(str(column), digits) for column in table]
    head = Markup("").join(Markup("<th>{}</th>").format(_words(str(column))) for column in ["", *table])
    rows = []
    for label, row in zip(table.index, table.itertuples(index=False, name=None), strict=True):
        cells = [Markup("<td>{}</td>").format(_cell(value, digit)) for value, digit in zip(row, places, strict=True)]
        kind = Markup(' class="average"') if label == AVERAGE else ""
        rows.append(Markup("<tr{}><td>{}</td>{}</tr>").format(kind, label, Markup("").join(cells)))
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("").join(rows))


def _words(column: str) -> str:
    return {"p_holm": "p (Holm)", "low": "from", "high": "to"}.get(column, column.replace("_", " "))


def _cell(value: Any, digits: int) -> str | Markup:
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.{digits}f}"
    return value if isinstance(value, Markup) else str(value)


def _comparison(comparison: Comparison) -> Markup:
    named = comparison.table.rename(columns=dict(zip(("first", "second"), comparison.names, strict=True)))
    return _html(named, 1, {"p": 4, "p_holm": 4})


def _closest() -> pd.DataFrame:
    """The paper's own base and result: the published rows with figures per task and a protocol like ours."""
    table = published_table()
    return table[table["model"].isin(["EMIT-8B", "InternVL3-8B"])]


def _published() -> dict[str, Any]:
    """The published rows as a table whose columns protocol (a letter) and source (a number) point into two lists."""
    table = published_table()
    protocols = list(dict.fromkeys(table["protocol"]))
    sources = list(dict.fromkeys(zip(table["source"], table["url"], strict=True)))
    remarks = table["approximate"].map({True: "read off a chart", False: ""}) + table["note"]
    model = table["model"] + remarks.map(lambda said: f" ({said})" if said else "")
    table["protocol"] = ["abcdefgh"[protocols.index(words)] for words in table["protocol"]]
    table["source"] = [str(1 + sources.index(pair)) for pair in zip(table["source"], table["url"], strict=True)]
    shown = table[["protocol", "source", AVERAGE, *(task.value for task in Task)]].set_index(model)
    return {"table": _html(shown), "protocols": protocols, "sources": sources}


def _cost_words(costs: Costs) -> str:
    share = "the share in the answers" if costs.prevalence is None else f"{100 * costs.prevalence:g} %"
    return f"A miss costs {costs.miss:g}, an overkill {costs.overkill:g}; of the pictures, {share} are defective."


def _csv(path: Path, table: pd.DataFrame | None, labels: Sequence[str] = ()) -> None:
    """Write a table; what must be said beside its figures is a column of its own."""
    if table is not None and len(table):
        write_atomic(path, (table.assign(labels="; ".join(labels)) if labels else table).to_csv())


def table_json(table: pd.DataFrame, labels: Sequence[str] = ()) -> dict[str, Any]:
    """A table for scripts: row -> column -> number, None where there is none, and `labels` where there are any."""
    return {**json.loads(table.to_json(orient="index")), **({"labels": list(labels)} if labels else {})}
