"""Knowledge in and out: a `domain_knowledge.json` becomes revisions, and what people left becomes such a file again."""

from __future__ import annotations

from dataclasses import dataclass

from core.mmad import Benchmark, Knowledge
from core.mmad.vocabulary import KNOWLEDGE_NAMES
from core.workspace.texts import Key
from core.workspace.workspace import Workspace


@dataclass(frozen=True)
class Imported:
    """What an import did: texts saved as drafts, texts that were the same already, and places the benchmark lacks."""

    saved: tuple[Key, ...]
    same: int
    unknown: tuple[Key, ...]


def import_knowledge(
    workspace: Workspace, bench: Benchmark, benchmark_id: int, knowledge: Knowledge, *, author: str
) -> Imported:
    """Save every text of `knowledge` that differs from the current one as a draft; nothing is overwritten.

    A text about a product that `bench` does not have is left out and named in the result.
    """
    current = workspace.resolve(bench, benchmark_id).bench
    latest = workspace.texts.latest(benchmark_id)
    incoming = Benchmark(bench.root, (), knowledge)
    saved, same = [], 0
    products = dict.fromkeys((sample.dataset, sample.product) for sample in bench.samples)
    for dataset, product in products:
        for name, text in incoming.descriptions(dataset, product).items():
            if current.descriptions(dataset, product).get(name, "").strip() == text.strip():
                same += 1
                continue
            key = (dataset, product, name)
            subject = workspace.texts.subject(benchmark_id, *key)
            assert subject is not None  # made on first use
            based_on = latest[key].number if key in latest else 0
            workspace.texts.save(subject, text, author=author, based_on=based_on)
            saved.append(key)
    names = {(name, product) for dataset, product in products for name in (dataset, KNOWLEDGE_NAMES.get(dataset))}
    unknown = [
        (dataset, product, name)
        for dataset, by_product in knowledge.items()
        for product, texts in by_product.items()
        for name in texts
        if (dataset, product) not in names
    ]
    return Imported(tuple(saved), same, tuple(unknown))


def export_knowledge(workspace: Workspace, bench: Benchmark, benchmark_id: int) -> Knowledge:
    """The texts as people left them, in the shape of `domain_knowledge.json`."""
    return workspace.resolve(bench, benchmark_id).bench.knowledge
