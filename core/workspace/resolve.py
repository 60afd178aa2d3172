"""A benchmark as people left it: their texts over its own, flagged samples out, corrected labels and masks in.

This is what a snapshot is taken of, together with the ids of the description revisions it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.mmad import OBJECT_TASKS, Benchmark, Knowledge, Sample
from core.mmad.vocabulary import GOOD, KNOWLEDGE_NAMES
from core.workspace.tables import Correction, Revision, Status
from core.workspace.texts import Key, Origin


@dataclass(frozen=True)
class Resolved:
    """A benchmark with people's work applied.

    Attributes:
        bench: the benchmark to train and score on.
        revisions: ids of the revisions its texts were taken from, ascending.
        flagged: images that were left out.
        corrected: images whose label or mask was changed.
        origin: the pictures behind its texts.
    """

    bench: Benchmark
    revisions: tuple[int, ...]
    flagged: tuple[str, ...]
    corrected: tuple[str, ...]
    origin: Origin = Origin()


def overlay(knowledge: Knowledge, latest: dict[Key, Revision]) -> Knowledge:
    """The knowledge with every subject's latest revision in place of its text; a rejected text is left out."""
    result = {
        dataset: {product: dict(texts) for product, texts in products.items()}
        for dataset, products in knowledge.items()
    }
    for (dataset, product, name), revision in latest.items():
        products = result.get(dataset)
        if products is None or product not in products:
            # MMAD's knowledge file has its own names for some datasets: edit the texts where they are.
            other = KNOWLEDGE_NAMES.get(dataset, dataset)
            if product in result.get(other, {}):
                # A dataset of its own name must not change its namesake's texts: it gets a copy.
                result.setdefault(dataset, {})[product] = dict(result[other][product])
        texts = result.setdefault(dataset, {}).setdefault(product, {})
        if revision.status == Status.REJECTED or not revision.text.strip():
            texts.pop(name, None)
        else:
            texts[name] = revision.text
    return result


def corrected(sample: Sample, correction: Correction) -> Sample:
    """The sample with the label and mask that somebody gave it.

    Questions about the old label would now be wrong: a relabelled sample keeps those about the product itself.
    """
    defect = None if correction.label == GOOD else correction.label
    questions = sample.questions
    if defect != sample.defect:
        questions = tuple(question for question in questions if question.task in OBJECT_TASKS)
    return replace(sample, defect=defect, mask=correction.mask or sample.mask, questions=questions)
