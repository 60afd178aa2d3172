"""Describe in HTML: the list of texts, a suggestion, a word diff, a history, example pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from core.mmad import Benchmark, Sample
from core.workspace import Revision, Suggestion, word_diff
from studio.frame import address
from studio.generation import OFFLINE
from studio.i18n import say
from studio.markup import badge
from studio.thumbnails import Thumbnails
from studio.views.samples import word

if TYPE_CHECKING:
    import gradio as gr

    from studio.views.describing import Entry

TONES = {
    "approved": "good",
    "rejected": "bad",
    "draft": "accent",
    "suggested": "warn",
    "original": "neutral",
    "none": "neutral",
}
EXAMPLES = 5


def entries(request: gr.Request | None, items: Sequence[Entry], chosen: Entry | None) -> str:
    """The texts of a product as a list to choose from, text samples below."""
    parts = []
    for kind, key in (("description", "describe.texts"), ("text sample", "describe.text_samples")):
        rows = "".join(_entry(request, item, item == chosen) for item in items if item.kind == kind)
        if rows:
            parts.append(f'<h2 class="section">{escape(say(request, key))}</h2><ul class="entries">{rows}</ul>')
    return "".join(parts)


def _entry(request: gr.Request | None, item: Entry, here: bool) -> str:
    current = ' aria-current="true"' if here else ""
    return (
        f'<li><button data-pick="{escape(f"{item.kind}|{item.name}")}"{current}><span>{escape(item.title(request))}</span>'
        f"{badge(word(request, item.status), TONES[item.status])}</button></li>"
    )


def suggestion(request: gr.Request | None, found: Sequence[Suggestion], original: str) -> str:
    """The newest suggestion with where it comes from, earlier ones folded; without any, the benchmark's own text."""
    if not found:
        if not original:
            return f'<div class="suggestion none"><p>{escape(say(request, "describe.no_suggestion"))}</p></div>'
        title = badge(say(request, "describe.original"))
        return f'<div class="suggestion"><div class="origin">{title}</div><p class="said">{escape(original)}</p></div>'
    newest, *older = found
    parts = [
        f'<div class="suggestion"><div class="origin">{_origin(request, newest)}</div><p class="said">{escape(newest.text)}</p>'
    ]
    if older:
        rows = "".join(
            f'<div class="origin">{_origin(request, s)}</div><p class="said">{escape(s.text)}</p>' for s in older
        )
        parts.append(
            f"<details><summary>{escape(say(request, 'describe.older'))} ({len(older)})</summary>{rows}</details>"
        )
    return "".join(parts) + "</div>"


def _origin(request: gr.Request | None, item: Suggestion) -> str:
    facts = [badge(item.model, "accent")]
    if item.model == OFFLINE:
        facts.append(f"<span>{escape(say(request, 'describe.offline_label'))}</span>")
    if tokens := item.prompt_tokens + item.completion_tokens:
        facts.append(f"<span>{escape(say(request, 'describe.tokens', n=tokens))}</span>")
    if item.cost:
        facts.append(f"<span>${item.cost:.4f}</span>")
    facts.append(f"<span>{item.created:%Y-%m-%d %H:%M}</span>")
    if {"test", "unknown"} & set(item.splits):
        facts.append(badge(say(request, "describe.leak"), "warn"))
    return "".join(facts)


def diff(request: gr.Request | None, before: str, after: str, title: str) -> str:
    """What changed word by word; additions and removals are marked by more than colour."""
    if not before:
        return ""
    changes = word_diff(before, after)
    if all(kind == "same" for kind, _ in changes):
        body = f'<p class="quiet">{escape(say(request, "describe.unchanged"))}</p>'
    else:
        body = f'<p class="diff">{_marked(changes)}</p>'
    return f'<h2 class="section">{escape(title)}</h2>{body}'


def _marked(changes: Iterable[tuple[str, str]]) -> str:
    tags = {"same": ("", ""), "removed": ("<del>", "</del>"), "added": ("<ins>", "</ins>")}
    return "".join(f"{tags[kind][0]}{escape(text)}{tags[kind][1]}" for kind, text in changes)


def history(request: gr.Request | None, revisions: Sequence[Revision], original: str) -> str:
    """All revisions, newest first, each against the one it was based on."""
    if not revisions:
        return f'<p class="quiet">{escape(say(request, "describe.no_history"))}</p>'
    by_number = {revision.number: revision for revision in revisions}
    rows = []
    for revision in revisions:
        former = by_number.get(revision.based_on)
        changes = word_diff(former.text if former else original, revision.text)
        marks = badge(word(request, revision.status), TONES[revision.status])
        if revision.parked:
            marks += badge(say(request, "describe.parked"), "warn")
        when = f"{revision.created.astimezone():%Y-%m-%d %H:%M}"
        title = say(request, "describe.revision", n=revision.number, author=revision.author, when=when)
        restore = escape(say(request, "describe.restore"))
        rows.append(
            f'<li><div class="origin"><b>{escape(title)}</b>{marks}<button class="link" data-pick="{revision.number}" '
            f'aria-label="{restore} {revision.number}">{restore}</button></div><p class="diff">{_marked(changes)}</p></li>'
        )
    return f'<ol class="history">{"".join(rows)}</ol>'


def examples(
    request: gr.Request | None, samples: Sequence[Sample], bench: Benchmark, thumbnails: Thumbnails, bench_id: int
) -> str:
    """A few pictures of what is described, defects outlined; each leads to its sample."""
    cells = []
    for sample in samples[:EXAMPLES]:
        mask = bench.mask_path(sample)
        url = thumbnails.url(bench.path(sample.image), mask=mask if mask is not None and mask.is_file() else None)
        if url:
            href = escape(address("", bench_id, sample=sample.image))
            cells.append(f'<a href="{href}"><img src="{escape(url)}" alt="{escape(sample.image)}"></a>')
    return (
        f'<div class="examples" aria-label="{escape(say(request, "describe.examples"))}">{"".join(cells)}</div>'
        if cells
        else ""
    )
