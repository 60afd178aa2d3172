"""What a describer hands back: suggestions, failures and what they cost. All immutable, none of them final.

A suggestion is a proposal for one place of the domain knowledge (dataset, product, "good" or a defect). It says who wrote
it (a model's name, or "offline"), from which pictures, and from which splits those came: a text written from test pictures
must be known as such beside every figure that was got with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from core.mmad import Knowledge
from core.mmad.vocabulary import KNOWLEDGE_NAMES

OFFLINE = "offline"
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One suggested description.

    Attributes:
        dataset, product, label: the place in the knowledge; label is "good" or a defect.
        text: as in `domain_knowledge.json`: "<Title>\\n Description: ...".
        model: the model's name, or "offline".
        prompt_hash: names prompt, model settings and pictures; the same hash is never paid twice.
        tokens_in, tokens_out: as counted by the server.
        cost: US dollars, None when the price table lacks the model.
        images: the pictures it was written from, relative to the benchmark's root.
        written_from_splits: splits of all pictures behind the text, in the order train, val, test. A normal text also
            rests on the pictures of the defect texts it was given; "unknown" is a text whose origin nobody noted.
        note: what a reader should know about how it was made, in one sentence; "" when there is nothing to say.
        cached: it came from the cache, so nothing was paid this time.
    """

    dataset: str
    product: str
    label: str
    text: str
    model: str
    prompt_hash: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    images: tuple[str, ...] = ()
    written_from_splits: tuple[str, ...] = ()
    note: str = ""
    cached: bool = False

    @property
    def key(self) -> Key:
        return (self.dataset, self.product, self.label)

    @property
    def from_test(self) -> bool:
        """Whether test pictures (or texts of unknown origin) stand behind it: the leak label."""
        return bool({"test", "unknown"} & set(self.written_from_splits))


@dataclass(frozen=True, slots=True)
class Failure:
    """A place that got no text, and one sentence why; asking again retries exactly these."""

    dataset: str
    product: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked and paid. `cost` is in US dollars, None when the price table lacks the model."""

    calls: int = 0
    retries: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0


@dataclass(frozen=True)
class Outcome:
    """The result of one run; iterating gives its suggestions.

    Attributes:
        suggestions: one per (dataset, product, label), in the order of the benchmark, never two for one place.
        failures: places without a text, with the reason.
        estimate: what the run was expected to need before it began (only what the cache lacked).
        usage: what it took.
        stopped: it was cancelled before the end; the next run goes on where it stopped.
    """

    suggestions: tuple[Suggestion, ...] = ()
    failures: tuple[Failure, ...] = ()
    estimate: Usage = field(default_factory=Usage)
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False

    def __iter__(self) -> Iterator[Suggestion]:
        return iter(self.suggestions)

    def __len__(self) -> int:
        return len(self.suggestions)

    @property
    def knowledge(self) -> Knowledge:
        """The suggestions in the shape of `domain_knowledge.json`."""
        return merge_knowledge({}, self.suggestions)


def written(title: str, description: str) -> str:
    """Title and description in the form of MMAD's and EMIT's knowledge files."""
    return f"<{title.strip().strip('<>').strip()}>\n Description: {description.strip()}"


def merge_knowledge(
    knowledge: Knowledge, suggestions: Iterable[Suggestion], *, edited: Collection[Key] = (), replace: bool = False
) -> Knowledge:
    """`knowledge` with the suggestions filled in; the argument is left as it is.

    Args:
        edited: (dataset, product, label) of texts a person wrote or changed: they are always kept.
        replace: also replace texts that exist and were not edited; by default only gaps are filled.
    """
    merged = {dataset: {p: dict(texts) for p, texts in products.items()} for dataset, products in knowledge.items()}
    for suggestion in suggestions:
        dataset = knowledge_name(merged, suggestion.dataset, suggestion.product)
        texts = merged.setdefault(dataset, {}).setdefault(suggestion.product, {})
        kept = texts.get(suggestion.label, "").strip()
        names = {(name, suggestion.product, suggestion.label) for name in (dataset, suggestion.dataset)}
        if kept and (not replace or names & set(edited)):
            continue
        texts[suggestion.label] = suggestion.text
    return merged


def knowledge_name(knowledge: Knowledge, dataset: str, product: str) -> str:
    """The dataset's name in the knowledge file: MMAD calls two datasets `MVTec` there."""
    shared = KNOWLEDGE_NAMES.get(dataset, dataset)
    return shared if product not in knowledge.get(dataset, {}) and product in knowledge.get(shared, {}) else dataset
