"""One question in Compare: the list it is chosen from, the pictures it is about."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.mmad import Benchmark, Sample
from core.pictures import open_image
from studio import markup
from studio.i18n import say
from studio.thumbnails import LARGE
from studio.views.pairs import OUTCOMES, task_name

if TYPE_CHECKING:
    import pandas as pd

    from studio.services import Services

PAGE = 40  # rows of the list that are shown around the chosen one
SIGNS = {"fixed": ("↑", "good"), "regressed": ("↓", "bad"), "both_wrong": ("✕", "bad"), "both_right": ("✓", "good")}


@dataclass(frozen=True)
class Place:
    """A question's name in addresses and lists."""

    image: str
    index: int

    def __str__(self) -> str:
        return f"{self.index}:{self.image}"

    @classmethod
    def parse(cls, text: str | None) -> Place | None:
        index, _, image = (text or "").partition(":")
        return cls(image, int(index)) if index.isdecimal() and image else None


def position(pairs: pd.DataFrame, place: Place | None) -> int:
    """Where the question stands in the table; its picture's first question if that is not there, else 0."""
    if place is None or not len(pairs):
        return 0
    same = (pairs["image"] == place.image).to_numpy()
    exact = (same & (pairs["index"] == place.index).to_numpy()).nonzero()[0]
    found = exact if len(exact) else same.nonzero()[0]
    return int(found[0]) if len(found) else 0


def question_list(pairs: pd.DataFrame, at: int, lang: str, *, blind: bool = False) -> str:
    """The questions around the chosen one; blind, it does not say how they ended."""
    if not len(pairs):
        return markup.empty(say(lang, "compare.empty"), say(lang, "compare.empty.next"))
    start = max(0, min(at - PAGE // 2, len(pairs) - PAGE))
    rows = []
    for offset, row in enumerate(pairs.iloc[start : start + PAGE].to_dict("records")):
        place = Place(str(row["image"]), int(row["index"]))
        sign, tone = SIGNS.get(str(row["outcome"]), ("", ""))
        here = start + offset == at
        mark = "" if blind or not sign else _mark(sign, tone, say(lang, f"compare.outcome.{row['outcome']}"))
        name = f"{row['product']} · {row['defect']}" if not blind else str(row["product"])
        kind = task_name(str(row["task"]), lang)
        rows.append(
            f'<li><a class="question-row{" chosen" if here else ""}" href="#" data-pick="{escape(str(place))}"'
            f"{' aria-current=true' if here else ''}><b>{escape(name)}</b>{mark}"
            f"<span>{kind}</span></a></li>"
        )
    count = say(lang, "compare.position", n=at + 1, total=len(pairs))
    return f'<p class="run-facts">{count}</p><ul class="question-list">{"".join(rows)}</ul>'


def _mark(sign: str, tone: str, name: str) -> str:
    return f'<i class="{tone}" title="{name}" aria-label="{name}">{sign}</i>'


def filters(counts: dict[str, int], lang: str) -> list[tuple[str, str]]:
    """Choices of the outcome filter with live counts."""
    return [(say(lang, f"compare.{name}", n=counts[name]), name) for name in ("all", *OUTCOMES)]


def pictures_html(
    services: Services, bench: Benchmark | None, sample: Sample | None, lang: str, *, blind: bool = False
) -> str:
    """Query with its mask (not when judging blindly), and reference; a text sample's words in place of the query."""
    if bench is None or sample is None:
        return markup.notice(say(lang, "compare.no_picture"), "warn")
    figures = []
    if sample.text is not None:
        figures.append(
            f'<figure class="words"><blockquote>{escape(sample.text)}</blockquote>'
            f"<figcaption>{say(lang, 'compare.text_sample')}</figcaption></figure>"
        )
    else:
        mask = None if blind else bench.mask_path(sample)
        mask = mask if mask and mask.is_file() else None
        url = services.thumbnails.url(bench.path(sample.image), size=LARGE, mask=mask)
        figures.append(_figure(url, say(lang, "compare.query")))
    reference = bench.reference(sample)
    if reference:
        figures.append(
            _figure(services.thumbnails.url(bench.path(reference), size=LARGE), say(lang, "compare.reference"))
        )
    return f'<div class="q-pair">{"".join(figures)}</div>'


def _figure(url: str | None, caption: str) -> str:
    name = escape(caption)
    picture = f'<img src="{escape(url)}" alt="{name}" loading="lazy">' if url else '<div class="missing"></div>'
    return f"<figure>{picture}<figcaption>{name}</figcaption></figure>"


def heatmap(loaded: Any, bench: Benchmark, sample: Sample, lie: str = "model") -> Any:
    """The query with the model's heatmap over it as a picture, None when there is nothing to compare.

    Raises:
        UserError: a picture cannot be opened.
    """
    from studio.models import difference

    reference = bench.reference(sample)
    if sample.text is not None or reference is None:
        return None
    query, normal = open_image(bench.path(sample.image)), open_image(bench.path(reference))
    for picture in (query, normal):
        picture.thumbnail((LARGE, LARGE))
    try:
        return difference(loaded, query, normal, lie)
    except AttributeError as error:  # a model without the comparison
        raise UserError("This model makes no heatmap.") from error
