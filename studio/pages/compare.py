"""Compare: two models on the same questions, one by one with pictures and reasoning, and over all tasks.

Models and question stand in the address. Answers are the stored ones until somebody asks live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from studio import markup
from studio.frame import PRIVATE, guarded, in_order, on_load
from studio.i18n import both, language, say, tr
from studio.pages.compare_question import Comparison, Wish, first_choice
from studio.pages.compare_tasks import build_tasks
from studio.services import Services, parameter
from studio.views import proof as measured
from studio.views.question import Place
from studio.views.sources import sources


def build(services: Services) -> None:
    comparison = Comparison(services)
    place = gr.State("")
    with gr.Row(elem_classes=["compare-top"], equal_height=False):
        markup.view(markup.heading(both("compare.title"), both("compare.note")))
        first = gr.Dropdown([], label=tr("compare.first"), elem_id="model-a", min_width=240)
        swap = gr.Button(tr("compare.swap"), size="sm", scale=0, min_width=64, elem_id="swap")
        second = gr.Dropdown([], label=tr("compare.second"), elem_id="model-b", min_width=240)
    nothing = markup.view(elem_id="compare-nothing")
    with gr.Tabs(visible=False, elem_id="compare-tabs") as tabs:
        with gr.Tab(tr("compare.tab.question"), id="question"), gr.Row(equal_height=False):
            with gr.Column(scale=0, min_width=290, elem_classes=["run-side"]):
                outcome = gr.Radio([], label=tr("compare.show"), elem_id="outcome", elem_classes=["stacked"])
                with gr.Row():
                    task = gr.Dropdown([], label=tr("compare.task"), min_width=120, elem_id="task")
                    product = gr.Dropdown([], label=tr("compare.product"), min_width=120, elem_id="product")
                rows = markup.picker(elem_id="questions")
            with gr.Column(scale=1, min_width=420):
                with gr.Row(elem_classes=["compare-bar"]):
                    previous = _button("compare.previous", "previous", "key-previous")
                    following = _button("compare.next", "next", "key-next")
                    heat = _button("compare.heatmaps", "heatmaps")
                    live = gr.Checkbox(
                        False, label=tr("compare.live"), elem_id="live", container=False, scale=0, min_width=120
                    )
                    blind = gr.Checkbox(
                        False, label=tr("compare.blind"), elem_id="blind", container=False, min_width=120
                    )
                asked_html = markup.view(elem_id="asked")
                with gr.Row(equal_height=True, elem_classes=["answers"]):
                    left = markup.view(elem_id="answer-left")
                    right = markup.view(elem_id="answer-right")
                with gr.Row(visible=False, elem_classes=["votes"]) as votes:
                    ballots = {
                        winner: gr.Button(
                            tr(f"compare.vote.{winner}"), elem_id=f"vote-{winner}", elem_classes=[f"vote-{winner}"]
                        )
                        for winner in ("left", "tie", "right")
                    }
                said = markup.view(elem_id="compare-said")
                shown = markup.view(elem_id="pictures")
                with gr.Row(visible=False) as heatmaps:
                    heat_a = gr.Image(interactive=False, buttons=["fullscreen"], elem_id="heat-a")
                    heat_b = gr.Image(interactive=False, buttons=["fullscreen"], elem_id="heat-b")
        with gr.Tab(tr("compare.tab.tasks"), id="tasks") as tasks_tab:
            tasks = build_tasks(services)
        with gr.Tab(tr("compare.tab.proof"), id="proof", visible=False) as proof_tab:
            proof = markup.view(elem_id="proof")

    wishes = [first, second, outcome, task, product, place, blind]  # the order of `Wish`
    filters = [outcome, task, product]
    whole = [place, rows, asked_html, left, right, shown, votes, heatmaps, said]

    @guarded
    def prove(request: gr.Request) -> str:
        return measured.proof(language(request))

    def enter(request: gr.Request) -> list[Any]:
        lang, found = language(request), sources(services)
        a, b = first_choice([source.id for source in found], parameter(request, "a"), parameter(request, "b"))
        models = [gr.Dropdown(choices=[(s.label, s.id) for s in found], value=value) for value in (a, b)]
        loaded = [s.model for s in found if s.id in (a, b) and s.model and services.models.ready(s.model)]
        # Who has both in memory hears them; otherwise the box is left alone: somebody may have ticked it meanwhile.
        ask = gr.Checkbox(value=True) if len(loaded) == 2 else gr.skip()
        if len(found) < 2:
            way = (say(lang, "nav.train"), "/train")
            empty = markup.empty(say(lang, "compare.nothing"), say(lang, "compare.nothing.next"), way)
            return [*models, empty, gr.Tabs(visible=False), ask, gr.skip(), *(gr.skip() for _ in (*filters, *whole))]
        sample = parameter(request, "sample")
        wanted = parameter(request, "question") or (str(Place(sample, 0)) if sample else "")
        asked = comparison.asked(Wish(a, b, place=wanted), request)
        shown = [*comparison.filters(asked, lang), *comparison.page(asked, request)]
        return [*models, "", gr.Tabs(visible=True), ask, gr.Tab(visible=measured.there()), *shown]

    def change(request: gr.Request, *values: Any) -> list[Any]:
        comparison.turn(request)
        asked = comparison.asked(Wish(*values), request)
        return [*comparison.filters(asked, language(request)), *comparison.page(asked, request)]

    def step(by: int) -> Callable[..., list[Any]]:
        def go(request: gr.Request, *values: Any) -> list[Any]:
            comparison.turn(request)
            return comparison.page(comparison.asked(Wish(*values), request, by), request)

        return go

    def pick(event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        comparison.turn(request)
        wish = Wish(*values[:5], place=markup.picked(event), blind=values[-1])
        return comparison.page(comparison.asked(wish, request), request)

    @guarded
    def answer(request: gr.Request, on: bool, *values: Any) -> Iterator[tuple[Any, Any, Any]]:
        asked = comparison.asked(Wish(*values), request)
        if not on or asked.row is None:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        yield from comparison.live(asked, request)

    @guarded
    def draw(request: gr.Request, *values: Any) -> list[Any]:
        return [gr.Row(visible=True), *comparison.heatmaps(comparison.asked(Wish(*values), request), request)]

    def vote(winner: str) -> Callable[..., list[Any]]:
        @guarded
        def cast(request: gr.Request, *values: Any) -> list[Any]:
            comparison.turn(request)
            wish = Wish(*values)
            note = comparison.vote(comparison.asked(wish, request), winner, request)
            return [*comparison.page(comparison.asked(wish, request, 1), request)[:-1], note]

        return cast

    def onward(event: Any) -> None:
        """After a choice: the live answers, if they are wanted.

        "multiple": by default a choice made while the answers to the one before still end would get none.
        """
        event.then(answer, [live, *wishes], [left, right, said], **PRIVATE, trigger_mode="multiple")

    options = in_order("compare")
    onward(on_load(enter, None, [first, second, nothing, tabs, live, proof_tab, *filters, *whole]))
    for component in (first, second, *filters, blind, live):
        onward(component.input(change, wishes, [*filters, *whole], **options))
    for button, by in ((previous, -1), (following, 1)):
        onward(button.click(step(by), wishes, whole, **options))
    onward(rows.select(pick, wishes, whole, **options))
    turn = swap.click(lambda a, b: (b, a), [first, second], [first, second], **options)
    onward(turn.then(change, wishes, [*filters, *whole], **options))
    heat.click(draw, wishes, [heatmaps, heat_a, heat_b], api_visibility="private", show_progress="minimal")
    for winner, button in ballots.items():
        onward(button.click(vote(winner), wishes, whole, **{**options, "trigger_mode": "once"}))
    for event in (tasks_tab.select, first.input, second.input):
        event(tasks.show, [first, second], tasks.outputs, **PRIVATE)
    proof_tab.select(prove, None, proof, **PRIVATE)
    turn.then(tasks.show, [first, second], tasks.outputs, **PRIVATE)


def _button(key: str, name: str, *classes: str) -> gr.Button:
    return gr.Button(tr(key), size="sm", scale=0, min_width=96, elem_id=name, elem_classes=list(classes))
