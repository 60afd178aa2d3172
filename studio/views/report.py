"""A comparison as one HTML file that opens anywhere: figures, radar, and the questions that changed, with pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.pictures import open_image
from studio.i18n import say
from studio.views.pairs import Reply, answer_card, question_card
from studio.views.scores import Score, radar, table

if TYPE_CHECKING:
    import pandas as pd

    from core.mmad import Benchmark, Sample

EXAMPLES = 24  # with pictures of 320 px the file stays near 1 MB
SIDE = 320
STYLE = Path(__file__).with_suffix(".css")


def report(
    first: str,
    second: str,
    rows: Sequence[Score],
    pairs: pd.DataFrame,
    picture: Callable[[str], tuple[Benchmark, Sample] | None],
    lang: str,
    told: str = "",
) -> str:
    """The page as text; `picture(image)` says where a sample's pictures lie, None when they are gone.

    Args:
        told: what must be said beside the figures, as HTML.
    """
    title = f"{escape(first)} – {escape(second)}"
    changed = pairs[pairs["outcome"].isin(["fixed", "regressed"])]
    examples = "".join(_example(row, first, second, picture, lang) for row in changed.head(EXAMPLES).to_dict("records"))
    more = len(changed) - EXAMPLES
    rest = f'<p class="run-facts">{say(lang, "compare.report.more", n=more)}</p>' if more > 0 else ""
    made = say(lang, "compare.report.made", day=date.today().isoformat())
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f'<p class="run-facts">{say(lang, "compare.report")}</p><h1>{title}</h1><p class="run-facts">{made}</p>'
        f"<h2>{say(lang, 'compare.tab.tasks')}</h2>{told}{table(rows, first, second, lang)}{radar(rows, first, second, lang)}"
        f"<h2>{say(lang, 'compare.report.examples')}</h2>{examples}{rest}</body></html>"
    )


def _example(row: dict[str, Any], first: str, second: str, picture: Callable[[str], Any], lang: str) -> str:
    shown = ""
    found = picture(str(row["image"]))
    if found:
        bench, sample = found
        paths = [] if sample.text is not None else [sample.image]
        shown = "".join(map(_inline, (bench.path(path) for path in (*paths, *filter(None, [bench.reference(sample)])))))
        shown += f"<blockquote>{escape(sample.text)}</blockquote>" if sample.text else ""
    cards = "".join(
        answer_card(
            name, Reply(str(row[f"reply_{side}"]), row[f"answer_{side}"], row.get(f"p_answer_{side}")), row, lang
        )
        for name, side in ((first, "a"), (second, "b"))
    )
    return f'<article>{question_card(row, lang)}<div class="row">{shown}</div><div class="row">{cards}</div></article>'


def _inline(path: Any) -> str:
    """The picture inside the page, small; nothing when it cannot be opened."""
    try:
        image = open_image(path)
    except UserError:
        return ""
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
