"""The other half of Compare: both models over all tasks, the blind votes, and the export."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import UserError
from core.files import write_atomic
from studio import markup
from studio.frame import guarded
from studio.i18n import language, say, tr
from studio.services import Services
from studio.views import scores as look
from studio.views.knowing import cautions
from studio.views.pairs import pair, tally, to_csv
from studio.views.report import report
from studio.views.sources import Source, pictures, sources, stored

if TYPE_CHECKING:
    import pandas as pd

FEW = 100


@dataclass(frozen=True)
class Tasks:
    show: Callable[..., list[Any]]
    outputs: list[Any]


def build_tasks(services: Services) -> Tasks:
    """Make the tab; `show(a, b)` gives values for `outputs`."""
    notes = markup.view(elem_id="task-notes")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=620):
            table = markup.view(elem_id="task-table")
        with gr.Column(scale=2, min_width=360):
            radar = markup.view(elem_id="radar")
    ballot = markup.view(elem_id="ballot")
    with gr.Row(elem_classes=["exports"]):
        html = gr.DownloadButton(tr("compare.export.html"), size="sm", scale=0, min_width=210, elem_id="export-html")
        answers = gr.DownloadButton(tr("compare.export.csv"), size="sm", scale=0, min_width=150, elem_id="export-csv")
        figures = gr.DownloadButton(
            tr("compare.export.table"), size="sm", scale=0, min_width=150, elem_id="export-table"
        )
    buttons = [html, answers, figures]

    @guarded
    def show(a: str, b: str, request: gr.Request) -> list[Any]:
        lang = language(request)
        first, second, left, right = _both(services, a, b)
        if left is None or right is None or not first or not second:
            empty = markup.empty(say(lang, "compare.no_tasks"), say(lang, "compare.no_tasks.next"))
            return ["", empty, "", "", *(gr.DownloadButton(visible=False) for _ in buttons)]
        rows = look.scores(left, right)
        told = cautions(((first, left), (second, right)), lang)
        files = _files(services, request, first, second, left, right, rows)
        return [
            _notes(rows, left, right, lang) + told, look.table(rows, first.label, second.label, lang),
            look.radar(rows, first.label, second.label, lang), _ballot(services, request, first, second),
            *(gr.DownloadButton(value=str(path), visible=True) for path in files),
        ]  # fmt: skip

    return Tasks(show, [notes, table, radar, ballot, *buttons])


def _both(services: Services, a: str, b: str) -> tuple[Source | None, Source | None, Any, Any]:
    known = {source.id: source for source in sources(services)}
    first, second = known.get(a), known.get(b)
    return first, second, stored(services, first), stored(services, second)


def _notes(rows: list[look.Score], left: pd.DataFrame, right: pd.DataFrame, lang: str) -> str:
    """What a reader must know beside the figures: how the questions were put, and how few they are."""
    from core.evaluation.records import protocol_of

    protocols = [str(protocol_of(answers) or "–") for answers in (left, right)]
    count = rows[-1].count if rows else 0
    text = [f'<p class="run-facts">{say(lang, "compare.protocol", text=protocols[1])}</p>']
    if protocols[0] != protocols[1]:
        text = [markup.notice(say(lang, "compare.protocols", first=protocols[0], second=protocols[1]), "warn")]
    if count < FEW:
        text.append(markup.notice(say(lang, "compare.few", n=count), "warn"))
    return "".join(text)


def _ballot(services: Services, request: gr.Request, first: Source, second: Source) -> str:
    """How the blind votes between the two ended."""
    try:
        opened = services.of(request)
    except UserError:
        opened = None
    votes = (
        tally(services.workspace.marks.votes(opened.id), first.id, second.id) if opened else {"a": 0, "b": 0, "tie": 0}
    )
    total = sum(votes.values())
    title = f'<h2 class="section">{say(request, "compare.tally")}</h2>'
    if not total:
        return f'<div class="ballot">{title}<p class="run-facts">{say(request, "compare.tally.none")}</p></div>'
    names = {"a": first.label, "b": second.label, "tie": say(request, "compare.ties")}
    bars = "".join(
        f'<div class="room">{markup.badge(names[key])}{markup.meter(votes[key] / total, str(votes[key]), names[key])}</div>'
        for key in ("a", "tie", "b")
    )
    return f'<div class="ballot">{title}{bars}</div>'


def report_of(
    services: Services,
    request: gr.Request | None,
    first: Source,
    second: Source,
    left: pd.DataFrame,
    right: pd.DataFrame,
) -> str:
    """The comparison as one HTML page, with pictures of what changed."""
    try:
        opened = services.of(request)
    except UserError:
        opened = None

    def picture(image: str) -> Any:
        bench = pictures(services, opened, second, image)
        return (bench, bench.by_image[image]) if bench else None

    lang = language(request)
    told = cautions(((first, left), (second, right)), lang)
    return report(first.label, second.label, look.scores(left, right), pair(left, right), picture, lang, told)


def _files(
    services: Services, request: gr.Request, first: Source, second: Source, left: pd.DataFrame, right: pd.DataFrame,
    rows: list[look.Score],
) -> list[Path]:  # fmt: skip
    """The three exports as files with fixed names, in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="emit-compare-"))
    pairs = pair(left, right)
    page = report_of(services, request, first, second, left, right)
    return [
        write_atomic(folder / "comparison.html", page),
        write_atomic(folder / "answers.csv", to_csv(pairs, first.label, second.label)),
        write_atomic(folder / "table.csv", look.to_csv(rows)),
    ]
