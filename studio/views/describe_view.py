"""The Describe page for one address, as updates of its components; the page itself only says which button does what."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from core.errors import UserError
from core.workspace import Conflict, Revision, Status
from core.workspace.texts import DESCRIPTION
from studio import generation
from studio.i18n import say
from studio.jobs import Job
from studio.markup import badge, notice, place
from studio.services import Opened, Services
from studio.views import describe_html as html
from studio.views import describing
from studio.views.samples import word

State = dict[str, Any]
OUTPUTS = ("state", "main", "product", "progress", "entries", "describer", "key_note", "one", "title", "message", "examples",
           "suggestion", "use", "text", "changes", "history", "undo", "confirm", "estimate")  # fmt: skip


class Describing:
    """One request's view of one text.

    Args:
        values: the address values (dataset, product, name, kind) and what the page was shown with: "based_on" (newest
            revision number in view), "shown" (text), "undone" (number of the revision Undo would take back next).
    """

    def __init__(self, services: Services, opened: Opened, request: gr.Request, values: State) -> None:
        self.services, self.opened, self.request, self.values = services, opened, request, values
        self.products = describing.products(opened.bench)
        asked = (str(values.get("dataset") or ""), str(values.get("product") or ""))
        self.product = asked if asked in self.products else next(iter(self.products), None)
        self.items = describing.entries(services, opened, self.product) if self.product else []
        wanted = values if asked == self.product else {}
        self.entry = describing.find(self.items, wanted)
        self.chosen = describing.choose(services, opened, self.entry) if self.entry else None

    # -- what is shown ------------------------------------------------------------------------------------------

    def show(
        self, note: str = "", text: str | None = None, theirs: Revision | None = None, undone: int | None = None
    ) -> list[Any]:
        """Updates in the order of OUTPUTS; `text` is what stands in the field, by default the current text."""
        if self.product is None:
            return nothing(say(self.request, "describe.nothing"))
        updates = {**self._side(), **self._main(note, text, theirs, undone)}
        return [updates.get(name, gr.skip()) for name in OUTPUTS]

    def _side(self) -> dict[str, Any]:
        done = describing.approved(self.services, self.opened)
        choices = [
            (f"{p.replace('_', ' ')} · {d}  ({done[d, p][0]}/{done[d, p][1]})", f"{d}/{p}") for d, p in self.products
        ]
        assert self.product is not None
        ready, of = done[self.product]
        who = generation.describers(self.services)
        no_key = "" if generation.reachable(self.services) else say(self.request, "describe.no_key")
        names = [(say(self.request, "describe.offline") if name == generation.OFFLINE else name, name) for name in who]
        return {
            "product": gr.update(choices=choices, value="/".join(self.product)),
            "progress": f'<p class="quiet">{escape(say(self.request, "describe.progress", done=ready, all=of))}</p>',
            "entries": html.entries(self.request, self.items, self.entry),
            "describer": gr.update(choices=names, value=who[0]),
            "key_note": f'<p class="quiet">{escape(no_key)}</p>' if no_key else "",
            "confirm": gr.update(visible=False), "estimate": "",
        }  # fmt: skip

    def _main(self, note: str, text: str | None, theirs: Revision | None, undone: int | None) -> dict[str, Any]:
        entry, chosen = self.entry, self.chosen
        if entry is None or chosen is None:
            return {"state": {**self.values, "bench": self.opened.id}, "main": gr.update(visible=True),
                    "message": notice(say(self.request, "describe.unknown"), "warn")}  # fmt: skip
        if theirs is not None:
            chosen = self.chosen = describing.choose(self.services, self.opened, entry, theirs)
        shown = entry.text if text is None else text
        waiting = chosen.open_conflicts
        if not note and waiting:
            note = notice(say(self.request, "describe.parked_open", author=waiting[0].author), "warn")
        values = describing.values_of(entry)
        state = {**values, "bench": self.opened.id, "based_on": chosen.based_on, "shown": entry.text, "undone": undone}
        pictures = describing.pictures(self.opened.bench, entry)
        return {
            "state": state, "main": gr.update(visible=True),
            "title": self._title() + place(**values), "message": note,
            "examples": html.examples(self.request, pictures, self.opened.bench, self.services.thumbnails, self.opened.id),
            "suggestion": html.suggestion(self.request, chosen.suggestions, entry.original),
            "use": gr.update(visible=bool(chosen.suggestions or entry.original)), "text": shown,
            "changes": self.changes(shown), "history": html.history(self.request, chosen.history, entry.original),
            "undo": gr.update(interactive=bool(chosen.history)), "one": gr.update(interactive=entry.kind == DESCRIPTION),
        }  # fmt: skip

    def _title(self) -> str:
        entry = self.entry
        assert entry is not None
        draft_key = f"{self.opened.id}|{'|'.join(entry.key)}"
        return (
            f'<div class="sample-title" data-draft="{escape(draft_key)}"><h1>{escape(entry.title(self.request))}</h1>'
            f"{badge(word(self.request, entry.status), html.TONES[entry.status])}"
            f'<span class="quiet">{escape(entry.product.replace("_", " "))} · {escape(entry.dataset)}</span></div>'
        )

    def changes(self, typed: str) -> str:
        """The word diff of what stands in the field."""
        if self.chosen is None:
            return ""
        return html.diff(self.request, self.chosen.base[0], typed, describing.changes_title(self.request, self.chosen))

    # -- saving ---------------------------------------------------------------------------------------------------

    def save(self, text: str, status: str) -> Revision:
        """Append a revision based on what this page had in view; raises `Conflict`."""
        if self.entry is None:
            raise UserError(say(self.request, "describe.unknown"))
        return describing.save(
            self.services, self.opened, self.entry, text, status=status,
            author=self.services.person(self.request), based_on=int(self.values.get("based_on") or 0),
        )  # fmt: skip

    def show_conflict(self, conflict: Conflict, typed: str) -> list[Any]:
        """Both texts: what was typed stays in the field, the other one is what it is compared with."""
        note = notice(say(self.request, "describe.conflict", author=conflict.theirs.author), "warn")
        return Describing(self.services, self.opened, self.request, self.values).show(note, typed, conflict.theirs)

    def undo(self, typed: str) -> list[Any]:
        """Take back unsaved words first, then one revision after the other, each as a new revision."""
        if self.entry is None or self.chosen is None:
            return self.show()
        if typed != self.values.get("shown"):
            return self.show(notice(say(self.request, "describe.undone")))
        current = next((revision for revision in self.chosen.history if not revision.parked), None)
        number = self.values.get("undone") or (current.number if current else 0)
        former = describing.before(self.chosen, int(number))
        if former is None:
            return self.show(notice(say(self.request, "describe.nothing_to_undo")))
        earlier, text, status = former
        try:
            self.save(text, status if text.strip() else Status.REJECTED)
        except Conflict as conflict:
            return self.show_conflict(conflict, text)
        note = notice(say(self.request, "describe.undone"))
        # Number 0 is the benchmark's own text: -1 says that nothing stands before it.
        return Describing(self.services, self.opened, self.request, self.values).show(note, undone=earlier or -1)

    def restore(self, number: int) -> list[Any]:
        """Put a revision's text into the field; saving it is the person's choice."""
        text = next((r.text for r in self.chosen.history if r.number == number), None) if self.chosen else None
        return self.show(text=text)

    def take_suggestion(self) -> list[Any]:
        """Put the newest suggestion (or the benchmark's text) into the field."""
        if self.chosen is None:
            return self.show()
        newest = self.chosen.suggestions[0].text if self.chosen.suggestions else self.chosen.entry.original
        return self.show(text=newest)

    def step(self, by: int) -> State:
        """The values of the next or previous text; after a product's last one comes the next product's first."""
        if self.entry is None:
            return {"bench": self.opened.id}
        if by > 0 and self.items and self.entry == self.items[-1] and len(self.products) > 1:
            assert self.product is not None
            dataset, product = self.products[(self.products.index(self.product) + 1) % len(self.products)]
            first = describing.entries(self.services, self.opened, (dataset, product))[0]
            return {"bench": self.opened.id, **describing.values_of(first)}
        return {"bench": self.opened.id, **describing.values_of(describing.after(self.items, self.entry, by))}

    def meanwhile(self) -> Any:
        """Told while somebody still edits: another person has saved this text."""
        history = self.chosen.history if self.chosen else ()
        if not history or history[0].number <= int(self.values.get("based_on") or 0):
            return gr.skip()
        return notice(say(self.request, "describe.meanwhile", author=history[0].author), "warn")

    # -- generation -------------------------------------------------------------------------------------------------

    def estimate(self, keys: list[tuple[str, str, str]], who: str) -> str:
        """What generating these texts will cost, in words."""
        found = generation.estimate(self.services, self.opened, keys, who)
        if who == generation.OFFLINE:
            return say(self.request, "describe.estimate_free", texts=found.texts)
        cost = (
            say(self.request, "describe.cost_unknown")
            if found.cost is None
            else say(self.request, "describe.cost", cost=found.cost)
        )
        return say(self.request, "describe.estimate", texts=found.texts, tokens=found.tokens, cost=cost)

    def job_report(self, job: Job) -> str:
        """How a generation ended."""
        if job.state == "failed":
            settings = f'<a class="button" href="/settings">{escape(say(self.request, "nav.settings"))}</a>'
            return notice(job.message, "bad") + f'<p class="links">{settings}</p>'
        if job.state == "stopped":
            return notice(say(self.request, "describe.stopped"), "warn")
        done = notice(say(self.request, "describe.generated", n=job.result["written"]), "good")
        failures = job.result["failures"]
        if failures:
            done += notice(say(self.request, "describe.failed_some", n=len(failures), first=failures[0]), "warn")
        return done

    def refresh(self) -> list[Any]:
        """The page as it is now; the field belongs to who is typing in it."""
        skipped = {"state", "text", "changes"}
        return [gr.skip() if name in skipped else value for name, value in zip(OUTPUTS, self.show(), strict=True)]


def nothing(message: str) -> list[Any]:
    """The page without a benchmark, or without anything to describe."""
    updates = {"main": gr.update(visible=False), "entries": notice(message, "warn")}
    return [updates.get(name, gr.skip()) for name in OUTPUTS]
