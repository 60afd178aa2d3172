"""What the Browse page shows for an address: the list of samples or one of them, as updates of its components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd

from core.errors import UserError
from core.mmad import Sample
from core.mmad.vocabulary import GOOD
from core.workspace.resolve import corrected
from studio.frame import address
from studio.i18n import say
from studio.markup import empty, notice, place
from studio.placement import placement
from studio.services import Opened, Services
from studio.views import samples
from studio.views.catalogue import address_of, catalogue, choice_of, counts, last_run, select

State = dict[str, Any]  # the address values of the choice, "p" (page, from 1) and "sample"
LIST_OUTPUTS = ("state", "listing", "single", "facets", "tally", "clear", "words", "order", "grid", "pages", "previous",
                "following")  # fmt: skip
SAMPLE_OUTPUTS = ("title", "links", "marks", "figures", "heat_title", "heat_text", "heat", "heat_button", "lie", "questions",
                  "reason", "report", "unflag", "label")  # fmt: skip


@dataclass
class Browsing:
    """One request's view of one benchmark."""

    services: Services
    opened: Opened
    request: gr.Request
    values: State

    def __post_init__(self) -> None:
        self.choice = choice_of(self.values)
        self.table = catalogue(self.services, self.opened)
        self.rows = select(self.table, self.choice)

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.rows) // samples.PER_PAGE))

    @property
    def page(self) -> int:
        """The page asked for, kept within what there is."""
        asked = str(self.values.get("p") or 1)
        return min(max(int(asked) if asked.lstrip("-").isdecimal() else 1, 1), self.pages)

    def link(self, **more: Any) -> dict[str, Any]:
        """The address values of this choice."""
        values = {"bench": self.opened.id, **address_of(self.choice), **more}
        return {key: value for key, value in values.items() if value is not None}

    def neighbour(self, step: int) -> str:
        """The image before or after the shown one, round the end; the shown one itself when it is alone."""
        images = list(self.rows["image"])
        shown = str(self.values.get("sample"))
        return str(images[(images.index(shown) + step) % len(images)]) if shown in images else shown

    def show(self, push: bool = False) -> dict[str, Any]:
        """Updates by name: one sample when the address names one, else the list."""
        image = self.values.get("sample")
        sample = self.opened.bench.by_image.get(str(image)) if image else None
        if sample is not None:
            return self._sample(sample, push)
        updates = self._list()
        if image:
            lost = say(self.request, "browse.unknown_sample", image=str(image))
            updates["grid"] = notice(lost, "warn") + updates["grid"]
        return updates

    def _list(self) -> dict[str, Any]:
        start = (self.page - 1) * samples.PER_PAGE
        shown = self.rows.iloc[start : start + samples.PER_PAGE]
        ahead = self.rows["image"].iloc[start + samples.PER_PAGE : start + 2 * samples.PER_PAGE]
        page = self.page if self.page > 1 else None
        grid = samples.grid(self.request, shown, self.opened.bench, self.services.thumbnails, self.link(p=page))
        if self.choice.order == "hardest":
            grid = self._hardness_note() + grid
        self.services.thumbnails.prepare(self.opened.bench.path(path) for path in ahead)
        moved = place(**address_of(self.choice, p=page, sample=None))
        state = {**address_of(self.choice), "p": self.page, "bench": self.opened.id}
        count = say(self.request, "browse.count", n=f"<b>{len(self.rows):,}</b>", all=f"{len(self.table):,}")
        many = self.pages > 1
        return {
            "state": state, "listing": gr.update(visible=True), "single": gr.update(visible=False),
            "facets": samples.facets(self.request, counts(self.table, self.choice), self.choice),
            "tally": f'<div class="tally"><h1>{say(self.request, "browse.title")}</h1><span>{count}</span></div>{moved}',
            "clear": gr.update(visible=bool(self.choice.facets or self.choice.words)), "words": self.choice.words,
            "order": self.choice.order, "grid": grid,
            "pages": f'<span class="at">{say(self.request, "browse.page", page=self.page, pages=self.pages)}</span>',
            "previous": gr.update(interactive=self.page > 1, visible=many),
            "following": gr.update(interactive=self.page < self.pages, visible=many),
        }  # fmt: skip

    def _hardness_note(self) -> str:
        """Which run the order is from, and what it means; without one, that there is none."""
        found = last_run(self.services, self.opened)
        if not found.hardness:
            return notice(say(self.request, "browse.hardest_none"), "warn")
        return notice(say(self.request, "browse.hardest_from", run=found.name, n=len(found.hardness)))

    def _sample(self, sample: Sample, push: bool) -> dict[str, Any]:
        opened, request, marks = self.opened, self.request, self.services.workspace.marks
        flag = marks.flags(opened.id).get(sample.image)
        correction = marks.corrections(opened.id).get(sample.image)
        sample = corrected(sample, correction) if correction else sample
        images = list(self.rows["image"])
        at = images.index(sample.image) + 1 if sample.image in images else 0
        moved = place(push, **address_of(self.choice, p=self.page if self.page > 1 else None, sample=sample.image))
        compares = sample.text is None and opened.bench.reference(sample) is not None
        return {
            "state": {**address_of(self.choice), "p": self.page, "bench": opened.id, "sample": sample.image},
            "listing": gr.update(visible=False), "single": gr.update(visible=True),
            "title": samples.title(request, sample, at, len(images)) + moved, "links": self._links(sample),
            "marks": samples.marks(request, flag, correction),
            "figures": samples.figures(request, sample, opened.bench, self.services.thumbnails),
            "heat_title": f"<figcaption>{say(request, 'browse.heatmap')}</figcaption>",
            "heat_text": stage(say(request, "browse.heatmap_note" if compares else "browse.heatmap_none")),
            "heat": gr.update(value=None, visible=False), "heat_button": gr.update(visible=compares),
            "lie": gr.update(value=placement(self.services, sample.product), visible=compares),
            "questions": samples.questions(request, sample), "reason": gr.update(value="", visible=flag is None),
            "report": gr.update(visible=flag is None), "unflag": gr.update(visible=flag is not None),
            "label": gr.update(choices=self._labels(sample), value=sample.label),
        }  # fmt: skip

    def _links(self, sample: Sample) -> str:
        describe = address(
            "describe", self.opened.id, dataset=sample.dataset, product=sample.product, name=sample.label
        )
        compare = address("compare", self.opened.id, sample=sample.image)
        return (
            f'<div class="links"><a class="button" href="{describe}">{say(self.request, "browse.describe")}</a>'
            f'<a class="button" href="{compare}">{say(self.request, "browse.compare")}</a></div>'
        )

    def _labels(self, sample: Sample) -> list[str]:
        table: pd.DataFrame = self.table
        same = table[(table["dataset"] == sample.dataset) & (table["product"] == sample.product)]
        return [GOOD, *sorted({str(label) for label in same["defect"]} - {GOOD})]


def stage(text: str) -> str:
    """A frame with a sentence where a picture would be."""
    from html import escape

    return f'<div class="stage none">{escape(text)}</div>'


def without_benchmark(services: Services, request: gr.Request, message: str = "") -> dict[str, Any]:
    """The list's updates while there is no benchmark (yet), or when its folder is gone."""
    if message:
        text = notice(message, "bad")
    else:
        action = (say(request, "nav.product"), "/product")
        text = empty(say(request, "browse.no_bench"), say(request, "browse.no_bench_hint"), action)
        text = f'<div class="no-bench">{text}</div>'  # filters and findings are hidden beside it
    hidden = gr.update(visible=False)
    return {"state": {}, "listing": gr.update(visible=True), "single": hidden, "facets": "", "tally": "", "clear": hidden,
            "grid": text, "pages": "", "previous": hidden, "following": hidden}  # fmt: skip


def updates(services: Services, request: gr.Request, values: State, push: bool = False) -> list[Any]:
    """What the page shows for these values, in the order of LIST_OUTPUTS and SAMPLE_OUTPUTS."""
    try:
        opened = opened_of(services, request, values)
        named = (
            Browsing(services, opened, request, values).show(push)
            if opened is not None
            else without_benchmark(services, request)
        )
    except UserError as error:
        named = without_benchmark(services, request, str(error))
    return [named.get(name, gr.update()) for name in (*LIST_OUTPUTS, *SAMPLE_OUTPUTS)]


def opened_of(services: Services, request: gr.Request, values: State) -> Opened | None:
    """The benchmark this page was opened with, also after another one was opened elsewhere."""
    return services.opened(int(values["bench"])) if str(values.get("bench") or "").isdecimal() else services.of(request)
