"""Inspect: own pictures beside golden references; a verdict for each, and a way to teach the model where it was wrong."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import UserError
from core.files import write_atomic
from core.pictures import open_image
from studio import markup
from studio.adding import add_picture
from studio.frame import PRIVATE, guarded, on_load
from studio.i18n import both, language, say, tr
from studio.inspection import Verdict, Wish, inspect_pictures
from studio.placement import placement
from studio.preferences import THRESHOLD
from studio.services import Opened, Services
from studio.views import verdicts as look
from studio.views.sources import sources

GOOD = "good"
REFERENCES = 4  # more only take time


def build(services: Services) -> None:
    found = gr.State([])  # verdicts of the batch
    at = gr.State(0)
    markup.view(markup.heading(both("inspect.title"), both("inspect.note")))
    with gr.Row(equal_height=False):
        with gr.Column(scale=0, min_width=340, elem_classes=["inspect-side"]):
            markup.view(f'<div class="section">{both("inspect.pictures")}</div>')
            pictures = _gallery("inspect.pictures", "pictures-in")
            markup.view(f'<div class="section">{both("inspect.references")}</div>')
            references = _gallery("inspect.references", "references-in")
            product = gr.Dropdown([], label=tr("inspect.product"), info=tr("inspect.product.info"), elem_id="product")
            kinds = gr.Dropdown(
                [], label=tr("inspect.kinds"), info=tr("inspect.kinds.info"), multiselect=True, allow_custom_value=True,
                elem_id="kinds",
            )  # fmt: skip
            model = gr.Dropdown([], label=tr("inspect.model"), elem_id="model")
            threshold = gr.Slider(0.01, 0.99, THRESHOLD, step=0.01, label=tr("inspect.threshold"), elem_id="threshold")
            explain = gr.Checkbox(False, label=tr("inspect.explain"), elem_id="explain")
            with gr.Row():
                go = gr.Button(tr("inspect.go"), variant="primary", elem_id="inspect-go", elem_classes=["key-save"])
                stop = gr.Button(tr("inspect.stop"), elem_id="inspect-stop")
        with gr.Column(scale=1, min_width=440):
            said = markup.view(elem_id="inspect-said")
            with gr.Row(equal_height=False):
                rows = markup.picker(elem_id="verdicts")
            with gr.Row(visible=False, equal_height=False) as detail:
                with gr.Column(scale=3, min_width=320):
                    slider = gr.ImageSlider(
                        label=tr("inspect.picture"), interactive=False, elem_id="heat", max_height=520
                    )
                with gr.Column(scale=2, min_width=260):
                    card = markup.view(elem_id="verdict")
                    with gr.Row(elem_classes=["exports"]):
                        csv_file = gr.DownloadButton(
                            tr("inspect.csv"), size="sm", min_width=110, elem_id="verdicts-csv"
                        )
                        json_file = gr.DownloadButton(
                            tr("inspect.json"), size="sm", min_width=110, elem_id="verdicts-json"
                        )
            with gr.Accordion(tr("inspect.wrong"), open=False, visible=False, elem_id="wrong") as wrong:
                markup.view(f'<p class="run-facts">{both("inspect.wrong.info")}</p>')
                with gr.Row():
                    label = gr.Dropdown([], label=tr("inspect.label"), allow_custom_value=True, elem_id="right-label")
                    into = gr.Dropdown([], label=tr("inspect.into"), elem_id="into-product")
                editor = gr.ImageEditor(
                    label=tr("inspect.draw"), type="pil", sources=(), transforms=(), elem_id="mask-editor", height=460,
                    brush=gr.Brush(colors=["#ff2e63"], color_mode="fixed", default_size=18),
                    layers=gr.LayerOptions(allow_additional_layers=False),
                )  # fmt: skip
                add = gr.Button(tr("inspect.add"), variant="primary", elem_id="add-picture")

    def enter(request: gr.Request) -> list[Any]:
        models = [(source.label, source.id) for source in sources(services) if source.model]
        products = [(say(request, "inspect.product.none"), "")] + [
            (name, name) for name in _products(services, request)
        ]
        names = products[1:]
        limit = float(services.workspace.settings.get("threshold", THRESHOLD))
        return [
            gr.Dropdown(choices=models, value=models[0][1] if models else None), gr.Dropdown(choices=products, value=""),
            gr.Dropdown(choices=names, value=None), limit,
            look.verdict_list([], 0, language(request)),
        ]  # fmt: skip

    def know(name: str, request: gr.Request) -> list[Any]:
        """What is known of a product: its types, and good pictures when no reference was given."""
        types = _kinds(_opened(services, request), name)
        return [gr.Dropdown(choices=types, value=types), gr.Dropdown(choices=[GOOD, *types], value=None),
                gr.Dropdown(value=name) if name else gr.skip()]  # fmt: skip

    def show(verdicts: Sequence[Verdict], number: int, name: str, request: gr.Request) -> list[Any]:
        """List, chosen verdict, its pictures, and what only a verdict makes possible."""
        lang = language(request)
        one = verdicts[number] if number < len(verdicts) else None
        pair = (one.picture, one.heat or one.picture) if one else None
        texts = _texts(services, request, name)
        return [
            number, look.verdict_list(verdicts, number, lang), look.verdict_card(one, texts, lang), gr.ImageSlider(value=pair),
            gr.Row(visible=one is not None), gr.Accordion(visible=one is not None),
        ]  # fmt: skip

    shown = [at, rows, card, slider, detail, wrong]

    @guarded
    def inspect(
        request: gr.Request,
        given: Any,
        golden: Any,
        name: str,
        types: list[str],
        model_id: str,
        limit: float,
        words: bool,
    ) -> Iterator[list[Any]]:
        lang = language(request)
        queries, bad = read_pictures(given)
        normals, _ = read_pictures(golden)
        if not queries:
            left_out = say(lang, "inspect.unreadable", n=len(bad), names=", ".join(bad)) if bad else ""
            raise UserError(left_out or say(lang, "inspect.no_pictures"))
        source = next((source for source in sources(services) if source.id == model_id and source.model), None)
        if source is None or source.model is None:
            raise UserError(say(lang, "inspect.no_model"))
        normals = normals or _known_references(services, request, name)
        notes = [] if normals else [markup.notice(say(lang, "inspect.no_reference"), "warn")]
        notes += (
            [markup.notice(say(lang, "inspect.unreadable", n=len(bad), names=", ".join(bad)), "warn")] if bad else []
        )
        if not services.models.ready(source.model):
            yield [
                [],
                markup.notice(say(lang, "inspect.loading", name=source.label)),
                *(gr.skip() for _ in (*shown, *files)),
            ]
        loaded = services.models.get(source.model)
        wish = Wish(
            name,
            tuple(types or ()),
            _texts(services, request, name),
            limit,
            words,
            placement(services, name.split("/", 1)[-1]),
        )
        verdicts: list[Verdict] = []
        for verdict in inspect_pictures(loaded, queries, [picture for _, picture in normals[:REFERENCES]], wish):
            verdicts.append(verdict)
            told = say(lang, "inspect.progress", done=len(verdicts), total=len(queries))
            bar = markup.meter(len(verdicts) / len(queries), told, told)
            listed = show(verdicts, 0, name, request)
            if len(verdicts) > 1:  # the first is being looked at
                listed = [gr.skip(), listed[1], *(gr.skip() for _ in listed[2:])]
            yield [list(verdicts), bar + "".join(notes), *listed, gr.skip(), gr.skip()]
        count = sum(verdict.defective for verdict in verdicts)
        done = say(lang, "inspect.done", total=len(verdicts), bad=count, good=len(verdicts) - count)
        yield [verdicts, markup.notice(done, "good") + "".join(notes), *(gr.skip() for _ in shown), *_exports(verdicts)]

    files = [csv_file, json_file]

    def pick(event: gr.EventData, request: gr.Request, verdicts: list[Verdict], name: str) -> list[Any]:
        return show(verdicts, int(markup.picked(event) or 0), name, request)

    def judge_again(request: gr.Request, verdicts: list[Verdict], limit: float, number: int, name: str) -> list[Any]:
        """Another threshold needs no model."""
        again = [replace(verdict, threshold=limit) for verdict in verdicts]
        return [again, *show(again, number, name, request), *(_exports(again) if again else (gr.skip(), gr.skip()))]

    def canvas(verdicts: list[Verdict], number: int) -> Any:
        one = verdicts[number] if number < len(verdicts) else None
        return {"background": one.picture, "layers": [], "composite": None} if one else None

    @guarded
    def teach(request: gr.Request, given: Any, number: int, right: str, where: str, drawn: Any) -> str:
        opened = _opened(services, request)
        if opened is None:
            raise UserError(say(request, "inspect.no_bench"))
        queries, _ = read_pictures(given)
        if number >= len(queries):
            raise UserError(say(request, "inspect.choose"))
        add_picture(services, opened, queries[number][1], product=where or "", label=right or "", drawn=drawn)
        return markup.notice(say(request, "inspect.added", name=opened.name), "good")

    on_load(enter, None, [model, product, into, threshold, rows])
    product.input(know, product, [kinds, label, into], **PRIVATE)
    working = go.click(
        inspect, [pictures, references, product, kinds, model, threshold, explain], [found, said, *shown, *files],
        concurrency_limit=2, concurrency_id="models", **PRIVATE,
    )  # fmt: skip
    stop.click(None, None, None, cancels=[working], **PRIVATE)
    rows.select(pick, [found, product], shown, **PRIVATE).then(canvas, [found, at], editor, **PRIVATE)
    threshold.release(judge_again, [found, threshold, at, product], [found, *shown, *files], **PRIVATE)
    wrong.expand(canvas, [found, at], editor, **PRIVATE)
    add.click(teach, [pictures, at, label, into, editor], said, **PRIVATE)


def _gallery(key: str, name: str) -> gr.Gallery:
    return gr.Gallery(
        label=tr(key), type="filepath", interactive=True, columns=4, rows=1, height=112, object_fit="cover",
        show_label=False, fit_columns=False, file_types=["image"],
        elem_id=name, sources=["upload", "clipboard"], buttons=[],
    )  # fmt: skip


def read_pictures(given: Any) -> tuple[list[tuple[str, Any]], list[str]]:
    """(name, picture) of what a gallery holds, and the names of files that are no pictures.

    Pictures of one name (000.png of two folders) are told apart by number.
    """
    good: list[tuple[str, Any]] = []
    bad: list[str] = []
    seen: Counter[str] = Counter()
    for item in given or ():
        path = Path(item[0] if isinstance(item, list | tuple) else item)
        try:
            picture = open_image(path)
            seen[path.name] += 1
            number = f" ({seen[path.name]})" if seen[path.name] > 1 else ""
            good.append((f"{path.stem}{number}{path.suffix}", picture))
        except UserError:
            bad.append(path.name)
    return good, bad


def _opened(services: Services, request: gr.Request | None) -> Opened | None:
    try:
        return services.of(request)
    except UserError:
        return None


def _products(services: Services, request: gr.Request) -> list[str]:
    opened = _opened(services, request)
    return sorted({f"{s.dataset}/{s.product}" for s in opened.bench}) if opened else []


def _kinds(opened: Opened | None, product: str) -> list[str]:
    samples = opened.bench if opened and product else ()
    return sorted({s.defect for s in samples if s.defect and f"{s.dataset}/{s.product}" == product})


def _texts(services: Services, request: gr.Request | None, product: str) -> dict[str, str]:
    """The product's descriptions as people left them."""
    opened = _opened(services, request)
    if opened is None or not product:
        return {}
    return services.resolved(opened).bench.descriptions(*product.split("/", 1))


def _known_references(services: Services, request: gr.Request | None, product: str) -> list[tuple[str, Any]]:
    """Good pictures of a known product."""
    opened = _opened(services, request)
    if opened is None or not product:
        return []
    normal = [s for s in opened.bench if f"{s.dataset}/{s.product}" == product and s.is_normal and s.text is None]
    return read_pictures([opened.bench.path(sample.image) for sample in normal[:REFERENCES]])[0]


def _exports(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """CSV and JSON as files with fixed names, in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="emit-verdicts-"))
    return (
        str(write_atomic(folder / "verdicts.csv", look.to_csv(verdicts))),
        str(write_atomic(folder / "verdicts.json", look.to_json(verdicts))),
    )
