"""The few pieces of HTML that pages build their views from; everything put in is escaped here."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import gradio as gr

# Elements with data-pick="value" inside such a component trigger `select`; the handler gets
# `event: gr.EventData` and reads it with `picked`. A click with Ctrl or the middle button follows the link as usual.
_PICK = """
element.addEventListener('click', (event) => {
  const picked = event.target.closest('[data-pick]');
  if (!picked || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  trigger('select', {pick: picked.dataset.pick});
});
"""


def picker(value: str = "", **options: Any) -> gr.HTML:
    """HTML whose elements with `data-pick` can be chosen: use `.select(handler)` and `picked(event)`."""
    return gr.HTML(value, js_on_load=_PICK, apply_default_css=False, **options)


def picked(event: gr.EventData) -> str:
    """What was chosen in a `picker`; empty when the event came from something else (a button)."""
    return str((event._data or {}).get("pick", ""))


def view(value: str = "", **options: Any) -> gr.HTML:
    """HTML to look at."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **options)


def place(push: bool = False, **values: Any) -> str:
    """Put into a view: the browser's address takes these values (None removes one); with `push`, Back undoes it."""
    mark = ' data-push="1"' if push else ""
    return f"<i hidden data-url='{escape(json.dumps(values), quote=True)}'{mark}></i>"


def badge(text: str, tone: str = "neutral", title: str = "") -> str:
    """A small label; tone: neutral, accent, good, bad, warn."""
    hint = f' title="{escape(title)}"' if title else ""
    return f'<span class="badge {tone}"{hint}>{escape(text)}</span>'


def notice(text: str, tone: str = "accent") -> str:
    """A sentence in a box; tone as for `badge`. An empty text gives nothing."""
    role = "alert" if tone == "bad" else "status"
    return f'<div class="notice {tone}" role="{role}">{escape(text)}</div>' if text else ""


def empty(title: str, text: str = "", action: tuple[str, str] | None = None) -> str:
    """What a page shows when there is nothing; action: (label, address)."""
    link = f'<a class="button" href="{escape(action[1])}">{escape(action[0])}</a>' if action else ""
    return f'<div class="empty"><h2>{escape(title)}</h2><p>{escape(text)}</p>{link}</div>'


def meter(share: float, text: str, name: str) -> str:
    """A progress bar; share 0 to 1, `name` is what screen readers call it."""
    percent = round(100 * min(max(share, 0.0), 1.0))
    return (
        f'<div class="meter" role="progressbar" aria-label="{escape(name)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><div class="meter-bar"><i style="width:{percent}%"></i></div>'
        f"<span>{escape(text)}</span></div>"
    )


def heading(title: str, note: str = "") -> str:
    """A page's or section's title with a quiet note beside it (both may hold HTML of `both`)."""
    return f'<div class="heading"><h1>{title}</h1><p>{note}</p></div>'
