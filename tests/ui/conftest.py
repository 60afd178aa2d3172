"""The studio in a real browser: one app a test file, Debian's Chromium, and no error on the console goes unseen."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
# Gradio's own when a page is left amid an answer: harmless, and not ours to mend.
KNOWN_NOISE = ("svelte-i18n", "AbortError", "Connection errored out", "favicon", "preload", "manifest")


@dataclass
class Running:
    """A studio that is open: its address, and the services behind it."""

    url: str
    services: Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(workspace: Path, mmad: Path | None, prepare: Callable[[Any], None] | None = None) -> Iterator[Running]:
    """The studio on a free port; `prepare(services)` may put things into the workspace before pages are opened."""
    from studio import build, launch_options, open_services

    services = open_services(workspace, mmad)
    if prepare:
        prepare(services)
    app = build(services)
    _, url, _ = app.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        prevent_thread_lock=True,
        quiet=True,
        **launch_options(services),
    )
    try:
        yield Running(url.rstrip("/"), services)
    finally:
        app.close(verbose=False)
        services.close()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small drawn benchmark; tests that change its files make their own."""
    from tests.ui.benchmark import write_benchmark

    root = tmp_path_factory.mktemp("drawn") / "bolts"
    write_benchmark(root)
    return root


@pytest.fixture(scope="module")
def studio(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio with the drawn benchmark and a workspace of its own."""
    with serving(tmp_path_factory.mktemp("workspace"), drawn) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not os.path.exists(CHROMIUM):
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=40_000)  # a busy machine is no failure
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(url, **context)` gives a page; errors on its console fail the test, unless `errors_expected=True`.

    With `ready=False` it does not wait for the page's first answers: a login comes before them.
    """
    contexts: list[Any] = []
    errors: list[str] = []

    def opener(url: str, *, errors_expected: bool = False, ready: bool = True, **options: Any) -> Any:
        settings = {
            "viewport": {"width": 1440, "height": 900},
            "locale": "en-US",
            "reduced_motion": "reduce",
            **options,
        }
        context = chromium.new_context(**settings)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        if not errors_expected:
            page.on("pageerror", lambda error: errors.append(f"pageerror: {error}"))
            page.on("console", lambda message: _note(message, errors))
        if ready:
            page.goto, page.reload = _until_ready(page, page.goto), _until_ready(page, page.reload)
        page.goto(url)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert not errors, errors


def _until_ready(page: Any, go: Callable[..., Any]) -> Callable[..., Any]:
    """`go`, and then what people do without knowing: wait until the page can be touched (its first answers are there)."""

    def arrive(*args: Any, **options: Any) -> Any:
        answer = go(*args, **options)
        page.locator("#main[data-ready]").wait_for()
        return answer

    return arrive


def upload(field: Any, *paths: Path) -> None:
    """Give files to a field and wait until the studio has them: a name is shown before that."""
    with field.page.expect_response(lambda response: "/upload" in response.url and response.request.method == "POST"):
        field.set_input_files([str(path) for path in paths])


def _note(message: Any, errors: list[str]) -> None:
    if message.type == "error" and not any(word in message.text for word in KNOWN_NOISE):
        errors.append(f"console: {message.text}")
