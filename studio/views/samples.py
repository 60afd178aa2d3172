"""Browse in HTML: the filters with their counts, the page of thumbnails, one sample with its questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from core.mmad import Benchmark, Sample
from core.mmad.vocabulary import GOOD
from studio.i18n import say, texts
from studio.markup import badge, empty, notice
from studio.thumbnails import LARGE, Thumbnails
from studio.views.catalogue import FACETS, Choice

if TYPE_CHECKING:
    import gradio as gr
    import pandas as pd

    from core.workspace import Correction, Flag

PER_PAGE = 48


def word(request: gr.Request | None, value: str) -> str:
    """A facet's value in the reader's language; names of products and defects stay what they are, made readable."""
    key = f"browse.value.{value}"
    return say(request, key) if key in texts() else value.replace("_", " ")


def facets(request: gr.Request | None, counts: Mapping[str, Mapping[str, int]], choice: Choice) -> str:
    """The filters: a list a facet, each value a button with the number of samples it leaves."""
    parts = []
    for name in FACETS:
        values, chosen = dict(counts.get(name, {})), choice.facets.get(name)
        if chosen and chosen not in values:
            values[chosen] = 0
        # A facet that tells nothing apart is noise.
        if not values or (len(values) == 1 and not chosen and name not in ("product", "mark")):
            continue
        rows = "".join(
            f'<li><button data-pick="{escape(f"{name}={value}")}" aria-pressed="{str(value == chosen).lower()}">'
            f"<span>{escape(word(request, value))}</span><b>{number:,}</b></button></li>"
            for value, number in values.items()
        )
        title = escape(say(request, f"browse.facet.{name}"))
        parts.append(f'<fieldset class="facet"><legend>{title}</legend><ul>{rows}</ul></fieldset>')
    return f'<div class="facets">{"".join(parts)}</div>'


def grid(
    request: gr.Request | None, rows: pd.DataFrame, bench: Benchmark, thumbnails: Thumbnails, link: Mapping[str, Any]
) -> str:
    """The thumbnails of one page; `rows` are those of the catalogue, `link` the address values they keep."""
    if rows.empty:
        return empty(say(request, "browse.empty"), say(request, "browse.empty_hint"))
    urls = thumbnails.urls([bench.path(image) for image in rows["image"]])
    cards = "".join(
        _card(request, row, bench.by_image[row.image], url, link)
        for row, url in zip(rows.itertuples(), urls, strict=True)
    )
    return f'<ul class="grid" aria-label="{escape(say(request, "browse.list"))}">{cards}</ul>'


def _card(request: gr.Request | None, row: Any, sample: Sample, url: str | None, link: Mapping[str, Any]) -> str:
    label = word(request, row.defect)
    name = f"{sample.product.replace('_', ' ')}, {label}, {Path(sample.image).stem}"
    if sample.text is not None:
        picture = f'<span class="words">{escape(sample.text[:160])}</span>'
    elif url:
        picture = f'<img src="{escape(url)}" alt="" loading="lazy" decoding="async">'
    else:
        picture = f'<span class="words missing">{escape(say(request, "browse.no_picture"))}</span>'
    marks = ""
    if row.flagged:
        marks += f'<span class="mark">{badge("⚑ " + word(request, "flagged"), "warn")}</span>'
    hard = ""
    if row.hardness == row.hardness:  # not NaN
        hint = escape(say(request, "browse.hardness"))
        hard = f'<span class="hard" title="{hint}"><i style="width:{row.hardness:.0%}"></i></span>'
    href = "?" + urlencode({**link, "sample": sample.image})
    return (
        f'<li><a class="card{" off" if row.flagged else ""}" href="{escape(href)}" data-pick="{escape(sample.image)}" '
        f'aria-label="{escape(name)}">{picture}{marks}<span class="meta">'
        f"{badge(label, 'good' if row.defect == GOOD else 'bad')}<small>{escape(sample.product.replace('_', ' '))}</small>"
        f"</span>{hard}</a></li>"
    )


def title(request: gr.Request | None, sample: Sample, at: int, n: int) -> str:
    """Where the sample stands: dataset, product, label, split, and its place among the chosen ones."""
    position = say(request, "browse.position", at=at, n=n) if at else ""
    return (
        f'<div class="sample-title"><h1>{escape(sample.product.replace("_", " "))}</h1>'
        f"{badge(word(request, sample.label), 'good' if sample.is_normal else 'bad')}"
        f'{badge(word(request, sample.split))}<code>{escape(sample.image)}</code><span class="at">{escape(position)}</span></div>'
    )


def marks(request: gr.Request | None, flag: Flag | None, correction: Correction | None) -> str:
    """What people said about the sample."""
    parts = []
    if flag is not None:
        reason = flag.reason.strip() or say(request, "browse.no_reason")
        when = f"{flag.created:%Y-%m-%d %H:%M}"
        parts.append(notice(say(request, "browse.flagged_by", author=flag.author, when=when, reason=reason), "warn"))
    if correction is not None:
        when, label = f"{correction.created:%Y-%m-%d %H:%M}", word(request, correction.label)
        parts.append(notice(say(request, "browse.corrected_by", author=correction.author, when=when, label=label)))
    return "".join(parts)


def figures(request: gr.Request | None, sample: Sample, bench: Benchmark, thumbnails: Thumbnails) -> str:
    """Query (with its mask to switch on and off) and reference, side by side."""
    if sample.text is not None:
        name, note = (escape(say(request, f"browse.text_{part}")) for part in ("sample", "note"))
        words = f"<blockquote>{escape(sample.text)}</blockquote><p>{note}</p>"
        first = f'<figure class="text"><figcaption>{name}</figcaption>{words}</figure>'
    else:
        first = _query(request, sample, bench, thumbnails)
    reference = bench.reference(sample)
    url = thumbnails.url(bench.path(reference), size=LARGE) if reference else None
    name = escape(say(request, "browse.reference"))
    shown = (
        f'<div class="stage"><img src="{escape(url)}" alt="{name}"></div>'
        if url
        else _missing(request, "browse.no_reference")
    )
    return f'<div class="figures">{first}<figure><figcaption>{name}</figcaption>{shown}</figure></div>'


def _query(request: gr.Request | None, sample: Sample, bench: Benchmark, thumbnails: Thumbnails) -> str:
    name = escape(say(request, "browse.query"))
    path, mask = bench.path(sample.image), bench.mask_path(sample)
    plain = thumbnails.url(path, size=LARGE)
    veiled = thumbnails.url(path, size=LARGE, mask=mask) if mask is not None and mask.is_file() else None
    if plain is None:
        return f"<figure><figcaption>{name}</figcaption>{_missing(request, 'browse.no_picture')}</figure>"
    images = f'<img src="{escape(plain)}" alt="{name}">'
    switch = ""
    if veiled:
        label = escape(say(request, "browse.show_mask"))
        switch = f'<label class="switch"><input type="checkbox" checked> {label}</label>'
        images += f'<img class="veil" src="{escape(veiled)}" alt="{name}: {label}">'
    return f'<figure class="query"><figcaption>{name}{switch}</figcaption><div class="stage">{images}</div></figure>'


def _missing(request: gr.Request | None, key: str) -> str:
    return f'<div class="stage none">{escape(say(request, key))}</div>'


def questions(request: gr.Request | None, sample: Sample) -> str:
    """All questions of a sample, the right answer marked."""
    right = escape(say(request, "browse.right"))
    cards = []
    for question in sample.questions:
        options = "".join(
            f"<li{' class=right' if letter == question.answer else ''}><b>{escape(letter)}</b><span>{escape(text)}</span>"
            + (f'<em title="{right}" aria-label="{right}">✓</em>' if letter == question.answer else "")
            + "</li>"
            for letter, text in question.options.items()
        )
        cards.append(
            f'<section class="question"><h3>{escape(word(request, question.task.value))}</h3>'
            f"<p>{escape(question.text)}</p><ol>{options}</ol></section>"
        )
    name = escape(say(request, "browse.questions"))
    return f'<h2 class="section">{name} <b>{len(cards)}</b></h2><div class="questions">{"".join(cards)}</div>'


def findings(
    request: gr.Request | None, rows: Sequence[tuple[str, str, str]], known: Mapping[str, Any], limit: int = 20
) -> str:
    """The audit as a work list: a group a kind of finding, each with links to its samples."""
    if not rows:
        return notice(say(request, "browse.audit_clean"), "good")
    groups: dict[str, list[tuple[str, str]]] = {}
    for kind, image, message in rows:
        groups.setdefault(kind, []).append((image, message))
    parts = [f'<p class="quiet">{escape(say(request, "browse.audit_count", n=len(rows)))}</p>']
    for kind, found in groups.items():
        items = "".join(
            f"<li>{_finding_link(image, known)}<span>{escape(message)}</span></li>" for image, message in found[:limit]
        )
        rest = len(found) - limit
        more = f'<li class="quiet">{escape(say(request, "browse.audit_more", n=rest))}</li>' if rest > 0 else ""
        parts.append(
            f"<details open><summary>{escape(kind)} {badge(str(len(found)), 'warn')}</summary><ul>{items}{more}</ul></details>"
        )
    return f'<div class="findings">{"".join(parts)}</div>'


def _finding_link(image: str, known: Mapping[str, Any]) -> str:
    if image not in known:
        return f"<code>{escape(image)}</code>"
    return f'<a href="?{escape(urlencode({"sample": image}))}" data-pick="{escape(image)}"><code>{escape(image)}</code></a>'
