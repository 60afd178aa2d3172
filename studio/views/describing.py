"""What the Describe page works on: the texts of a product, the chosen one with its history, and saving it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.mmad import Benchmark, Sample
from core.mmad.vocabulary import GOOD
from core.workspace import Revision, Suggestion
from core.workspace.texts import DESCRIPTION, TEXT_SAMPLE
from studio.i18n import say
from studio.views.samples import word

if TYPE_CHECKING:
    import gradio as gr

    from studio.services import Opened, Services

Product = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One text: of a product's normal state or defect (`name` its label), or of a text sample (`name` its path)."""

    kind: str
    dataset: str
    product: str
    name: str
    original: str = ""
    status: str = "none"
    text: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.kind, self.dataset, self.product, self.name

    def title(self, request: gr.Request | None) -> str:
        return word(request, self.name) if self.kind == DESCRIPTION else "/".join(self.name.split("/")[-2:])


def products(bench: Benchmark) -> list[Product]:
    """(dataset, product) in the order of the benchmark."""
    return list(dict.fromkeys((sample.dataset, sample.product) for sample in bench.samples))


def approved(services: Services, opened: Opened) -> dict[Product, tuple[int, int]]:
    """For each product, how many of its descriptions are approved, and of how many."""
    labels: dict[Product, set[str]] = {product: set() for product in products(opened.bench)}
    for sample in opened.bench.samples:
        labels[sample.dataset, sample.product].add(sample.label)
    latest = services.workspace.texts.latest(opened.id)
    done = {key for key, revision in latest.items() if revision.status == "approved"}
    return {product: (sum((*product, name) in done for name in names), len(names)) for product, names in labels.items()}


def entries(services: Services, opened: Opened, product: Product) -> list[Entry]:
    """The texts of a product: normal first, then its defects, then its text samples."""
    texts, known = services.workspace.texts, opened.bench.descriptions(*product)
    latest, suggested = texts.latest(opened.id), texts.suggested(opened.id)
    own = [sample for sample in opened.bench.samples if (sample.dataset, sample.product) == product]
    labels = {sample.label for sample in own} | set(known) | {key[2] for key in latest if key[:2] == product}
    found = []
    for name in sorted(labels, key=lambda label: (label != GOOD, label.lower())):
        key, original = (*product, name), known.get(name, "").strip()
        found.append(_entry(DESCRIPTION, key, original, latest.get(key), key in suggested))
    written = texts.latest(opened.id, TEXT_SAMPLE)
    for sample in own:
        if sample.text is not None:
            key = (*product, sample.image)
            found.append(_entry(TEXT_SAMPLE, key, sample.text, written.get(key), False))
    return found


def _entry(kind: str, key: tuple[str, str, str], original: str, revision: Revision | None, suggested: bool) -> Entry:
    status = revision.status if revision else "suggested" if suggested else "original" if original else "none"
    return Entry(kind, *key, original, status, revision.text if revision else original)


@dataclass(frozen=True)
class Chosen:
    """The text that is open: its entry, history and suggestions as of now.

    Attributes:
        based_on: the newest revision number the person has in view (0: none).
        theirs: the revision that was saved in between, when a save met a conflict.
    """

    entry: Entry
    history: tuple[Revision, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    open_conflicts: tuple[Revision, ...] = ()
    theirs: Revision | None = None

    @property
    def based_on(self) -> int:
        return self.history[0].number if self.history else 0

    @property
    def base(self) -> tuple[str, str]:
        """What the text is compared with: (text, "suggestion", "original" or "theirs")."""
        if self.theirs is not None:
            return self.theirs.text, "theirs"
        if self.suggestions:
            return self.suggestions[0].text, "suggestion"
        return self.entry.original, "original"


def choose(services: Services, opened: Opened, entry: Entry, theirs: Revision | None = None) -> Chosen:
    """Read everything about a text."""
    texts = services.workspace.texts
    subject = texts.subject(opened.id, entry.dataset, entry.product, entry.name, kind=entry.kind, create=False)
    if subject is None:
        return Chosen(entry)
    return Chosen(
        entry, tuple(texts.history(subject)), tuple(texts.suggestions(subject)),
        () if theirs else tuple(texts.open_conflicts(subject)), theirs,
    )  # fmt: skip


def save(
    services: Services, opened: Opened, entry: Entry, text: str, *, status: str, author: str, based_on: int
) -> Revision:
    """Append a revision to a text.

    Raises:
        core.workspace.Conflict: somebody else saved in between; both texts are kept.
    """
    texts = services.workspace.texts
    subject = texts.subject(opened.id, entry.dataset, entry.product, entry.name, kind=entry.kind)
    assert subject is not None  # made on first use
    return texts.save(subject, text, author=author, based_on=based_on, status=status)


def before(chosen: Chosen, number: int) -> tuple[int, str, str] | None:
    """(number, text, status) of what stood before a revision; None when nothing did."""
    by_number = {revision.number: revision for revision in chosen.history}
    revision = by_number.get(number)
    if revision is None:
        return None
    former = by_number.get(revision.based_on)
    return (former.number, former.text, former.status) if former else (0, chosen.entry.original, "draft")


def find(items: list[Entry], values: Mapping[str, Any]) -> Entry | None:
    """The entry an address names (`name`, `kind`), else the first that still needs a person, else the first."""
    kind = TEXT_SAMPLE if values.get("kind") == "text" else DESCRIPTION
    if values.get("name"):
        return next((item for item in items if (item.kind, item.name) == (kind, values["name"])), None)
    waiting = (item for item in items if item.status not in ("approved", "rejected"))
    return next(waiting, items[0] if items else None)


def after(items: list[Entry], entry: Entry, step: int = 1) -> Entry:
    """The next (or previous) text, round the end."""
    return items[(items.index(entry) + step) % len(items)] if entry in items else items[0]


def values_of(entry: Entry) -> dict[str, str | None]:
    """The address of a text."""
    kind = "text" if entry.kind == TEXT_SAMPLE else None
    return {"dataset": entry.dataset, "product": entry.product, "name": entry.name, "kind": kind}


def pictures(bench: Benchmark, entry: Entry) -> list[Sample]:
    """Pictures of what a text is about, those with a mask first."""
    found = [
        sample
        for sample in bench.samples
        if sample.text is None
        and (sample.dataset, sample.product) == (entry.dataset, entry.product)
        and sample.label == entry.name
    ]
    return sorted(found, key=lambda sample: sample.mask is None)


def changes_title(request: gr.Request | None, chosen: Chosen) -> str:
    kind = chosen.base[1]
    author = chosen.theirs.author if chosen.theirs else ""
    return say(request, f"describe.changes_from_{kind}", author=author)
