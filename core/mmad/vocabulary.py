"""The words everything else is written in: Task, Question, Sample, Benchmark.

They follow MMAD (arXiv 2410.09453): a benchmark is a folder with `mmad.json` and `domain_knowledge.json`; a sample is one
picture with its questions; a question is multiple choice and belongs to one of seven tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

GOOD = "good"
SPLITS = ("train", "val", "test")
# dataset -> product -> "good" or a defect -> text, the shape of MMAD's domain_knowledge.json
Knowledge = dict[str, dict[str, dict[str, str]]]
# In the knowledge file these two datasets of MMAD share one name.
KNOWLEDGE_NAMES = {"DS-MVTec": "MVTec", "MVTec-AD": "MVTec"}


class Task(StrEnum):
    """MMAD's seven tasks; the value is the name used in `mmad.json` and in tables."""

    DISCRIMINATION = "Anomaly Detection"
    DEFECT_CLASSIFICATION = "Defect Classification"
    DEFECT_LOCALIZATION = "Defect Localization"
    DEFECT_DESCRIPTION = "Defect Description"
    DEFECT_ANALYSIS = "Defect Analysis"
    OBJECT_CLASSIFICATION = "Object Classification"
    OBJECT_ANALYSIS = "Object Analysis"

    @classmethod
    def of(cls, question_type: str) -> Task:
        """The task of a question's `type`; MMAD's "Object Structure" and "Object Details" are object analysis.

        Raises:
            ValueError: no task has that name.
        """
        if question_type in {"Object Structure", "Object Details"}:
            return cls.OBJECT_ANALYSIS
        return cls(question_type)


# The tasks a comparison with a normal reference can decide (EMIT, "Heatmap-guided contrastive embedding").
COMPARISON_TASKS = frozenset({Task.DISCRIMINATION, Task.DEFECT_LOCALIZATION})
# The tasks that only ask about the product itself: they take no reference.
OBJECT_TASKS = frozenset({Task.OBJECT_CLASSIFICATION, Task.OBJECT_ANALYSIS})


@dataclass(frozen=True, slots=True)
class Question:
    """One multiple-choice question.

    Attributes:
        text: what is asked.
        options: letter -> option text, in order.
        answer: the right letter.
        type: MMAD's name of the task, kept as written (`task` resolves it).
        extra: further keys of the JSON entry, kept as they are.
    """

    text: str
    options: Mapping[str, str]
    answer: str
    type: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return Task.of(self.type)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture (or, for a text sample, one description in its place) with its questions.

    Attributes:
        image: path relative to the benchmark's root, "/" as separator; it is the sample's key.
        dataset, product: the first two parts of the path in MMAD.
        defect: the defect's name, None for a normal picture.
        mask: path of the mask as the benchmark states it (`Benchmark.mask_path` resolves it), None without one.
        split: "train", "val" or "test".
        source: which reader made it ("mmad", "deeppcb", "folder", ...).
        questions: its questions.
        similar_templates, random_templates: normal pictures of the same product, relative to the root, best first.
        text: the description that stands in for the picture of a text sample (EMIT, "object text as query image").
        extra: further keys of the JSON entry, kept as they are.
    """

    image: str
    dataset: str
    product: str
    defect: str | None = None
    mask: str | None = None
    split: str = "test"
    source: str = "mmad"
    questions: tuple[Question, ...] = ()
    similar_templates: tuple[str, ...] = ()
    random_templates: tuple[str, ...] = ()
    text: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_normal(self) -> bool:
        return self.defect is None

    @property
    def label(self) -> str:
        """The defect's name, or "good"."""
        return self.defect or GOOD


@dataclass(frozen=True)
class Benchmark:
    """Samples with their questions, the folder the pictures lie in, and the domain knowledge.

    Attributes:
        root: folder that image paths are relative to.
        samples: in the order of the file.
        knowledge: dataset -> product -> "good" or defect -> text.
    """

    root: Path
    samples: tuple[Sample, ...]
    knowledge: Knowledge = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @cached_property
    def by_image(self) -> dict[str, Sample]:
        """Samples by their image path."""
        return {sample.image: sample for sample in self.samples}

    @cached_property
    def questions(self) -> pd.DataFrame:
        """One row a question: image, index (within the image), dataset, product, defect ("good" for normal), split,
        question_type, task, question, options, correct_answer."""
        import pandas as pd

        columns: dict[str, list[Any]] = {
            name: []
            for name in ("image", "index", "dataset", "product", "defect", "split", "question_type", "task", "question",
                         "options", "correct_answer")
        }  # fmt: skip
        for sample in self.samples:
            for index, question in enumerate(sample.questions):
                row = (sample.image, index, sample.dataset, sample.product, sample.label, sample.split, question.type,
                       question.task.value, question.text, question.options, question.answer)  # fmt: skip
                for values, value in zip(columns.values(), row, strict=True):
                    values.append(value)
        table = pd.DataFrame(columns)
        # Categories make filters over 40,000 rows a matter of a millisecond.
        for name in ("dataset", "product", "defect", "split", "question_type", "task"):
            table[name] = table[name].astype("category")
        return table

    def path(self, relative: str) -> Path:
        """Where a picture of this benchmark lies on disk; refuses to leave the root.

        Raises:
            ValueError: `relative` is absolute or climbs out of the root.
        """
        parts = Path(relative).parts
        if Path(relative).is_absolute() or ".." in parts:
            raise ValueError(f"{relative!r} leaves the benchmark folder")
        return self.root / relative

    def mask_path(self, sample: Sample) -> Path | None:
        """Where the sample's mask lies, or None.

        MMAD writes masks relative to dataset/product/ or to the picture's own folder, depending on the dataset; own
        benchmarks may write them relative to the root. The first that exists is taken, else the first is returned.
        """
        if not sample.mask:
            return None
        bases = (f"{sample.dataset}/{sample.product}", Path(sample.image).parent.as_posix(), "")
        places = [self.path(f"{base}/{sample.mask}" if base else sample.mask) for base in bases]
        return next((place for place in places if place.is_file()), places[0])

    def reference(self, sample: Sample, *, similar: bool = True) -> str | None:
        """The one-shot reference: first similar (or random) normal picture that is not the sample's own path."""
        order = (sample.similar_templates, sample.random_templates)
        for templates in order if similar else reversed(order):
            for template in templates:
                if template != sample.image:
                    return template
        return None

    def descriptions(self, dataset: str, product: str) -> dict[str, str]:
        """ "good" or defect -> text for a product; empty when nothing is known."""
        for name in (dataset, KNOWLEDGE_NAMES.get(dataset, dataset)):
            found = self.knowledge.get(name, {}).get(product)
            if found:
                return found
        return {}

    def select(self, samples: Iterable[Sample]) -> Benchmark:
        """The same benchmark with other samples."""
        return replace(self, samples=tuple(samples))

    def split(self, *names: str) -> Benchmark:
        """Only the samples of the named splits."""
        return self.select(sample for sample in self.samples if sample.split in names)
