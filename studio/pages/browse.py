"""Browse: choose samples by filters with live counts, look at one with its reference, mask, heatmap and questions.

The address holds everything chosen (`?product=bolt&order=hardest&p=2`, `?sample=...`), so a link shows the same page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from core.mmad import audit
from studio.frame import PRIVATE, guarded, in_order, on_load
from studio.i18n import say, tr
from studio.markup import meter, notice, picked, picker, view
from studio.placement import PLACEMENTS, choose_placement
from studio.services import Opened, Services
from studio.views import heat, masks, samples
from studio.views.browsing import Browsing, State, opened_of, stage, updates
from studio.views.catalogue import ORDERS, address_of, choice_of


def build(services: Services) -> None:
    """The page: a list of samples, and one sample in its place."""
    state = gr.State({})
    with gr.Row(elem_id="browse-list") as listing:
        with gr.Column(elem_id="browse-filters"):
            words = gr.Textbox(label=tr("browse.search"), placeholder=tr("browse.search_hint"), max_lines=1,
                               elem_classes="bare")  # fmt: skip
            facets = picker()
        with gr.Column(elem_id="browse-results"):
            with gr.Row(elem_id="browse-toolbar"):
                tally = view()
                clear = gr.Button(tr("browse.clear"), size="sm", visible=False)
                order = gr.Dropdown(show_label=False, label=tr("browse.order"), elem_id="browse-order", elem_classes="bare",
                                    choices=[(tr(f"browse.order.{name}"), name) for name in ORDERS])  # fmt: skip
            grid = picker()
            with gr.Row(elem_id="browse-pager"):
                previous = gr.Button(tr("common.previous"), size="sm", elem_classes="key-previous", visible=False)
                pages = view()
                following = gr.Button(tr("common.next"), size="sm", elem_classes="key-next", visible=False)
            with gr.Accordion(tr("browse.audit"), open=False, elem_id="browse-audit"):
                check = gr.Button(tr("browse.audit_run"), size="sm", elem_id="audit-run")
                found = picker()
                clock = gr.Timer(0.5, active=False)
    with gr.Column(elem_id="browse-sample", visible=False) as single:
        one = _SampleView()
    shown = [state, listing, single, facets, tally, clear, words, order, grid, pages, previous, following, *one.outputs]

    def render(values: State, request: gr.Request, push: bool = False) -> list[Any]:
        return updates(services, request, values, push)

    def opened(values: State, request: gr.Request) -> Opened:
        found = opened_of(services, request, values)
        if found is None:
            raise UserError(say(request, "browse.no_bench"))
        return found

    def looking(values: State, request: gr.Request) -> Browsing:
        return Browsing(services, opened(values, request), request, values)

    def enter(request: gr.Request) -> list[Any]:
        return render(dict(request.query_params), request)

    def pick(values: State, event: gr.EventData, request: gr.Request) -> list[Any]:
        name, _, value = picked(event).partition("=")
        return render(address_of(choice_of(values).with_facet(name, value)), request)

    def search(values: State, text: str, sort: str, request: gr.Request) -> list[Any]:
        # The field itself is left alone: an answer that comes late must not overwrite what is being typed.
        shown_now = render({**values, "words": text, "order": sort, "p": 1}, request)
        shown_now[shown.index(words)] = gr.skip()
        return shown_now

    def unfilter(values: State, request: gr.Request) -> list[Any]:
        return render({"order": values.get("order")}, request)

    def turn(step: int) -> Callable[[State, gr.Request], list[Any]]:
        def handler(values: State, request: gr.Request) -> list[Any]:
            return render({**values, "p": int(values.get("p") or 1) + step}, request)

        return handler

    def open_sample(values: State, event: gr.EventData, request: gr.Request) -> list[Any]:
        return render({**values, "sample": picked(event)}, request, push=True)

    def step_sample(step: int) -> Callable[[State, gr.Request], list[Any]]:
        def handler(values: State, request: gr.Request) -> list[Any]:
            return render({**values, "sample": looking(values, request).neighbour(step)}, request)

        return handler

    def back(values: State, request: gr.Request) -> list[Any]:
        return render({**values, "sample": None}, request)

    def flag(values: State, reason: str, request: gr.Request) -> list[Any]:
        here = opened(values, request)
        services.workspace.marks.flag(here.id, values["sample"], reason=reason, author=services.person(request))
        return render(values, request)

    def unflag(values: State, request: gr.Request) -> list[Any]:
        here = opened(values, request)
        services.workspace.marks.unflag(here.id, values["sample"], author=services.person(request))
        return render(values, request)

    def correct(values: State, label: str, drawn: Any, request: gr.Request) -> list[Any]:
        here = opened(values, request)
        if not (label or "").strip():
            raise UserError(say(request, "browse.label_needed"))
        mask = masks.keep(here.bench, values["sample"], drawn)
        services.workspace.marks.correct(
            here.id, values["sample"], label=label.strip(), author=services.person(request), mask=mask
        )
        gr.Info(say(request, "browse.corrected"))
        return render(values, request)

    def canvas(values: State, request: gr.Request) -> Any:
        here = opened(values, request)
        return masks.canvas(here.bench, here.bench.by_image[values["sample"]])

    def heatmap(values: State, request: gr.Request) -> list[Any]:
        here = opened(values, request)
        try:
            pair = heat.slider_pair(services, here.bench, here.bench.by_image[values["sample"]], request)
        except UserError as error:
            return [gr.update(visible=False), stage(str(error)), gr.update()]
        return [gr.update(value=pair, visible=True), "", gr.update(visible=False)]

    def lie(values: State, chosen: str, request: gr.Request) -> list[Any]:
        product = opened(values, request).bench.by_image[values["sample"]].product
        choose_placement(services, product, chosen)
        return heatmap(values, request)

    def start_audit(values: State, request: gr.Request) -> tuple[str, gr.Timer]:
        here = opened(values, request)
        services.jobs.start(f"audit {here.id}", lambda job: list(audit(here.bench).itertuples(index=False, name=None)))
        return show_audit(values, request)

    def show_audit(values: State, request: gr.Request) -> tuple[str, gr.Timer]:
        here = opened(values, request)
        job = services.jobs.get(f"audit {here.id}")
        if job is None:
            return f'<p class="quiet">{say(request, "browse.audit_none")}</p>', gr.Timer(active=False)
        if job.running:
            text = say(request, "browse.audit_running")
            return meter(0.3, text, text), gr.Timer(active=True)
        if job.state == "failed":
            return notice(job.message, "bad"), gr.Timer(active=False)
        rows = [(str(kind), str(image), str(message)) for kind, image, message, *_ in job.result]
        return samples.findings(request, rows, here.bench.by_image), gr.Timer(active=False)

    def on(event: Any, handler: Callable[..., Any], inputs: Any, outputs: Any, **options: Any) -> None:
        event(guarded(handler), inputs, outputs, **{**PRIVATE, **options})

    def go(event: Any, handler: Callable[..., Any], *inputs: Any, **options: Any) -> None:
        """A handler that shows another choice or sample."""
        on(event, handler, [state, *inputs], shown, **{**in_order("browse"), **options})

    on_load(guarded(enter), None, shown)
    go(facets.select, pick)
    go(words.input, search, words, order, trigger_mode="always_last")
    go(order.input, search, words, order)
    go(clear.click, unfilter)
    go(previous.click, turn(-1))
    go(following.click, turn(1))
    go(grid.select, open_sample)
    go(found.select, open_sample)
    go(one.back.click, back)
    go(one.previous.click, step_sample(-1))
    go(one.following.click, step_sample(1))
    go(one.report.click, flag, one.reason, trigger_mode="once")
    go(one.unflag.click, unflag, trigger_mode="once")
    go(one.correct.click, correct, one.label, one.canvas, trigger_mode="once")
    on(one.correction.expand, canvas, [state], one.canvas)
    on(one.heat_button.click, heatmap, [state], [one.heat, one.heat_text, one.heat_button], show_progress="minimal")
    on(one.lie.input, lie, [state, one.lie], [one.heat, one.heat_text, one.heat_button], show_progress="minimal")
    on(check.click, start_audit, [state], [found, clock])
    on(clock.tick, show_audit, [state], [found, clock])


class _SampleView:
    """The components of one sample, in order of appearance."""

    def __init__(self) -> None:
        with gr.Row(elem_id="sample-bar"):
            self.back = gr.Button(tr("browse.back"), size="sm", elem_id="sample-back")
            self.links = view(elem_classes="grow")
            self.previous = gr.Button(tr("common.previous"), size="sm", elem_classes="key-previous")
            self.following = gr.Button(tr("common.next"), size="sm", elem_classes="key-next")
        self.title = view()
        self.marks = view()
        with gr.Row(elem_id="sample-row"):
            self.figures = view(min_width=480)
            with gr.Column(elem_id="sample-heat", scale=0, min_width=400):
                self.heat_title = view()
                self.heat_text = view()
                self.heat = gr.ImageSlider(visible=False, show_label=False, label=tr("browse.heatmap"), interactive=False,
                                           buttons=[], elem_id="sample-heat-slider", type="pil")  # fmt: skip
                self.heat_button = gr.Button(tr("browse.heatmap_show"), size="sm", elem_id="heat-button")
                self.lie = gr.Dropdown([(tr(f"browse.lie_{name}"), name) for name in PLACEMENTS], label=tr("browse.lie"),
                                       elem_id="heat-lie", filterable=False)  # fmt: skip
        self.questions = view()
        with gr.Row():
            with gr.Accordion(tr("browse.report"), open=False, elem_id="sample-report"):
                self.reason = gr.Textbox(label=tr("browse.reason"), placeholder=tr("browse.reason_hint"), max_lines=2)
                self.report = gr.Button(tr("browse.report_do"), size="sm", elem_id="sample-flag")
                self.unflag = gr.Button(tr("browse.unflag"), size="sm", visible=False, elem_id="sample-unflag")
            with gr.Accordion(
                tr("browse.correct"), open=False, elem_id="sample-correct", elem_classes=["key-edit"]
            ) as self.correction:
                self.label = gr.Dropdown(
                    label=tr("browse.label"), info=tr("browse.label_hint"), allow_custom_value=True
                )
                self.canvas = gr.ImageEditor(label=tr("browse.draw"), type="pil", sources=[], layers=False, transforms=[],
                                             brush=gr.Brush(colors=["#ff2e63"], color_mode="fixed"), height=420)  # fmt: skip
                self.correct = gr.Button(tr("browse.correct_do"), size="sm", elem_id="sample-correct-save")
        self.outputs = [
            self.title, self.links, self.marks, self.figures, self.heat_title, self.heat_text, self.heat, self.heat_button,
            self.lie, self.questions, self.reason, self.report, self.unflag, self.label,
        ]  # fmt: skip
