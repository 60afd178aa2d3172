"""Add a product: a zip or a folder of pictures becomes a benchmark like any other, in three steps."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio import intake
from studio.frame import PRIVATE, address, guarded
from studio.i18n import both, say, texts, tr
from studio.jobs import Job
from studio.markup import badge, heading, meter, notice, view
from studio.services import Services
from studio.views import samples

State = dict[str, Any]  # "root": where the pictures lie; "job": the name of the work, both told by the server only


def build(services: Services) -> None:
    """The page: three steps, each opening when the one before is done."""
    state = gr.State({})
    view(heading(both("product.title"), both("product.note")))
    with gr.Column(elem_classes=["sheet", "step"]):
        view(_step(1))
        with gr.Row(elem_id="product-source"):
            with gr.Column():
                archive = gr.File(label=tr("product.zip"), file_types=[".zip"], height=132, elem_id="product-zip")
                view(f'<p class="quiet">{both("product.zip_info")}</p>')
            with gr.Column():
                folder = gr.Textbox(label=tr("product.folder"), placeholder=tr("product.folder_hint"), max_lines=1,
                                    elem_id="product-folder", elem_classes="bare")  # fmt: skip
                name = gr.Textbox(label=tr("product.name"), placeholder=tr("product.name_hint"), max_lines=1,
                                  elem_id="product-name", elem_classes="bare")  # fmt: skip
        look = gr.Button(tr("product.look"), variant="primary", size="sm", elem_id="product-look", elem_classes="fit")
    with gr.Column(elem_classes=["sheet", "step"], visible=False) as second:
        view(_step(2))
        found = view()
        with gr.Row():
            good, defects, masks = (
                gr.Dropdown(
                    [], label=tr(f"product.{part}"), multiselect=True, elem_id=f"product-{part}", elem_classes="bare"
                )
                for part in ("good", "defects", "masks")
            )
        keep = gr.Checkbox(label=tr("product.keep_splits"), visible=False, container=False, elem_id="product-keep")
        make = gr.Button(tr("product.make"), variant="primary", size="sm", elem_id="product-make", elem_classes="fit")
        progress = view()
        stop = gr.Button(tr("common.stop"), size="sm", visible=False, elem_classes="fit")
    with gr.Column(elem_classes=["sheet", "step"], visible=False) as third:
        view(_step(3))
        result = view()
    with gr.Accordion(tr("product.existing"), open=False):
        with gr.Row(elem_id="product-existing"):
            path = gr.Textbox(
                label=tr("product.existing_path"), max_lines=1, elem_classes="bare", elem_id="existing-path"
            )
            opening = gr.Button(tr("product.existing_do"), size="sm", elem_classes="fit", elem_id="existing-open")
        opened = view()
    clock = gr.Timer(0.6, active=False)
    working = [progress, stop, clock, third, result]

    def look_inside(zipped: str | None, where: str, called: str, request: gr.Request) -> tuple[Any, ...]:
        root = intake.source(services, where, zipped, request)
        folders = intake.look(root)
        product = called.strip() or (Path(where).name if where else Path(zipped or "").stem)
        paths = [(f"{f.path} ({f.count})", f.path) for f in folders]
        roles = {role: [f.path for f in folders if f.role == role] for role in ("good", "defect", "mask")}
        boxes = [gr.update(choices=paths, value=roles[role]) for role in ("good", "defect", "mask")]
        splits = all(f.split for f in folders if f.role != "mask")
        shown = _folders(request, services, folders)
        return (
            {"root": str(root)},
            product,
            gr.update(visible=True),
            shown,
            *boxes,
            gr.update(visible=splits),
            gr.update(visible=False),
        )

    def start(
        values: State, called: str, yes: list[str], no: list[str], drawn: list[str], own: bool, request: gr.Request
    ) -> tuple[Any, ...]:
        job = intake.start(services, Path(values["root"]), called, yes, no, drawn, keep_splits=own, request=request)
        return ({**values, "job": job.name}, *watch({"job": job.name}, request))

    def watch(values: State, request: gr.Request) -> tuple[Any, ...]:
        job = services.jobs.get(values.get("job", ""))
        if job is None:
            return gr.skip(), gr.skip(), gr.Timer(active=False), gr.skip(), gr.skip()
        hidden, still = gr.update(visible=False), gr.Timer(active=False)
        if job.running:
            return _progress(request, job), gr.update(visible=True), gr.Timer(active=True), hidden, gr.skip()
        if job.state != "done":
            text = job.message if job.state == "failed" else say(request, "product.stopped")
            return notice(text, "bad" if job.state == "failed" else "warn"), hidden, still, hidden, gr.skip()
        return "", hidden, still, gr.update(visible=True), _result(request, *job.result)

    def halt(values: State) -> None:
        if job := services.jobs.get(values.get("job", "")):
            job.stop()

    def open_existing(where: str, request: gr.Request) -> str:
        intake.only_local(services, request)
        here = services.open(Path(where.strip()).expanduser())
        link = f'<a class="button" href="{address("", here.id)}">{escape(say(request, "product.open"))}</a>'
        return notice(say(request, "product.opened", name=here.name), "good") + f'<p class="links">{link}</p>'

    def on(event: Any, handler: Callable[..., Any], inputs: Any, outputs: Any) -> None:
        event(guarded(handler), inputs, outputs, **PRIVATE)

    on(
        look.click,
        look_inside,
        [archive, folder, name],
        [state, name, second, found, good, defects, masks, keep, third],
    )
    on(make.click, start, [state, name, good, defects, masks, keep], [state, *working])
    on(clock.tick, watch, [state], working)
    on(stop.click, halt, [state], [])
    on(opening.click, open_existing, [path], opened)


def _step(number: int) -> str:
    title, note = both(f"product.step{number}"), both(f"product.step{number}_note")
    return f'<div class="step-title"><b>{number}</b><h2>{title}</h2><p>{note}</p></div>'


def _folders(request: gr.Request, services: Services, folders: list[intake.PictureFolder]) -> str:
    rows = []
    for folder in folders[:60]:
        urls = services.thumbnails.urls(folder.first)
        images = "".join(f'<img src="{escape(url)}" alt="">' for url in urls if url)
        count = escape(say(request, "product.pictures", n=folder.count))
        tone = {"good": "good", "defect": "bad"}.get(folder.role, "neutral")
        rows.append(f"<li><div>{images}</div><code>{escape(folder.path)}</code>{badge(count, tone)}</li>")
    return f'<ul class="folders">{"".join(rows)}</ul>'


def _progress(request: gr.Request, job: Job) -> str:
    key = f"product.stage.{job.message}"
    stage = say(request, key) if key in texts() else say(request, "product.making")
    count = f" {job.done}" + (f" / {job.total}" if job.total else "") if job.done else ""
    return meter(job.share, f"{stage}{count}", say(request, "product.making"))


def _result(request: gr.Request, bench_id: int, made: intake.Made) -> str:
    questions = sum(len(sample.questions) for sample in made.bench)
    parts = [notice(say(request, "product.done", samples=len(made.bench), questions=questions), "good")]
    if made.skipped:
        rows = "".join(
            f"<li><code>{escape(what)}</code><span>{escape(why)}</span></li>" for what, why in made.skipped[:50]
        )
        title = escape(say(request, "product.left_out", n=len(made.skipped)))
        parts.append(f'<div class="findings"><details><summary>{title}</summary><ul>{rows}</ul></details></div>')
    parts.append(samples.findings(request, made.findings, {}))
    links = "".join(
        f'<a class="button" href="{address(page, bench_id)}">{escape(say(request, key))}</a>'
        for page, key in (("", "product.open"), ("describe", "product.describe"), ("train", "product.train"))
    )
    return "".join(parts) + f'<p class="links">{links}</p>'
