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
from studio.pages.train_form import run_command
from studio.services import Services
from studio.views import runs as look
from studio.views.curves import CURVES, chart, colours, legend

LOG_LINES = 200
PATIENCE = 2  # seconds between two looks at the run folders
OVERLAYS = 7  # with the run itself as many as the palette has colours


@dataclass(frozen=True)
class Detail:
    """The components of the run panel; `refresh(run, request)` gives values for `outputs`."""

    panel: gr.Column
    refresh: Callable[..., list[Any]]
    outputs: list[Any]
    overlay: gr.Dropdown
    others: Callable[..., Any]
    clone: gr.Button
    changed: gr.State


def build_detail(services: Services, reader: look.Reader, chosen: gr.State) -> Detail:
    """Make the panel of the chosen run."""
    changed = gr.State(0)  # counts what a button did, so that the page looks again at once
    drawn = gr.State(())  # which runs and series the charts show; the charts are made anew when it changes
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
                _curves(services, reader, weight, drawn)
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
    outputs = [head, *buttons, end, answers, log, config, again, drawn]

    def refresh(run_id: str, overlaid: list[str], request: gr.Request) -> list[Any]:
        run = services.queue.find(run_id)
        if run is None:
            gone = markup.notice(say(request, "train.gone"), "warn") if run_id else ""
            return [gone, *(gr.Button(visible=False) for _ in buttons), "", "", "", "", "", ()]
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
            run.log_tail(LOG_LINES), reader.config_text(run), run_command(run), _series(services, reader, run_id, overlaid),
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
    return Detail(panel, refresh, outputs, overlay, others, clone, changed)


def _runs(services: Services, reader: look.Reader, run_id: str, overlaid: list[str] | None) -> dict[str, Any]:
    """Name -> metrics of the chosen run and those laid over it; equal names are told apart by number."""
    found: dict[str, Any] = {}
    for wanted in dict.fromkeys([run_id, *(overlaid or [])]):
        run = services.queue.find(wanted)
        if run is not None:
            name = reader.name(run)
            found[f"{name} ({len(found) + 1})" if name in found else name] = reader.metrics(run)
    return found


def _series(services: Services, reader: look.Reader, run_id: str, overlaid: list[str] | None) -> tuple[Any, ...]:
    """Which charts there are and which lines they have."""
    runs = _runs(services, reader, run_id, overlaid)
    charts = [(curve.id, chart(runs, curve)) for curve in CURVES]
    # One point is no line: a chart comes with the second.
    drawable = [(name, tuple(table["series"].unique())) for name, table in charts if table["step"].nunique() > 1]
    return (run_id, tuple(overlaid or ()), tuple(drawable))


def _curves(services: Services, reader: look.Reader, weight: gr.Slider, drawn: gr.State) -> None:
    """The charts. They are made anew when a line appears, because a chart keeps the lines it was made with."""

    @gr.render(inputs=[drawn, weight], triggers=[drawn.change, weight.release])
    def draw(shown: tuple[Any, ...], smoothing: float, request: gr.Request) -> None:
        run_id, overlaid, charts = shown or ("", (), ())
        if not charts:
            markup.view(markup.empty(say(request, "train.no_curves")))
            return
        last = {"stamp": None}
        by_id = {curve.id: curve for curve in CURVES}
        runs = _runs(services, reader, run_id, list(overlaid))
        plots = []
        with gr.Row(elem_classes=["curves"], equal_height=True):
            for name, series in charts:
                curve, palette = by_id[name], colours(series)
                with gr.Column(elem_classes=["curve"], min_width=300, elem_id=f"curve-{name}"):
                    plots.append(
                        gr.LinePlot(
                            chart(runs, curve, smoothing), x="step", y="value", color="series", height=256,
                            label=tr(f"train.curve.{name}"), show_label=True, x_title=" ", y_title=" ", color_title=" ",
                            # Gradio's legend is cut off where it is wider than the chart: ours wraps.
                            color_map=palette, colors_in_legend=[],
                            y_lim=[0, 100] if curve.share else None, tooltip="all", buttons=[],
                            key=f"{run_id}-{name}-{series}",
                        )
                    )  # fmt: skip
                    if len(series) > 1:
                        markup.view(legend(palette))

        def follow() -> Any:
            """New points for the same lines; nothing is sent while the files have not changed."""
            stamp = [reader.signature(run) for run in map(services.queue.find, (run_id, *overlaid)) if run]
            if stamp == last["stamp"]:
                return gr.skip()
            last["stamp"] = stamp
            fresh = _runs(services, reader, run_id, list(overlaid))
            tables = [chart(fresh, by_id[name], smoothing) for name, _ in charts]
            return tables if len(tables) > 1 else tables[0]

        # A timer of their own: listening to the page's from here would silence its other listeners.
        gr.Timer(PATIENCE).tick(follow, None, plots, **PRIVATE)
