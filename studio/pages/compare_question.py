"""The logic of Compare's first tab: which question is shown, what both models say about it, how it looks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import pandas as pd

from core.errors import UserError
from core.mmad import Benchmark, Protocol, Sample, parse_answer
from studio import markup
from studio.i18n import language, say
from studio.models import stream
from studio.placement import placement
from studio.services import Opened, Services
from studio.views import question as look
from studio.views.pairs import Reply, answer_card, blind_order, choose, counts, pair, question_card
from studio.views.sources import Source, pictures, sources, stored

MOST_TABS = 1000  # remembered at a time
PATIENCE = 2.0  # seconds for words on their way to a tab
_EMPTY = [
    "image",
    "index",
    "dataset",
    "product",
    "defect",
    "task",
    "question",
    "options",
    "correct_answer",
    "answer",
    "reply",
]


@dataclass(frozen=True)
class Wish:
    """What a person has set: models, filters, question, blind. The order is that of the page's inputs."""

    a: str | None
    b: str | None
    outcome: str = "all"
    task: str = ""
    product: str = ""
    place: str = ""
    blind: bool = False


@dataclass(frozen=True)
class Asked:
    """What that amounts to: both sources, all pairs, those that pass the filters, and the chosen row."""

    wish: Wish
    a: Source | None
    b: Source | None
    pairs: pd.DataFrame
    shown: pd.DataFrame
    at: int
    swapped: bool = False

    @property
    def row(self) -> dict[str, Any] | None:
        return self.shown.iloc[self.at].to_dict() if len(self.shown) else None

    @property
    def image(self) -> str:
        return str(self.row["image"]) if self.row else ""

    @property
    def index(self) -> int:
        return int(self.row["index"]) if self.row else 0

    @property
    def place(self) -> str:
        return str(look.Place(self.image, self.index)) if self.row else ""


@dataclass
class _Tab:
    """What a browser's tab hears: `turn` counts its questions, `sent` is clear while words are on their way to it."""

    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.sent.set()


class Comparison:
    """The questions of two models, for one studio."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._tabs: OrderedDict[str, _Tab] = OrderedDict()

    def turn(self, request: gr.Request) -> None:
        """The tab goes on to something else: live answers to what it showed before have been sent, and fall silent."""
        tab = self._tab(request)
        with tab.lock:
            tab.turn += 1
        tab.sent.wait(PATIENCE)

    def _tab(self, request: gr.Request) -> _Tab:
        name = str(request.session_hash)
        tab = self._tabs[name] = self._tabs.pop(name, None) or _Tab()
        while len(self._tabs) > MOST_TABS:
            self._tabs.popitem(last=False)
        return tab

    def asked(self, wish: Wish, request: gr.Request, by: int = 0) -> Asked:
        """The wish carried out; `by` steps on from the chosen question."""
        known = {source.id: source for source in sources(self.services)}
        a, b = known.get(wish.a or ""), known.get(wish.b or "")
        first, second = stored(self.services, a), stored(self.services, b)
        if first is not None and second is not None:
            key = ("pairs", f"{wish.a}|{wish.b}|{id(first)}|{id(second)}")
            pairs = self.services.remember(key, lambda: pair(first, second))
        else:
            pairs = self._unanswered(request, first, second)
        shown = choose(pairs, wish.outcome, wish.task, wish.product)
        at = look.position(shown, look.Place.parse(wish.place)) + by
        asked = Asked(wish, a, b, pairs, shown, max(0, min(at, len(shown) - 1)))
        turned = wish.blind and blind_order(asked.image, asked.index, self.services.person(request))
        return replace(asked, swapped=turned)

    def opened(self, request: gr.Request) -> Opened | None:
        try:
            return self.services.of(request)
        except UserError:
            return None

    def sample(self, asked: Asked, request: gr.Request) -> tuple[Benchmark | None, Sample | None]:
        """The benchmark that holds the question's pictures, and the sample; None when they are gone."""
        for side in (asked.b, asked.a):
            bench = pictures(self.services, self.opened(request), side, asked.image)
            if bench:
                return bench, bench.by_image[asked.image]
        return None, None

    def page(self, asked: Asked, request: gr.Request) -> list[Any]:
        """Place, list, question, both cards, pictures, votes, heatmaps, note."""
        lang, row, wish = language(request), asked.row, asked.wish
        blind = wish.blind
        listed = look.question_list(asked.shown, asked.at, lang, blind=blind)
        if row is None:
            return ["", listed, "", "", "", "", gr.Row(visible=False), gr.Row(visible=False), ""]
        bench, sample = self.sample(asked, request)
        return [
            asked.place, listed,
            question_card(row, lang, blind=blind) + markup.place(a=wish.a, b=wish.b, question=asked.place, sample=None),
            *self.cards(asked, lang, {side: stored_reply(row, side) for side in "ab"}),
            look.pictures_html(self.services, bench, sample, lang, blind=blind), gr.Row(visible=blind),
            gr.Row(visible=False), "",
        ]  # fmt: skip

    def filters(self, asked: Asked, lang: str) -> list[Any]:
        """The outcome filter with its counts, and the choices of task and product."""
        wish, pairs = asked.wish, asked.pairs
        found = counts(choose(pairs, "all", wish.task, wish.product))
        kinds = sorted(map(str, pairs["task"].unique()))
        products = sorted(set(pairs["dataset"].astype(str) + "/" + pairs["product"].astype(str)))
        every = (say(lang, "compare.any"), "")
        return [
            gr.Radio(choices=look.filters(found, lang), value=wish.outcome),
            gr.Dropdown(choices=[every, *((look.task_name(name, lang), name) for name in kinds)], value=wish.task),
            gr.Dropdown(choices=[every, *((name.split("/", 1)[1], name) for name in products)], value=wish.product),
        ]

    def cards(self, asked: Asked, lang: str, replies: dict[str, Reply | None]) -> tuple[str, str]:
        """The two answers, left and right; blind ones may have changed sides."""
        row = asked.row or {}
        sides = [(asked.a, replies["a"]), (asked.b, replies["b"])]
        if asked.swapped:
            sides.reverse()
        titles = [source.label if source else "–" for source, _ in sides]
        if asked.wish.blind:
            titles = [say(lang, "compare.left"), say(lang, "compare.right_side")]
        left, right = (
            answer_card(title, reply, row, lang, blind=asked.wish.blind)
            for title, (_, reply) in zip(titles, sides, strict=True)
        )
        return left, right

    def live(self, asked: Asked, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        """Both models answer the question now, one after the other, word by word: left, right, note.

        Ends early when the tab has gone on to something else (`turn`).

        Raises:
            UserError: the pictures are gone, or a model cannot be loaded.
        """
        tab = self._tab(request)
        turn = tab.turn
        try:
            for shown in self._live(asked, request):
                with tab.lock:
                    if tab.turn != turn:
                        break
                    tab.sent.clear()
                yield shown
                tab.sent.set()  # Gradio comes back for more when it has sent what it got
            else:
                return
        finally:
            tab.sent.set()
        yield gr.skip(), gr.skip(), gr.skip()  # the last thing said is said once more when a stream ends

    def _live(self, asked: Asked, request: gr.Request) -> Iterator[tuple[str, str, str]]:
        lang, row = language(request), asked.row or {}
        bench, sample = self.sample(asked, request)
        if bench is None or sample is None:
            raise UserError(say(lang, "compare.no_picture"))
        question = sample.questions[asked.index]
        replies = {side: stored_reply(row, side) for side in "ab"}
        notes = []
        for side, source in (("a", asked.a), ("b", asked.b)):
            name = source.label if source and not asked.wish.blind else "–"
            if source is None or source.model is None:
                notes.append(markup.notice(say(lang, "compare.no_model", name=name), "warn"))
                yield *self.cards(asked, lang, replies), "".join(notes)
                continue
            if not self.services.models.ready(source.model):
                loading = markup.notice(say(lang, "compare.loading", name=name))
                yield *self.cards(asked, lang, replies), loading
            loaded = self.services.models.get(source.model)
            text = ""
            for text in stream(loaded, bench, sample, question, _protocol(row)):
                replies[side] = Reply(text, None, source="waiting")
                yield *self.cards(asked, lang, replies), "".join(notes)
            replies[side] = Reply(text, parse_answer(text, question.options), source="live")
            yield *self.cards(asked, lang, replies), "".join(notes)

    def heatmaps(self, asked: Asked, request: gr.Request) -> list[Any]:
        """The heatmap of either model, as an image component each.

        Raises:
            UserError: the pictures are gone, or a model cannot be loaded.
        """
        bench, sample = self.sample(asked, request)
        if bench is None or sample is None:
            raise UserError(say(request, "compare.no_picture"))
        maps, lie = [], placement(self.services, sample.product)
        for source in (asked.a, asked.b):
            found = (
                look.heatmap(self.services.models.get(source.model), bench, sample, lie)
                if source and source.model
                else None
            )
            maps.append(gr.Image(found, label=say(request, "compare.heatmap_of", name=source.label if source else "–")))
        return maps

    def vote(self, asked: Asked, winner: str, request: gr.Request) -> str:
        """Keep a blind vote ("left", "right" or "tie") and say whom it went to.

        Raises:
            UserError: no benchmark is open.
        """
        opened = self.opened(request)
        if opened is None or asked.row is None or asked.a is None or asked.b is None:
            raise UserError(say(request, "compare.vote.no_bench"))
        left, right = (asked.b, asked.a) if asked.swapped else (asked.a, asked.b)
        best = {"left": left, "right": right}.get(winner)
        self.services.workspace.marks.vote(
            opened.id, asked.image, asked.index, left=left.id, right=right.id, winner=best.id if best else "tie",
            author=self.services.person(request),
        )  # fmt: skip
        name = best.label if best else say(request, "compare.ties")
        return markup.notice(say(request, "compare.voted", winner=name), "good")

    def _unanswered(self, request: gr.Request, first: pd.DataFrame | None, second: pd.DataFrame | None) -> pd.DataFrame:
        """Questions where a side has no stored answers: the other side's, or the open benchmark's, those of its test split
        first, which no model has learned from; to be asked live."""
        opened = self.opened(request)
        known = first if first is not None else second
        asked = known if known is not None else opened.bench.questions if opened else pd.DataFrame(columns=_EMPTY)
        if "split" in asked:
            asked = asked.sort_values("split", key=lambda split: split != "test", kind="stable")
        blank = asked.assign(answer=None, reply="", p_answer=float("nan"), p_defect=float("nan"))
        return pair(first if first is not None else blank, second if second is not None else blank).assign(outcome="")


def stored_reply(row: dict[str, Any], side: str) -> Reply | None:
    """What the answer file says for model "a" or "b", None when it holds nothing."""
    letter, text = row.get(f"answer_{side}"), row.get(f"reply_{side}")
    if not text and not isinstance(letter, str):
        return None
    return Reply(str(text), letter if isinstance(letter, str) else None, row.get(f"p_answer_{side}"))


def first_choice(ids: list[str], a: str | None, b: str | None) -> tuple[str | None, str | None]:
    """What the address asks for, else the newest run's base and tuned."""
    tuned = b if b in ids else next((name for name in ids if name.endswith(":tuned")), ids[0] if ids else None)
    base = f"{tuned.rsplit(':', 1)[0]}:base" if tuned else ""
    other = a if a in ids else base if base in ids else next((name for name in ids if name != tuned), None)
    return other, tuned


def _protocol(row: dict[str, Any]) -> Protocol:
    """As the stored answers were asked, but written out: a letter alone streams nothing."""
    return Protocol(thinking=bool(row.get("thinking", False)), answering="generate")
