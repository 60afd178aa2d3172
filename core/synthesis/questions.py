"""From samples to multiple-choice questions, for all seven tasks of MMAD.

    samples, masks, names      -> discrimination, classification, localization, object classification (EMIT, section
                                  "Multi-task dataset")
    descriptions               -> defect description, defect analysis, object analysis

Seeded: the same samples and seed give the same questions. The right letter is dealt from shuffled hands, so that over the
questions of a task every letter is right equally often. A wrong option is never true: touched regions, names that may mean
the same and statements that say the same are left out.

Wrong options of training questions (split "train") come from what the training part shows as long as that suffices, of the same
product where it shows four kinds: an option that is wrong wherever training asks teaches that it is always wrong, and the test
may ask for it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.mmad import GOOD, Benchmark, Knowledge, Question, Sample, Task
from core.synthesis.masks import MaskReader, mask_of
from core.synthesis.names import COMMON_DEFECTS, COMMON_PRODUCTS, alike, is_vague, title
from core.synthesis.regions import WORDINGS, MaskSummary, summarise
from core.synthesis.sources.found import Found, Skip, log_skip
from core.synthesis.statements import differ, statements

LETTERS = "ABCD"
TEXTS = {
    Task.DISCRIMINATION: "Is there a defect in the query picture?",
    Task.DEFECT_CLASSIFICATION: "There is a defect in the query picture. Of which type is it?",
    Task.DEFECT_LOCALIZATION: "There is a defect in the query picture. Where is it?",
    Task.DEFECT_DESCRIPTION: "There is a defect in the query picture. Which statement describes how it looks?",
    Task.DEFECT_ANALYSIS: "There is a defect in the query picture. Which statement says what it means for the product?",
    Task.OBJECT_CLASSIFICATION: "Which product does the query picture show?",
    Task.OBJECT_ANALYSIS: "Which statement is true of the product in the query picture?",
}


@dataclass
class Corpus:
    """What wrong options are drawn from.

    Attributes:
        products: distinct (dataset, product).
        defects: (dataset, product) -> its defects.
    """

    products: list[tuple[str, str]] = field(default_factory=list)
    defects: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Corpus:
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for sample in samples:
            labels = found[sample.dataset, sample.product]
            if sample.defect and not is_vague(sample.defect):
                labels.add(sample.defect)
        return cls(sorted(found), {product: sorted(labels) for product, labels in found.items()})


def build_questions(
    samples: Iterable[Sample] | Benchmark,
    *,
    root: str | Path | None = None,
    seed: int = 0,
    knowledge: Knowledge | None = None,
    tasks: Sequence[Task] = tuple(Task),
    masks: MaskReader | None = None,
    skip: Skip = log_skip,
    progress: Callable[[int, int], None] | None = None,
) -> list[Sample]:
    """`samples` with their questions, in the same order.

    Args:
        samples: as a source found them, or with masks that lie below `root`; a Benchmark brings its own root and knowledge.
        knowledge: dataset -> product -> "good" or defect -> text; without it three tasks are left out.
        tasks: the ones to ask.
        masks: reads and remembers mask summaries; a new one by default.
        skip: told (image, why) of a sample that is left out because its mask cannot be read.

    A defect sample whose mask is empty is really normal: it is relabelled. Only masks are opened, never pictures.
    """
    bench = samples if isinstance(samples, Benchmark) else Benchmark(Path(root or "."), tuple(samples), knowledge or {})
    if knowledge is not None and bench.knowledge is not knowledge:
        bench = replace(bench, knowledge=knowledge)
    masks = masks or MaskReader()
    asked = [sample for sample in bench if sample.mask and sample.defect]
    summaries = masks.read_all([_mask(bench, sample) for sample in asked], progress)
    found: dict[str, MaskSummary | UserError] = dict(zip((s.image for s in asked), summaries, strict=True))
    kept: list[Sample] = []
    for sample in bench:
        summary = found.get(sample.image)
        if isinstance(summary, UserError):
            skip(sample.image, str(summary))
        elif summary is not None and summary.is_empty:
            kept.append(_normal(sample))
        else:
            kept.append(sample)
    writer = QuestionWriter(seed, frozenset(tasks), replace(bench, samples=tuple(kept)))
    return [replace(sample, questions=writer.questions(sample, found.get(sample.image))) for sample in kept]


def _mask(bench: Benchmark, sample: Sample) -> Path | MaskSummary | UserError | None:
    """The mask's file, or its summary where it is drawn, cut or united (then nothing but the summary is kept)."""
    try:
        if not isinstance(sample, Found):
            return bench.mask_path(sample)
        mask = mask_of(sample)
        return summarise(mask) if isinstance(mask, np.ndarray) else mask
    except (UserError, ValueError) as error:
        return error if isinstance(error, UserError) else UserError(str(error))


def _normal(sample: Sample) -> Sample:
    nothing = {"mask_files": (), "shapes": (), "runs": ()} if isinstance(sample, Found) else {}
    return replace(sample, defect=None, mask=None, **nothing)  # type: ignore[arg-type]


class QuestionWriter:
    """Writes the questions of one sample after another."""

    def __init__(self, seed: int, tasks: frozenset[Task], bench: Benchmark) -> None:
        self.seed, self.tasks, self.bench = seed, tasks, bench
        self.corpus = Corpus.of(bench)
        self.taught = Corpus.of(bench.split("train"))
        self._hands: dict[object, list[int]] = {}
        self._deal = random.Random(f"{seed}/letters")
        self._near_defects: dict[tuple[str, str, str, bool], list[str]] = {}
        self._near_products: dict[tuple[str, str, bool], list[str]] = {}

    def _corpus(self, sample: Sample) -> Corpus:
        return self.taught if sample.split == "train" else self.corpus

    def questions(self, sample: Sample, mask: MaskSummary | UserError | None) -> tuple[Question, ...]:
        order = random.Random(f"{self.seed}/{sample.image}")
        made: list[Question | None] = [self._discrimination(sample, order)]
        if sample.defect is None:
            made += [self._object_classification(sample, order), self._object_analysis(sample, order)]
        else:
            if isinstance(mask, MaskSummary):
                made.append(self._localization(mask, order))
            if not is_vague(sample.defect):
                made += [self._classification(sample, order), self._description(sample, order)]
                made.append(self._analysis(sample, order))
        return tuple(question for question in made if question is not None)

    def _question(
        self, task: Task, right: str, wrong: Sequence[str], order: random.Random, kind: object = None
    ) -> Question | None:
        """`kind` tells apart what must be balanced on its own, e.g. the letters of "Yes." and of "No."."""
        if task not in self.tasks or not wrong:
            return None
        options = list(wrong)
        order.shuffle(options)
        place = self._letter((task, kind, len(wrong)), len(wrong) + 1)
        options.insert(place, right)
        return Question(TEXTS[task], dict(zip(LETTERS, options, strict=False)), LETTERS[place], task.value)

    def _letter(self, key: object, count: int) -> int:
        hand = self._hands.setdefault(key, [])
        if not hand:
            hand.extend(self._deal.sample(range(count), count))
        return hand.pop()

    def _discrimination(self, sample: Sample, order: random.Random) -> Question | None:
        right, wrong = ("No.", "Yes.") if sample.defect is None else ("Yes.", "No.")
        return self._question(Task.DISCRIMINATION, right, [wrong], order, kind=right)

    def _localization(self, mask: MaskSummary, order: random.Random) -> Question | None:
        free = [cell for cell in range(9) if not mask.areas[cell]]
        if len(free) < 3:
            return None  # a defect all over the picture is nowhere in particular
        right = order.choice(WORDINGS[mask.ranked[0]])
        wrong = [order.choice(WORDINGS[cell]) for cell in order.sample(free, 3)]
        return self._question(Task.DEFECT_LOCALIZATION, _capital(right), [_capital(text) for text in wrong], order)

    def _classification(self, sample: Sample, order: random.Random) -> Question | None:
        assert sample.defect is not None
        wrong = _draw([title(name) for name in self._other_defects(sample)], order)
        return self._question(Task.DEFECT_CLASSIFICATION, title(sample.defect), wrong, order)

    def _other_defects(self, sample: Sample) -> list[str]:
        """Names that are no other word for the sample's defect: of a training product its own, else all of the corpus; common
        ones if those are too few."""
        assert sample.defect is not None
        training = sample.split == "train"
        place = (sample.dataset, sample.product, sample.defect, training)
        if place not in self._near_defects:
            corpus = self._corpus(sample)
            own = [name for name in corpus.defects.get(place[:2], []) if title(name) != title(sample.defect)]
            every = [name for names in corpus.defects.values() for name in names]
            names = _distinct(own)
            if len(names) < 3 or not training:
                names = _distinct([*own, *(name for name in every if not alike(name, sample.defect))])
            if len(names) < 3:
                names = _distinct([*names, *(name for name in COMMON_DEFECTS if not alike(name, sample.defect))])
            self._near_defects[place] = names
        return self._near_defects[place]

    def _object_classification(self, sample: Sample, order: random.Random) -> Question | None:
        place = (sample.dataset, sample.product, sample.split == "train")
        if place not in self._near_products:
            names = _distinct([name for _, name in self._corpus(sample).products if not alike(name, sample.product)])
            if len(names) < 3:
                names = _distinct(
                    [*names, *(name for _, name in self.corpus.products if not alike(name, sample.product))]
                )
            if len(names) < 3:
                names = _distinct([*names, *(name for name in COMMON_PRODUCTS if not alike(name, sample.product))])
            self._near_products[place] = names
        wrong = _draw([title(name) for name in self._near_products[place]], order)
        return self._question(Task.OBJECT_CLASSIFICATION, title(sample.product), wrong, order)

    def _description(self, sample: Sample, order: random.Random) -> Question | None:
        return self._from_texts(Task.DEFECT_DESCRIPTION, sample, "looks", order)

    def _analysis(self, sample: Sample, order: random.Random) -> Question | None:
        return self._from_texts(Task.DEFECT_ANALYSIS, sample, "effects", order)

    def _from_texts(self, task: Task, sample: Sample, which: str, order: random.Random) -> Question | None:
        """Right: a sentence of the defect's own description. Wrong: one each of three other defects'."""
        assert sample.defect is not None
        if task not in self.tasks:
            return None
        own = self._sentences(sample.dataset, sample.product, sample.defect, which)
        if not own:
            return None
        right = order.choice(own)
        wrong: list[str] = []
        for dataset, product, defect in self._described(sample, order):
            texts = [
                t
                for t in self._sentences(dataset, product, defect, which)
                if all(differ(t, w) for w in [right, *wrong])
            ]
            if texts and len(wrong) < 3:
                wrong.append(order.choice(texts))
        return self._question(task, right, wrong, order) if len(wrong) == 3 else None

    def _described(self, sample: Sample, order: random.Random) -> list[tuple[str, str, str]]:
        """Other defects that are described: those of the product first, then of others, where they mean something else."""
        assert sample.defect is not None
        texts = self.bench.descriptions(sample.dataset, sample.product)
        own = [
            (sample.dataset, sample.product, name)
            for name in texts
            if name != GOOD and not is_vague(name) and title(name) != title(sample.defect)
        ]
        order.shuffle(own)
        if len(own) >= 3 and sample.split != "train":
            return own
        far = [
            (dataset, product, name)
            for dataset, product in self._corpus(sample).products
            for name in self.bench.descriptions(dataset, product)
            if product != sample.product and name != GOOD and not is_vague(name) and not alike(name, sample.defect)
        ]
        far = order.sample(far, min(len(far), 12))
        # What training shows comes first, and the rest where that is too little.
        return sorted(own + far, key=self._untaught) if sample.split == "train" else own + far

    def _untaught(self, place: tuple[str, str, str]) -> bool:
        """No training picture shows this defect of this product."""
        return title(place[2]) not in {title(name) for name in self.taught.defects.get(place[:2], [])}

    def _object_analysis(self, sample: Sample, order: random.Random) -> Question | None:
        """Right: a sentence about the normal product. Wrong: sentences on other products, else on its own defects, which
        a normal one does not have."""
        if Task.OBJECT_ANALYSIS not in self.tasks:
            return None
        own = self._sentences(sample.dataset, sample.product, GOOD, "looks")
        if not own:
            return None
        right = order.choice(own)
        far = [(d, p, GOOD) for d, p in self._corpus(sample).products if not alike(p, sample.product)]
        near = [
            (sample.dataset, sample.product, n)
            for n in self.bench.descriptions(sample.dataset, sample.product)
            if n != GOOD
        ]
        order.shuffle(near)
        wrong: list[str] = []
        for dataset, product, label in [*order.sample(far, min(len(far), 8)), *near]:
            texts = [
                t
                for t in self._sentences(dataset, product, label, "looks")
                if all(differ(t, w) for w in [right, *wrong])
            ]
            if texts and len(wrong) < 3:
                wrong.append(order.choice(texts))
        return self._question(Task.OBJECT_ANALYSIS, right, wrong, order) if len(wrong) == 3 else None

    def _sentences(self, dataset: str, product: str, label: str, which: str) -> tuple[str, ...]:
        text = self.bench.descriptions(dataset, product).get(label, "")
        return getattr(statements(text, product), which) if text else ()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _distinct(names: Iterable[str]) -> list[str]:
    """Names that read differently, in order."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(title(name).lower(), name)
    return list(found.values())


def _draw(names: Sequence[str], order: random.Random) -> list[str]:
    return order.sample(names, min(3, len(names)))
