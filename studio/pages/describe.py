"""Describe: a product's texts, each as the model's suggestion beside what people made of it, with diff and history.

Every save appends a revision and says which one it was based on: when two people write at once both are told and both
texts stay. Leaving a changed text saves it as a draft. The address names the text (`?product=bolt&name=scratch`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from core.errors import UserError
from core.mmad import read_knowledge
from core.workspace import Conflict, Status, export_knowledge, import_knowledge
from studio import generation
from studio.frame import PRIVATE, guarded, on_load
from studio.i18n import both, say, tr
from studio.markup import meter, notice, picked, picker, view
from studio.services import Opened, Services
from studio.views.describe_view import OUTPUTS, Describing, nothing

# From the click to the answer the field is held: words typed in between would be overwritten by the answer.
HOLD = "(...values) => emit.hold(values)"
RELEASE = "() => emit.release({})"
DOWNLOAD = "(text) => emit.download('domain_knowledge.json', text)"
ONE, ALL = "one", "all"
State = dict[str, Any]  # address values of the text, "bench", "based_on", "shown" (the text as it was shown), "undone"


def build(services: Services) -> None:
    """The page: texts of a product on the left, the chosen one on the right."""
    state = gr.State({})
    asked = gr.State("")  # what the estimate on the page is for
    with gr.Row(elem_id="describe"):
        with gr.Column(elem_id="describe-side"):
            product = gr.Dropdown([], label=tr("describe.product"), elem_id="describe-product", elem_classes="bare")
            progress = view()
            entries = picker()
            with gr.Column(elem_id="describe-generate"):
                describer = gr.Dropdown(
                    [], label=tr("describe.describer"), elem_id="describe-describer", elem_classes="bare"
                )
                with gr.Row():
                    one = gr.Button(tr("describe.generate"), size="sm", elem_id="generate-one")
                    everything = gr.Button(tr("describe.generate_all"), size="sm", elem_id="generate-all")
            key_note = view()
            estimate = view()
            with gr.Row(visible=False) as confirm:
                start = gr.Button(tr("describe.start"), size="sm", variant="primary", elem_id="generate-start")
                cancel = gr.Button(tr("common.cancel"), size="sm")
            job_view = view()
            stop = gr.Button(tr("common.stop"), size="sm", visible=False, elem_id="generate-stop")
            with gr.Accordion(tr("describe.exchange"), open=False):
                export = gr.Button(tr("describe.export"), size="sm", elem_id="export")
                exported = gr.Textbox(visible="hidden", show_label=False)
                bring = gr.UploadButton(tr("describe.import"), size="sm", file_types=[".json"], elem_id="import")
        with gr.Column(elem_id="describe-main") as main:
            title = view()
            message = view()
            examples = view()
            with gr.Row(elem_id="describe-pair"):
                with gr.Column():
                    view(f'<div class="caption">{both("describe.suggestion")}</div>')
                    suggestion = view()
                    use = gr.Button(tr("describe.use"), size="sm", elem_id="use-suggestion")
                with gr.Column():
                    text = gr.Textbox(label=tr("describe.text"), placeholder=tr("describe.text_hint"), lines=9,
                                      max_lines=24, elem_id="describe-text", elem_classes="bare")  # fmt: skip
                    with gr.Row(elem_id="describe-actions"):
                        save = gr.Button(
                            tr("describe.save_next"), variant="primary", size="sm", elem_classes="key-save"
                        )
                        approve = gr.Button(tr("describe.approve"), size="sm", elem_id="approve")
                        reject = gr.Button(tr("describe.reject"), size="sm", elem_id="reject")
                        undo = gr.Button(tr("describe.undo"), size="sm", elem_classes="key-undo")
                        previous = gr.Button(tr("common.previous"), size="sm", elem_classes="key-previous")
                        skip = gr.Button(tr("describe.skip"), size="sm", elem_classes=["key-skip", "key-next"])
            changes = view(elem_id="describe-changes")
            with gr.Accordion(tr("describe.history"), open=True):
                history = picker(elem_id="describe-history")
    watch = gr.Timer(4)
    clock = gr.Timer(0.7, active=False)
    named = dict(state=state, main=main, product=product, progress=progress, entries=entries, describer=describer,
                 key_note=key_note, one=one, title=title, message=message, examples=examples, suggestion=suggestion, use=use,
                 text=text, changes=changes, history=history, undo=undo, confirm=confirm, estimate=estimate)  # fmt: skip
    shown = [named[name] for name in OUTPUTS]
    job_outputs = [job_view, stop, clock]

    def opened_of(values: State, request: gr.Request) -> Opened:
        bench = values.get("bench")
        found = services.opened(int(bench)) if bench else services.of(request)
        if found is None:
            raise UserError(say(request, "browse.no_bench"))
        return found

    def page(values: State, request: gr.Request) -> Describing:
        return Describing(services, opened_of(values, request), request, values)

    def enter(request: gr.Request) -> list[Any]:
        try:
            return page(dict(request.query_params), request).show()
        except UserError as error:
            return nothing(str(error))

    def keep_draft(values: State, typed: str, request: gr.Request) -> None:
        """Leaving a changed text saves it: nothing that was typed is lost."""
        if values.get("name") and typed.strip() and typed != values.get("shown"):
            page(values, request).save(typed, Status.DRAFT)

    def kept(values: State, typed: str, request: gr.Request, then: Callable[[Describing], list[Any]]) -> list[Any]:
        """Keep what was typed, and go on unless somebody else wrote meanwhile."""
        try:
            keep_draft(values, typed, request)
        except Conflict as conflict:
            return page(values, request).show_conflict(conflict, typed)
        return then(page(values, request))

    def go(pick_entry: Callable[[Describing, str], State]) -> Callable[..., list[Any]]:
        def handler(values: State, typed: str, request: gr.Request, event: gr.EventData) -> list[Any]:
            pick = picked(event)
            return kept(values, typed, request, lambda here: page(pick_entry(here, pick), request).show())

        return handler

    def named_by(here: Describing, pick: str) -> State:
        kind, _, name = pick.partition("|")
        return {**here.values, "kind": "text" if kind == "text sample" else None, "name": name}

    def stepped(step: int) -> Callable[[Describing, str], State]:
        return lambda here, _pick: here.step(step)

    def choose_product(values: State, typed: str, chosen: str, request: gr.Request) -> list[Any]:
        dataset, _, name = chosen.partition("/")
        there = {"bench": values.get("bench"), "dataset": dataset, "product": name}
        return kept(values, typed, request, lambda _here: page(there, request).show())

    def store(status: Status) -> Callable[[State, str, gr.Request], list[Any]]:
        def handler(values: State, typed: str, request: gr.Request) -> list[Any]:
            here = page(values, request)
            if not typed.strip() and status is not Status.REJECTED:
                raise UserError(say(request, "describe.empty_text"))
            try:
                here.save(typed, status)
            except Conflict as conflict:
                return here.show_conflict(conflict, typed)
            gr.Info(say(request, "describe.saved", status=say(request, f"browse.value.{status}")), title="", duration=2)
            return page(here.step(1), request).show()

        return handler

    def take_back(values: State, typed: str, request: gr.Request) -> list[Any]:
        return page(values, request).undo(typed)

    def restore(values: State, typed: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        number = int(picked(event))
        return kept(values, typed, request, lambda here: here.restore(number))

    def take(values: State, typed: str, request: gr.Request) -> list[Any]:
        return kept(values, typed, request, Describing.take_suggestion)

    def compare(values: State, typed: str, request: gr.Request) -> str:
        return page(values, request).changes(typed)

    def look(values: State, request: gr.Request) -> str:
        try:
            return page(values, request).meanwhile() if values.get("name") else gr.skip()
        except UserError as error:  # every four seconds: said in place, not as one message after the other
            return notice(str(error), "bad")

    def begun() -> tuple[Any, ...]:
        """For `job_outputs`: the clock tells the rest, because a job may be over before anybody has looked at it."""
        return gr.skip(), gr.skip(), gr.Timer(active=True)

    def start_one(values: State, who: str, request: gr.Request) -> None:
        known = page(values, request).chosen
        key = (values["dataset"], values["product"], values["name"])
        variant = len(known.suggestions) if known else 0
        generation.start(services, opened_of(values, request), [key], who, variant=variant)

    def ask_one(values: State, who: str, request: gr.Request) -> tuple[Any, ...]:
        """What costs nothing begins at once; else the estimate comes first."""
        if who == generation.OFFLINE:
            start_one(values, who, request)
            return ("", gr.update(visible=False), ONE, *begun())
        told = page(values, request).estimate([(values["dataset"], values["product"], values["name"])], who)
        return (notice(told), gr.update(visible=True), ONE, *(gr.skip() for _ in job_outputs))

    def ask_all(values: State, who: str, request: gr.Request) -> tuple[Any, ...]:
        keys = generation.missing(services, opened_of(values, request))
        told = notice(page(values, request).estimate(keys, who)) if keys else ""
        nothing_to_do = notice(say(request, "describe.nothing_missing"), "good")
        return (told or nothing_to_do, gr.update(visible=bool(keys)), ALL, *(gr.skip() for _ in job_outputs))

    def begin(values: State, who: str, what: str, request: gr.Request) -> tuple[Any, ...]:
        here = opened_of(values, request)
        if what == ONE:
            start_one(values, who, request)
        else:
            generation.start(services, here, generation.missing(services, here), who)
        return ("", gr.update(visible=False), "", *begun())

    def halt(values: State, request: gr.Request) -> None:
        job = services.jobs.get(generation.job_name(opened_of(values, request)))
        if job is not None:
            job.stop()

    def job_state(values: State, request: gr.Request) -> tuple[Any, ...]:
        """Meter, stop button, clock; and once it has ended, whether the page should be read again."""
        job = services.jobs.get(generation.job_name(opened_of(values, request))) if values.get("bench") else None
        if job is None:
            return "", gr.update(visible=False), gr.Timer(active=False), False
        if job.running:
            text = f"{job.done} / {job.total}"
            bar = meter(job.share, text, say(request, "describe.generating"))
            return bar, gr.update(visible=True), gr.Timer(active=True), False
        return page(values, request).job_report(job), gr.update(visible=False), gr.Timer(active=False), True

    def watch_job(values: State, request: gr.Request) -> tuple[Any, ...]:
        job = services.jobs.get(generation.job_name(opened_of(values, request))) if values.get("bench") else None
        return job_state(values, request)[:3] if job is not None and job.running else (gr.skip(),) * 3

    def tick(values: State, request: gr.Request) -> list[Any]:
        bar, button, timer, over = job_state(values, request)
        fresh = page(values, request).refresh() if over else [gr.skip()] * len(shown)
        return [bar, button, timer, *fresh]

    def save_file(values: State, request: gr.Request) -> str:
        here = opened_of(values, request)
        return json.dumps(export_knowledge(services.workspace, here.bench, here.id), ensure_ascii=False, indent=1)

    def read_file(values: State, typed: str, file: str, request: gr.Request) -> list[Any]:
        def bring_in(here: Describing) -> list[Any]:
            texts, person = read_knowledge(file), services.person(request)
            done = import_knowledge(services.workspace, here.opened.bench, here.opened.id, texts, author=person)
            counts = {"saved": len(done.saved), "same": done.same, "unknown": len(done.unknown)}
            return page(values, request).show(notice(say(request, "describe.imported", **counts), "good"))

        return kept(values, typed, request, bring_in)

    def on(event: Any, handler: Callable[..., Any], inputs: Any, outputs: Any, **options: Any) -> None:
        event(guarded(handler), inputs, outputs, **{**PRIVATE, **options})

    def leave(event: Any, handler: Callable[..., Any], *inputs: Any) -> None:
        """A handler whose answer fills the field."""
        answer = event(guarded(handler), [state, text, *inputs], shown, js=HOLD, **PRIVATE)
        answer.success(None, js=RELEASE.format("true"), **PRIVATE)
        answer.failure(None, js=RELEASE.format("false"), **PRIVATE)

    on_load(enter, None, shown).then(guarded(watch_job), [state], job_outputs, **PRIVATE)
    leave(entries.select, go(named_by))
    leave(product.input, choose_product, product)
    leave(previous.click, go(stepped(-1)))
    leave(skip.click, go(stepped(1)))
    leave(save.click, store(Status.DRAFT))
    leave(approve.click, store(Status.APPROVED))
    leave(reject.click, store(Status.REJECTED))
    leave(undo.click, take_back)
    leave(history.select, restore)
    leave(use.click, take)
    leave(bring.upload, read_file, bring)
    on(text.change, compare, [state, text], changes, trigger_mode="always_last")
    on(watch.tick, look, [state], message)
    asking = [estimate, confirm, asked, *job_outputs]
    on(one.click, ask_one, [state, describer], asking)
    on(everything.click, ask_all, [state, describer], asking)
    on(start.click, begin, [state, describer, asked], asking)
    on(cancel.click, lambda: ("", gr.update(visible=False)), None, [estimate, confirm])
    on(stop.click, halt, [state], [])
    on(clock.tick, tick, [state], [*job_outputs, *shown])
    # The browser makes the file: nothing is written on the server, and nothing needs to be served from there.
    export.click(guarded(save_file), [state], exported, **PRIVATE).then(None, [exported], None, js=DOWNLOAD)
