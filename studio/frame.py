"""The frame around every page: header, progress of the demo, and the table of pages.

A page is a module of `studio.pages` with `build(services)`, and one of the same name in `studio.endpoints` with
`endpoints(services)`, a list of typed functions that gradio_client can call by name. Everything else of a page is private.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from core.errors import UserError, explain
from studio.i18n import both, say, tr
from studio.markup import meter, notice, view
from studio.services import DEMO, Services, parameter

# module, address, text of the link, group in the header
PAGES = (
    ("browse", "", "nav.browse", "main"),
    ("describe", "describe", "nav.describe", "main"),
    ("train", "train", "nav.train", "main"),
    ("compare", "compare", "nav.compare", "main"),
    ("inspect_page", "inspect", "nav.inspect", "main"),
    ("own_product", "product", "nav.product", "side"),
    ("settings", "settings", "nav.settings", "side"),
)
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
LOGO = (
    '<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><path d="M3.5 8V3.5H8M16 3.5h4.5V8M20.5 16v4.5H16M8 '
    '20.5H3.5V16" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>'
    '<circle cx="12" cy="12" r="3.4" fill="currentColor"/></svg>'
)


class _Pages(gr.Blocks):
    """Blocks that describe themselves once, when all pages are there: Gradio does so anew after every page."""

    complete = False

    def get_config_file(self, *args: Any, **options: Any) -> Any:
        return super().get_config_file(*args, **options) if self.complete else {}


@contextlib.contextmanager
def _one_server() -> Iterator[None]:
    """Gradio makes a server after every page and another one at the launch: only that one is used."""
    owner: Any = gr.blocks.App
    make = owner.create_app
    owner.create_app = staticmethod(lambda *_, **__: None)
    try:
        yield
    finally:
        owner.create_app = make


def assemble(services: Services) -> gr.Blocks:
    """All pages as one app."""
    app = _Pages(title="EMIT Studio", analytics_enabled=False, fill_width=True)
    with _one_server():
        for index, (module, address, key, _) in enumerate(PAGES):
            with app if index == 0 else app.route(key, address, show_in_navbar=False):
                _page(services, module)
                app.complete = index + 1 == len(PAGES)
        app.queue(default_concurrency_limit=16, max_size=400)
    return app


_loads: list[Any] = []  # of the page that is being built


def on_load(handler: Callable[..., Any] | None, inputs: Any = None, outputs: Any = None, **options: Any) -> Any:
    """Call `handler` when the page that is being built is opened; private, without a progress veil.

    Until all of a page's handlers have answered nothing on it can be touched: a late answer would overwrite it.
    """
    page = gr.context.Context.root_block
    assert page is not None, "call on_load inside build()"
    _loads.append(page.load(handler, inputs, outputs, **{**PRIVATE, **options}))
    return _loads[-1]


def in_order(line: str) -> dict[str, Any]:
    """Options for handlers whose answers must come in the order of the clicks: those of one `line` never overlap.

    Every click counts, and each finds the page's `gr.State` as the one before it left it. For quick handlers only,
    because everybody stands in the same line.
    """
    return {**PRIVATE, "concurrency_id": line, "concurrency_limit": 1, "trigger_mode": "multiple"}


def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler (or generator) whose `UserError`, full disk or too little memory becomes a message on the page, without a
    traceback."""
    from functools import wraps
    from inspect import isgeneratorfunction

    from sqlalchemy.exc import OperationalError

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            said = explain(error, getattr(error, "filename", None) or "the workspace")
            if isinstance(error, OperationalError):
                said = f"Nothing was saved ({error.orig}): make room on the workspace's disk and try again."
            if said is None:
                raise
            raise gr.Error(said, title="", print_exception=False) from error

    @wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with told():
            return handler(*args, **kwargs)

    @wraps(handler)
    def streamed(*args: Any, **kwargs: Any) -> Any:
        with told():
            yield from handler(*args, **kwargs)

    return streamed if isgeneratorfunction(handler) else wrapped


def address(page: str, opened_id: int | None = None, **values: Any) -> str:
    """The address of a page ("", "describe", ...) with values: `address("describe", 1, product="bolt")`."""
    query = {**({"bench": opened_id} if opened_id else {}), **{k: v for k, v in values.items() if v not in (None, "")}}
    return f"/{page}" + (f"?{urlencode(query)}" if query else "")


def _page(services: Services, module: str) -> None:
    page = importlib.import_module(f"studio.pages.{module}")
    _loads.clear()
    gr.Navbar(visible=False)
    header = view(_header(module), elem_id="header")
    banner = view("", elem_id="banner")
    clock = gr.Timer(1, active=False)

    def enter(request: gr.Request) -> tuple[str, str, gr.Timer]:
        job = services.jobs.get(DEMO)
        return (
            _header(module, services, request),
            _banner(services, request),
            gr.Timer(active=job is not None and job.running),
        )

    def tick(request: gr.Request) -> str:
        return _banner(services, request, ticking=True)

    on_load(enter, None, [header, banner, clock], queue=False)
    clock.tick(tick, None, banner, queue=False, **PRIVATE)
    with gr.Column(elem_id="main", elem_classes=[f"page-{module.removesuffix('_page')}"]):
        page.build(services)
    for event in _loads:
        event.then(None, None, None, js=f"() => emit.arrived({len(_loads)})", **PRIVATE)
    for function in importlib.import_module(f"studio.endpoints.{module}").endpoints(services):
        gr.api(guarded(function), api_name=function.__name__)


def _header(module: str, services: Services | None = None, request: gr.Request | None = None) -> str:
    bench = parameter(request, "bench")
    links: dict[str, list[str]] = {"main": [], "side": []}
    for name, path, key, group in PAGES:
        here = ' aria-current="page"' if name == module else ""
        href = address(path, int(bench) if bench and bench.isdecimal() else None)
        links[group].append(f'<a href="{escape(href)}" class="nav-{name}"{here}>{both(key)}</a>')
    return (
        f'<a class="skip" href="#main">{both("nav.skip")}</a><header><a class="brand" href="/">{LOGO}'
        f'<b>EMIT</b> Studio</a><nav aria-label="EMIT Studio">{"".join(links["main"])}</nav>'
        f'<div class="side">{_chooser(services, request)}{"".join(links["side"])}'
        f"{_icon('help', 'nav.help', '?', request)}{_icon('theme', 'nav.theme', '◐', request)}</div></header>"
    )


def _icon(action: str, key: str, sign: str, request: gr.Request | None) -> str:
    name = escape(say(request, key))
    return f'<button class="icon" data-action="{action}" title="{name}" aria-label="{name}">{sign}</button>'


def _chooser(services: Services | None, request: gr.Request | None) -> str:
    """The list of opened benchmarks; the script follows the choice to `?bench=`."""
    if services is None:
        return '<span class="chooser"></span>'
    try:
        opened = services.of(request)
    except UserError:
        opened = None
    rows = services.benchmarks()
    if not rows:
        return '<span class="chooser"></span>'
    options = "".join(
        f'<option value="{row.id}"{" selected" if opened and row.id == opened.id else ""}>{escape(row.name)}</option>'
        for row in rows
    )
    if opened is None:
        options = f'<option value="" selected>–</option>{options}'
    name = escape(say(request, "nav.benchmark"))
    return f'<select class="chooser" data-action="bench" aria-label="{name}" title="{name}">{options}</select>'


def _banner(services: Services, request: gr.Request, ticking: bool = False) -> str:
    """Progress of the demo; once it is there the script opens the page again (data-reload)."""
    job = services.jobs.get(DEMO)
    if job is None or (job.state == "done" and not ticking):
        return ""
    if job.state == "failed":
        return notice(say(request, "demo.failed", message=job.message), "bad")
    if job.state == "done":
        # Who works on another benchmark already must not be interrupted.
        return '<div data-reload="1"></div>' if len(services.benchmarks()) == 1 else ""
    count = f" · {job.done} / {job.total}" if job.total else ""
    title = say(request, "demo.making")
    return (
        f'<div class="banner"><b>{escape(title)}{count}</b><p>{escape(say(request, "demo.wait"))}</p>'
        f"{meter(job.share, '', title)}</div>"
    )


__all__ = ["PAGES", "PRIVATE", "address", "assemble", "guarded", "in_order", "on_load", "parameter", "tr"]
