"""Settings: who you are, how it looks, which models are asked and where; and what the studio is made of.

The key of an endpoint lives in the environment or in a file only its owner can read; the page can set or forget it, not
show it.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib import metadata
from typing import Any

import gradio as gr

from core import __version__
from core.runs import list_runs
from studio.frame import PRIVATE, guarded, on_load
from studio.i18n import both, say, tr
from studio.markup import heading, notice, picked, picker, view
from studio.models import shipped
from studio.preferences import THRESHOLD, Preferences
from studio.services import Services

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "gradio", "openai", "pandas", "numpy",
            "scipy", "scikit-learn", "pillow", "matplotlib", "SQLAlchemy", "alembic", "psutil", "PyYAML")  # fmt: skip
# The name and the theme belong to the browser: a cookie the server reads beside each revision, and local storage.
KEEP_NAME = "(name) => emit.setName(name)"
KEEP_THEME = "(theme) => emit.setTheme(theme === 'system' ? null : theme)"
READ_THEME = "() => localStorage.getItem('emit-theme') || 'system'"


def build(services: Services) -> None:
    """The page: a panel a subject."""
    preferences = Preferences(services)
    view(heading(both("settings.title")))
    with gr.Row(elem_id="settings"):
        with gr.Column(elem_classes=["sheet"]):
            view(f"<h2>{both('settings.person')}</h2>")
            name = gr.Textbox(label=tr("settings.name"), info=tr("settings.name_info"), max_lines=1, max_length=80,
                              elem_classes="bare", elem_id="settings-name")  # fmt: skip
            theme = gr.Radio([(tr(f"settings.theme.{t}"), t) for t in ("system", "light", "dark")], value="system",
                             label=tr("settings.theme"), elem_classes="bare", elem_id="settings-theme")  # fmt: skip
        with gr.Column(elem_classes=["sheet"]):
            view(f"<h2>{both('settings.models')}</h2>")
            model = gr.Dropdown([], label=tr("settings.model"), info=tr("settings.model_info"), allow_custom_value=True,
                                elem_classes="bare", elem_id="settings-model")  # fmt: skip
            threshold = gr.Slider(0.05, 0.95, THRESHOLD, step=0.01, label=tr("settings.threshold"),
                                  elem_classes="bare", elem_id="settings-threshold")  # fmt: skip
            keep_models = gr.Button(tr("common.save"), size="sm", elem_classes="fit", elem_id="settings-models-save")
        with gr.Column(elem_classes=["sheet"]):
            view(f"<h2>{both('settings.endpoint')}</h2>")
            url = gr.Textbox(label=tr("settings.url"), placeholder=tr("settings.url_hint"), max_lines=1,
                             elem_classes="bare", elem_id="settings-url")  # fmt: skip
            vision = gr.Textbox(label=tr("settings.endpoint_model"), max_lines=1, elem_classes="bare",
                                elem_id="settings-vision")  # fmt: skip
            key = gr.Textbox(label=tr("settings.key"), placeholder=tr("settings.key_hint"), type="password",
                             elem_classes="bare", elem_id="settings-key")  # fmt: skip
            key_state = view()
            with gr.Row():
                keep_endpoint = gr.Button(
                    tr("common.save"), size="sm", elem_classes="fit", elem_id="settings-endpoint-save"
                )
                forget = gr.Button(tr("settings.forget"), size="sm", elem_classes="fit", elem_id="settings-forget")
    with gr.Column(elem_classes=["sheet"], elem_id="benchmarks"):
        view(f"<h2>{both('settings.benchmarks')}</h2><p>{both('settings.benchmarks_note')}</p>")
        opened = picker()
    with gr.Column(elem_classes=["sheet"], elem_id="about"):
        view(f"<h2>{both('settings.about')}</h2><p>{both('settings.about_text')}</p>{_versions()}")

    def enter(request: gr.Request) -> tuple[Any, ...]:
        login = say(request, "settings.name_login", name=request.username) if request.username else None
        now = preferences.get()
        return (
            gr.update(value=services.person(request), interactive=login is None, **({"info": login} if login else {})),
            gr.update(choices=_models(services, request), value=now["model"]), now["threshold"], now["endpoint_url"],
            now["endpoint_model"], _key_state(services, request), _benchmarks(services, request),
        )  # fmt: skip

    def save_models(path: str, limit: float, request: gr.Request) -> None:
        preferences.set({"model": path, "threshold": limit}, request)
        gr.Info(say(request, "settings.saved"), title="", duration=2)

    def save_endpoint(where: str, who: str, secret: str, request: gr.Request) -> tuple[str, str]:
        had = services.secrets.place()
        given = {"key": secret} if secret.strip() else {}
        preferences.set({"endpoint_url": where, "endpoint_model": who, **given}, request)
        lost = had == "file" and services.secrets.place() is None
        gr.Info(say(request, "settings.key_moved" if lost else "settings.saved"), title="", duration=8 if lost else 2)
        return "", _key_state(services, request)

    def forget_bench(event: gr.EventData, request: gr.Request) -> str:
        services.workspace.benchmarks.forget(int(picked(event)))
        return _benchmarks(services, request)

    def forget_key(request: gr.Request) -> str:
        services.secrets.set(None)
        return _key_state(services, request)

    def on(event: Any, handler: Callable[..., Any], inputs: Any, outputs: Any) -> None:
        event(guarded(handler), inputs, outputs, **PRIVATE)

    on_load(enter, None, [name, model, threshold, url, vision, key_state, opened])
    on_load(None, None, theme, js=READ_THEME)
    name.change(None, name, None, js=KEEP_NAME)
    theme.input(None, theme, None, js=KEEP_THEME)
    on(keep_models.click, save_models, [model, threshold], None)
    on(keep_endpoint.click, save_endpoint, [url, vision, key], [key, key_state])
    on(forget.click, forget_key, None, key_state)
    on(opened.select, forget_bench, None, opened)


def _benchmarks(services: Services, request: gr.Request) -> str:
    """The opened benchmarks, each with a way off the list."""
    word = escape(say(request, "settings.forget_bench"))
    rows = "".join(
        f"<tr><td>{escape(row.name)}</td><td><code>{escape(row.path)}</code></td><td>"
        f'<button class="link" data-pick="{row.id}" aria-label="{word}: {escape(row.name)}">{word}</button></td></tr>'
        for row in services.benchmarks()
    )
    none = f'<p class="quiet">{escape(say(request, "common.none"))}</p>'
    return f'<table class="plain"><tbody>{rows}</tbody></table>' if rows else none


def _models(services: Services, request: gr.Request) -> list[tuple[str, str]]:
    """What ships and what runs have trained."""
    found = [(say(request, "settings.model_shipped", name=path.name), str(path)) for path in shipped()]
    found += [(run.id, str(run.final)) for run in list_runs(services.runs_dir) if run.final.is_dir()]
    return found


def _key_state(services: Services, request: gr.Request) -> str:
    place = services.secrets.place()
    return notice(say(request, f"settings.key_{place or 'none'}"), "good" if place else "accent")


def _versions() -> str:
    rows = [("EMIT Studio", __version__, "Apache-2.0")]
    for package in PACKAGES:
        try:
            info = metadata.metadata(package)
        except metadata.PackageNotFoundError:
            continue
        rows.append((info["Name"], info["Version"], _licence(info)))
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th scope=col>{both(f'settings.{name}')}</th>" for name in ("package", "version", "licence"))
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _licence(info: Any) -> str:
    """A package's licence in a word: its expression, else its classifier, else the first line of its text."""
    classifiers = [c.split(" :: ")[-1] for c in info.get_all("Classifier") or () if c.startswith("License ::")]
    text = info.get("License-Expression") or (classifiers[0] if classifiers else info.get("License") or "")
    # More than two licences are too much for a line: the package says which part is under which.
    return text.splitlines()[0] if text and text.count(" AND ") < 3 else "several: see the package"
