"""Train: runs on the left; on the right the chosen run as it goes, or the form of a new one.

The chosen run stands in the address (`?run=`), everything else in run folders, so that a reload, a closed tab or a restart of
the studio loses nothing.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio import markup
from studio.frame import in_order, on_load
from studio.i18n import both, language, tr
from studio.machine import meters
from studio.pages.train_form import build_form
from studio.pages.train_run import PATIENCE, build_detail
from studio.services import Services, parameter
from studio.views import runs as look
from studio.views.settings_form import config_of

NEW = "new"


def build(services: Services) -> None:
    reader = look.Reader()
    chosen = gr.State("")  # a run's id, or NEW for the form
    clock = gr.Timer(PATIENCE)
    where = markup.view()  # tells the browser the address
    seen = gr.State(("", ""))  # what list and meters show: nothing is sent while it is the same
    with gr.Row(elem_classes=["train-top"]):
        markup.view(markup.heading(both("train.title"), both("train.note")))
        room = markup.view(elem_id="rooms")
    with gr.Row(equal_height=False, elem_classes=["train"]):
        with gr.Column(scale=0, min_width=290, elem_classes=["run-side"]):
            new = gr.Button(tr("train.new"), variant="primary", elem_id="new-run")
            rows = markup.picker(elem_id="runs")
        with gr.Column(scale=1, min_width=420):
            form = build_form(services)
            detail = build_detail(services, reader, chosen)

    def side(run_id: str, lang: str) -> tuple[str, str]:
        queue = services.queue
        listed = [reader.row(run, queue.place(run)) for run in queue.runs()]
        return look.run_list(listed, run_id, lang), meters(services.folder, lang)

    def show(run_id: str, smoothing: float, request: gr.Request) -> list[Any]:
        """The page for a choice: which panel is seen, list, run."""
        known = services.queue.find(run_id)
        if known is None and run_id != NEW:
            runs = services.queue.runs()
            run_id = runs[0].id if runs and not run_id else run_id or NEW
        is_form = run_id == NEW
        listed, room_left = side(run_id, language(request))
        return [
            run_id, markup.place(run=run_id), listed, room_left, (listed, room_left),
            gr.Column(visible=is_form), gr.Column(visible=not is_form),
            detail.others(run_id, request), *detail.refresh("" if is_form else run_id, [], smoothing, (), request),
        ]  # fmt: skip

    whole = [chosen, where, rows, room, seen, form.panel, detail.panel, detail.overlay, *detail.outputs]

    def enter(request: gr.Request) -> list[Any]:
        # One answer shows the form and fills it: a second one would overwrite what is typed between the two.
        return [*show(parameter(request, "run") or "", 0, request), *form.fill(request)]

    def tick(
        run_id: str, before: tuple[str, str], overlaid: list[str], smoothing: float, drawn: Any, request: gr.Request
    ) -> list[Any]:
        now = side(run_id, language(request))
        sent = [value if value != old else gr.skip() for value, old in zip(now, before, strict=True)]
        nothing = [gr.skip() for _ in detail.outputs]
        fresh = nothing if run_id in ("", NEW) else detail.refresh(run_id, overlaid, smoothing, drawn, request)
        return [*sent, now, *fresh]

    def pick(smoothing: float, event: gr.EventData, request: gr.Request) -> list[Any]:
        return show(markup.picked(event), smoothing, request)

    def open_form(request: gr.Request) -> list[Any]:
        return show(NEW, 0, request)

    def clone(run_id: str, request: gr.Request) -> list[Any]:
        run = services.queue.find(run_id)
        return [*show(NEW, 0, request), *form.fill(request, config_of(run) if run else None)]

    options = in_order("train")  # a look at the run that was left must not cover the one chosen since
    on_load(enter, None, [*whole, *form.outputs])
    rows.select(pick, detail.weight, whole, **options)
    new.click(open_form, None, whole, **options)
    detail.clone.click(clone, chosen, [*whole, *form.outputs], **options)
    form.started.change(show, [form.started, detail.weight], whole, **options)
    asked, following = [chosen, seen, detail.overlay, detail.weight, detail.drawn], [rows, room, seen, *detail.outputs]
    clock.tick(tick, asked, following, **{**options, "trigger_mode": "once"})
    for event in (detail.overlay.change, detail.weight.release):
        event(tick, asked, following, **options)
    detail.changed.change(show, [chosen, detail.weight], whole, **options)
