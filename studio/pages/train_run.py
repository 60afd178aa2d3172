"""One run as it goes: head, buttons, why it ended, curves, sample answers, log, settings. A timer reads the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.errors import UserError
from core.runs import RunFolder, delete_run
from studio import markup
from studio.frame import PRIVATE, address, guarded
from studio.i18n import both, language, say, tr
from studio.machine import held
from studio.pages.train_curves import Curves
from studio.pages.train_form import run_command
from studio.services import Services
from studio.views import runs as look

LOG_LINES = 200
PATIENCE = 2  # seconds between two looks at the run folders
OVERLAYS = 7  # with the run itself as many as the palette has colours


@dataclass(frozen=True)
class Detail:
    """The components of the run panel; `refresh(run, *following, request)` gives values for `outputs`."""

    panel: gr.Column
    refresh: Callable[..., list[Any]]
    outputs: list[Any]
    overlay: gr.Dropdown
    weight: gr.Slider
    drawn: gr.State
    others: Callable[..., Any]
    clone: gr.Button
    changed: gr.State


def build_detail(services: Services, reader: look.Reader, chosen: gr.State) -> Detail:
    """Make the panel of the chosen run."""
    changed = gr.State(0)  # counts what a button did, so that the page looks again at once
    with gr.Column(visible=False, elem_classes=["run-detail"]) as panel:
        head = markup.view(elem_id="run-head")
        with gr.Row(elem_classes=["run-buttons"]):
            stop = gr.Button(tr("train.stop"), variant="primary", size="sm", scale=0, min_width=90, elem_id="stop-run")
            resume = gr.Button(
                tr("train.resume"), variant="primary", size="sm", scale=0, min_width=90, elem_id="resume-run"
            )
            cancel = gr.Button(tr("train.cancel"), size="sm", scale=0, min_width=90, elem_id="cancel-run")
            clone = gr.Button(tr("train.clone"), size="sm", scale=0, min_width=90, elem_id="clone-run")
            delete = gr.Button(
                tr("train.delete"), size="sm", scale=0, min_width=90, variant="stop", elem_id="delete-run"
            )
        with gr.Row(visible=False, elem_classes=["confirm"]) as confirm:
            markup.view(f'<p role="alert">{both("train.delete.ask")}</p>')
            really = gr.Button(tr("train.delete.yes"), variant="stop", size="sm", elem_id="delete-yes")
            keep = gr.Button(tr("train.delete.no"), size="sm", elem_id="delete-no")
        said = markup.view(elem_id="run-said")
        end = markup.view(elem_id="run-end")
        with gr.Tabs(elem_id="run-tabs"):
            with gr.Tab(tr("train.curves"), id="curves"):
                with gr.Row(elem_classes=["curve-controls"]):
                    overlay = gr.Dropdown(
                        [],
                        label=tr("train.overlay"),
                        multiselect=True,
                        max_choices=OVERLAYS,
                        scale=3,
                        elem_id="overlay",
                    )
                    weight = gr.Slider(0, 0.95, 0, step=0.05, label=tr("train.smooth"), scale=1, min_width=240)
                curves = Curves(services, reader)
            with gr.Tab(tr("train.answers"), id="answers"):
                answers = markup.view(elem_id="run-answers")
            with gr.Tab(tr("train.log"), id="log"):
                log = gr.Textbox(
                    "",
                    label=tr("train.log"),
                    lines=22,
                    max_lines=22,
                    interactive=False,
                    autoscroll=True,
                    elem_id="run-log",
                )
            with gr.Tab(tr("train.config"), id="config"):
                config = gr.Code(
                    "", language="yaml", label=tr("train.config"), interactive=False, elem_id="run-config",
                    buttons=["copy"],
                )  # fmt: skip
                again = gr.Code(
                    "", language="shell", label=tr("train.command"), interactive=False, wrap_lines=True, lines=1,
                    buttons=["copy"],
                )  # fmt: skip

    buttons = [stop, resume, cancel, delete]
    outputs = [head, *buttons, end, answers, log, config, again, *curves.outputs]

    def refresh(
        run_id: str, overlaid: list[str], smoothing: float, drawn: tuple[Any, ...], request: gr.Request
    ) -> list[Any]:
        run = services.queue.find(run_id)
        charts = curves.values(run_id, overlaid, smoothing, drawn, request)
        if run is None:
            gone = markup.notice(say(request, "train.gone"), "warn") if run_id else ""
            return [gone, *(gr.Button(visible=False) for _ in buttons), "", "", "", "", "", *charts]
        lang = language(request)
        row = reader.row(run, services.queue.place(run))
        state = row.state
        active = state.status in ("running", "queued")
        answers_at = address("compare", a=f"{run.id}:base", b=f"{run.id}:tuned")
        answered = (run.path / "answers" / "tuned").is_dir()
        seen = (state.status == "running", state.status in ("stopped", "failed", "lost") and not row.place,
                active or bool(row.place), not active and not row.place)  # fmt: skip
        memory = 0 if state.is_over else held(state)
        return [
            look.run_head(row, memory, lang, answers_at if answered else ""), *(gr.Button(visible=flag) for flag in seen),
            look.ending(run, state, lang) if not row.place else "", look.completions(reader.completions(run), lang),
            run.log_tail(LOG_LINES), reader.config_text(run), run_command(run), *charts,
        ]  # fmt: skip

    def others(run_id: str, request: gr.Request) -> gr.Dropdown:
        """The runs that can be laid over this one."""
        rows = [(f"{reader.name(run)} · {run.id[:15]}", run.id) for run in services.queue.runs() if run.id != run_id]
        return gr.Dropdown(choices=rows, value=[])

    def act(action: Callable[[RunFolder], None], key: str = "") -> Callable[..., tuple[str, int]]:
        @guarded
        def handler(run_id: str, count: int, request: gr.Request) -> tuple[str, int]:
            run = services.queue.find(run_id)
            if run is None:
                raise UserError(say(request, "train.gone"))
            action(run)
            return markup.notice(say(request, key)) if key else "", count + 1

        return handler

    @guarded
    def remove(run_id: str, count: int) -> tuple[str, int, str, gr.Row]:
        run = services.queue.find(run_id)
        if run is not None:
            services.queue.leave(run)
            delete_run(run)
        return "", count + 1, "", gr.Row(visible=False)

    queue = services.queue
    stop.click(act(queue.stop, "train.stopping"), [chosen, changed], [said, changed], **PRIVATE)
    cancel.click(act(queue.cancel), [chosen, changed], [said, changed], **PRIVATE)
    resume.click(act(queue.resume), [chosen, changed], [said, changed], **PRIVATE)
    delete.click(lambda: gr.Row(visible=True), None, confirm, **PRIVATE)
    keep.click(lambda: gr.Row(visible=False), None, confirm, **PRIVATE)
    really.click(remove, [chosen, changed], [said, changed, chosen, confirm], **PRIVATE)
    chosen.change(lambda: ("", gr.Row(visible=False)), None, [said, confirm], **PRIVATE)
    return Detail(panel, refresh, outputs, overlay, weight, curves.drawn, others, clone, changed)
