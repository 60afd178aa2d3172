"""Two languages: every word on screen lives in `studio/texts/`, one file a page, as `key -> (English, Chinese)`.

Labels of components are translated by the browser (`tr`); what the server writes into a page follows the browser's
Accept-Language (`say`); fixed HTML carries both and CSS shows one (`both`).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from html import escape
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

import studio.texts

LANGUAGES = ("en", "zh")


@cache
def texts() -> dict[str, tuple[str, str]]:
    """All keys of all text files."""
    result: dict[str, tuple[str, str]] = {}
    for module in pkgutil.iter_modules(studio.texts.__path__):
        found = importlib.import_module(f"studio.texts.{module.name}").TEXTS
        if clash := result.keys() & found.keys():
            raise KeyError(f"text keys defined twice: {sorted(clash)}")
        result |= found
    return result


def translations() -> gr.I18n:
    """For `launch(i18n=...)`."""
    columns = {name: {key: pair[index] for key, pair in texts().items()} for index, name in enumerate(LANGUAGES)}
    return gr.I18n(**columns, **{"zh-CN": columns["zh"], "zh-TW": columns["zh"]})


def tr(key: str) -> I18nData:
    """A label the browser translates."""
    texts()[key]  # a missing key fails when the app is built, not on screen
    return I18nData(key)


def language(request: gr.Request | None) -> str:
    """ "en" or "zh": the first of the browser's languages that we have."""
    accepted = request.headers.get("accept-language", "") if request else ""
    for part in accepted.split(","):
        name = part.split(";")[0].strip()[:2].lower()
        if name in LANGUAGES:
            return name
    return "en"


def say(request: gr.Request | str | None, key: str, **values: Any) -> str:
    """A text in the browser's language (or in the named one); values are put in as they are, so escape for HTML."""
    name = request if isinstance(request, str) else language(request)
    text = texts()[key][LANGUAGES.index(name)]
    return text.format(**values) if values else text


def both(key: str) -> str:
    """HTML with the text in both languages; CSS shows the browser's."""
    return "".join(
        f'<span lang="{name}" data-lang="{name}">{escape(text)}</span>'
        for name, text in zip(LANGUAGES, texts()[key], strict=True)
    )
