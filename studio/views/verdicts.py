"""Verdicts of the Inspect page: the list of a batch, one verdict in full, the exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from html import escape

from core.synthesis.names import spoken
from studio import markup
from studio.i18n import say, texts
from studio.inspection import Verdict
from studio.views.pairs import reasoning

CLOSE = 0.1  # within this of the threshold a person should look


def verdict_list(verdicts: Sequence[Verdict], chosen: int, lang: str) -> str:
    """All verdicts of the batch, one row each."""
    if not verdicts:
        return markup.empty(say(lang, "inspect.nothing"), say(lang, "inspect.nothing.next"))
    return f'<ul class="verdict-list">{"".join(_row(i, v, i == chosen, lang) for i, v in enumerate(verdicts))}</ul>'


def _row(number: int, verdict: Verdict, chosen: bool, lang: str) -> str:
    detail = " · ".join(escape(part) for part in (spoken(verdict.kind), region(verdict.place, lang)) if part)
    return (
        f'<li><a class="verdict-row{" chosen" if chosen else ""}" href="#" data-pick="{number}"'
        f"{' aria-current=true' if chosen else ''}><b>{escape(verdict.name)}</b>{_badge(verdict, lang)}"
        f"<span>{detail}</span>{_bar(verdict, lang)}</a></li>"
    )


def region(place: str, lang: str) -> str:
    """A region of the picture in the reader's language; exports keep the model's own word."""
    key = f"inspect.region.{place.replace(' ', '_')}"
    return say(lang, key) if key in texts() else place


def _badge(verdict: Verdict, lang: str) -> str:
    bad = verdict.defective
    return markup.badge(say(lang, "inspect.defective" if bad else "inspect.good"), "bad" if bad else "good")


def _bar(verdict: Verdict, lang: str) -> str:
    """P(defect) as a bar with the threshold marked on it."""
    said = say(lang, "inspect.p", p=percent(verdict.p_defect))
    return (
        f'<div class="p-bar {"bad" if verdict.defective else "good"}" role="meter" aria-label="{said}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{verdict.p_defect * 100:.0f}"><i style="width:{verdict.p_defect * 100:.1f}%"></i>'
        f'<u style="left:{verdict.threshold * 100:.1f}%"></u></div>'
    )


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def verdict_card(verdict: Verdict | None, texts: Mapping[str, str], lang: str) -> str:
    """One verdict in full: how sure, which type, where, and why in plain words."""
    if verdict is None:
        return ""
    p, t = percent(verdict.p_defect), percent(verdict.threshold)
    place = region(verdict.place, lang)
    facts = [(say(lang, "inspect.type"), spoken(verdict.kind)), (say(lang, "inspect.place"), place)]
    if verdict.difference is not None:
        facts.append((say(lang, "inspect.difference"), f"{verdict.difference:.2f}"))
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    why = [say(lang, f"inspect.why.{'defective' if verdict.defective else 'good'}", p=p, t=t)]
    if verdict.place:
        why.append(say(lang, "inspect.why.place", place=escape(place)))
    if known := texts.get(verdict.kind):
        why.append(say(lang, "inspect.why.known", text=escape(" ".join(known.split()))))
    if abs(verdict.p_defect - verdict.threshold) < CLOSE:
        why.append(f"<b>{say(lang, 'inspect.why.close')}</b>")
    thought, rest = reasoning(verdict.reasoning)
    own = f"<h5>{say(lang, 'inspect.reasoning')}</h5><p>{escape(thought or rest)}</p>" if verdict.reasoning else ""
    return (
        f'<div class="verdict-card {"bad" if verdict.defective else "good"}"><div class="a-head">'
        f"<h3>{say(lang, 'inspect.defective' if verdict.defective else 'inspect.good')}</h3>"
        f'<span class="run-facts">{escape(verdict.name)}</span></div>'
        f'<div class="p-line"><b>{say(lang, "inspect.p", p=p)}</b><span>{say(lang, "inspect.against", t=t)}</span></div>'
        f"{_bar(verdict, lang)}<dl>{rows}</dl><h5>{say(lang, 'inspect.why')}</h5>"
        f"{''.join(f'<p>{line}</p>' for line in why)}{own}</div>"
    )


def to_csv(verdicts: Sequence[Verdict]) -> str:
    """One row a picture; a cell that a spreadsheet would run is quoted."""
    rows = [verdict.row() for verdict in verdicts]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"])
    writer.writeheader()
    for row in rows:
        harmless = {k: f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t" and v else v for k, v in row.items()}
        writer.writerow(harmless)
    return text.getvalue()


def to_json(verdicts: Sequence[Verdict]) -> str:
    return json.dumps([verdict.row() for verdict in verdicts], ensure_ascii=False, indent=1) + "\n"
