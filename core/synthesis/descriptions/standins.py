"""Text samples: descriptions that stand in for query pictures (EMIT, "object text as query image").

For a product without defect pictures to train on, five normal pictures are put into words, and anomalies are simulated in
words: a defect the knowledge names, at one of nine places, with a look the knowledge tells. A question then shows a normal
reference and the text. Type and place are chosen here, not by the model, so the right answers are known.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import UserError
from core.files import digest
from core.mmad import GOOD, Benchmark, Sample, Task
from core.synthesis.descriptions.authors import Draft, OfflineAuthor, OnlineAuthor
from core.synthesis.descriptions.costs import load_prices
from core.synthesis.descriptions.endpoint import Endpoint
from core.synthesis.descriptions.items import group_samples, in_order, preferred
from core.synthesis.descriptions.running import Progress
from core.synthesis.descriptions.store import Store
from core.synthesis.descriptions.suggestions import OFFLINE, Failure, Usage
from core.synthesis.descriptions.wording import load_prompts
from core.synthesis.names import is_vague, spoken
from core.synthesis.questions import QuestionWriter
from core.synthesis.regions import WORDINGS, MaskSummary
from core.synthesis.statements import statements

TASKS = frozenset({Task.DISCRIMINATION, Task.DEFECT_CLASSIFICATION, Task.DEFECT_LOCALIZATION})
SOURCE = "text"
# Sentences about a normal product that speak of what is absent or sound would contradict a simulated defect.
_SOUND = re.compile(
    r"\b(no|not|without|free|intact|undamaged|lack\w*|absence|any|defect\w*|normal\w*|flawless|perfect\w*|never)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TextSamples:
    """The samples made, with what failed and what it took; iterating gives the samples."""

    samples: tuple[Sample, ...] = ()
    failures: tuple[Failure, ...] = ()
    estimate: Usage = field(default_factory=Usage)
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


def text_samples(
    bench: Benchmark,
    model: str = OFFLINE,
    *,
    endpoint: Endpoint | None = None,
    products: Iterable[str] | None = None,
    pictures: int = 5,
    per_picture: int = 3,
    per_defect: int = 9,
    split: str = "train",
    cache: str | Path | None = None,
    prompts: str | Path | None = None,
    prices: str | Path | None = None,
    seed: int = 0,
    dry_run: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> TextSamples:
    """Samples whose query is a text, with questions for discrimination, classification and localization.

    Args:
        model: a model's name, or "offline" to put texts together without one; or give `endpoint`.
        products: by default those that have normal pictures and described defects, but no defect picture to train on.
        pictures: normal pictures put into words per product.
        per_picture: normal samples made of each of them.
        per_defect: simulated anomalies per defect; their places are balanced.
        split: of the new samples.
        cache, prompts, prices, seed, dry_run, progress, stop: as in `describe`.

    Each sample's `extra` names who wrote it (`written_by`), from which pictures (`written_from`) and from which splits they
    came (`written_from_splits`).

    Raises:
        UserError: as `describe`; or a named product has no picture.
    """
    chosen = list(products) if products is not None else products_without_defects(bench)
    plan = _Plan(bench, pictures, per_picture, per_defect, seed)
    drafts: list[Draft] = []
    failures: list[Failure] = []
    for (dataset, product), groups in _by_product(bench, chosen if chosen else []).items():
        try:
            drafts += plan.drafts(dataset, product, groups)
        except UserError as error:
            failures.append(Failure(dataset, product, GOOD, str(error)))
    if endpoint is None and model == OFFLINE:
        author: OfflineAuthor | OnlineAuthor = OfflineAuthor(bench, seed)
    else:
        endpoint = endpoint or Endpoint(model)
        author = OnlineAuthor(
            bench, endpoint, load_prompts(prompts), load_prices(endpoint.model, prices), Store(cache), seed
        )
    estimate = author.estimate(drafts)
    if dry_run:
        return TextSamples((), tuple(failures), estimate)
    texts, usage, stopped = author.write(drafts, failures, progress, stop)
    made = [
        _sample(draft, text, author.name, split, i)
        for i, (draft, text) in enumerate(zip(drafts, texts, strict=True))
        if text
    ]
    return TextSamples(tuple(_with_questions(bench, made, drafts, seed)), tuple(failures), estimate, usage, stopped)


def products_without_defects(bench: Benchmark) -> list[str]:
    """ "dataset/product" of those with normal pictures and described defects, but no defect picture in the training split."""
    groups = group_samples(bench)
    found = []
    for dataset, product in dict.fromkeys(key[:2] for key in groups):
        described = set(bench.descriptions(dataset, product)) - {GOOD}
        trained = any(
            k[:2] == (dataset, product) and k[2] != GOOD and any(s.split == "train" for s in v)
            for k, v in groups.items()
        )
        if described and not trained and (dataset, product, GOOD) in groups:
            found.append(f"{dataset}/{product}")
    return found


def _by_product(bench: Benchmark, products: Sequence[str]) -> dict[tuple[str, str], dict[str, list[Sample]]]:
    result: dict[tuple[str, str], dict[str, list[Sample]]] = {}
    for (dataset, product, label), samples in group_samples(bench, products).items():
        result.setdefault((dataset, product), {})[label] = samples
    return result


@dataclass(frozen=True, slots=True)
class _Plan:
    bench: Benchmark
    pictures: int
    per_picture: int
    per_defect: int
    seed: int

    def drafts(self, dataset: str, product: str, groups: dict[str, list[Sample]]) -> list[Draft]:
        """Which texts to write for a product."""
        order = random.Random(f"{self.seed}/{dataset}/{product}")
        normals = preferred(groups.get(GOOD, []), self.seed)
        normals = [s for s in normals if s.split == normals[0].split]
        known = self.bench.descriptions(dataset, product)
        described = [label for label, text in known.items() if label != GOOD and text.strip()]
        # "combined" or "bad" name no look of their own.
        defects = [label for label in described if not is_vague(label)] or described
        if len(normals) < 2:
            raise UserError(
                f"Text samples of {spoken(product)} need two normal pictures or more: one is the reference."
            )
        if not defects:
            raise UserError(f"No defect of {spoken(product)} is described: describe some, then make text samples.")
        shown = normals[: self.pictures]
        sound = [s for s in statements(known.get(GOOD, ""), product).looks if not _SOUND.search(s)]

        def draft(label: str, place: int | None, look: str) -> Draft:
            picture = shown[order.randrange(len(shown))] if label != GOOD else shown[len(made) % len(shown)]
            others = [s for s in normals if s.image != picture.image]
            templates = tuple(s.image for s in order.sample(others, min(10, len(others))))
            return Draft(
                dataset, product, label, place, look, picture, templates, in_order({picture.split, normals[0].split})
            )

        made: list[Draft] = []
        for _ in range(self.per_picture * len(shown)):
            made.append(draft(GOOD, None, order.choice(sound) if sound else ""))
        for label in defects:
            looks = _looks(known[label], label, product)
            places = [place for _ in range(-(-self.per_defect // 9)) for place in order.sample(range(9), 9)]
            made += [draft(label, place, order.choice(looks)) for place in places[: self.per_defect]]
        return made


def _looks(text: str, label: str, product: str) -> list[str]:
    """Sentences on how a defect looks, without its name."""
    name = re.compile(rf"[\"'“”‘’]?\b{re.escape(spoken(label))}s?\b[\"'“”‘’]?", re.IGNORECASE)
    looks = [" ".join(name.sub("flaw", look).split()) for look in statements(text, product).looks]
    return looks or [f"The surface differs there as by {spoken(label)}."]


def _sample(draft: Draft, text: str, author: str, split: str, number: int) -> Sample:
    name = digest([draft.picture.image, draft.label, draft.place, text])[:8]
    return Sample(
        image=f"{draft.dataset}/{draft.product}/text/{draft.label}/{number:04d}-{name}.txt",
        dataset=draft.dataset,
        product=draft.product,
        defect=None if draft.label == GOOD else draft.label,
        split=split,
        source=SOURCE,
        similar_templates=draft.templates,
        text=text,
        extra={
            "written_by": author,
            "written_from": [draft.picture.image],
            "written_from_splits": list(draft.splits),
            **({} if draft.place is None else {"place": WORDINGS[draft.place][0]}),
        },
    )


def _with_questions(bench: Benchmark, made: Sequence[Sample], drafts: Sequence[Draft], seed: int) -> Iterator[Sample]:
    # Wrong options come from the whole corpus, so the writer has to know it.
    writer = QuestionWriter(seed, TASKS, replace(bench, samples=(*bench.samples, *made)))
    names = {WORDINGS[place][0]: place for place in range(9)}
    for sample in made:
        place = names.get(str(sample.extra.get("place")))
        areas = tuple(int(cell == place) for cell in range(9))
        yield replace(
            sample, questions=writer.questions(sample, MaskSummary(3, 3, areas) if place is not None else None)
        )
