"""The whole way from a product folder to a benchmark folder: read, split, place, find templates, ask, write.

The benchmark grows in a folder beside its place and is renamed at the end: it is whole or not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_json
from core.mmad import Benchmark, Knowledge, Task, read_mmad, write_mmad
from core.mmad.vocabulary import KNOWLEDGE_NAMES
from core.synthesis.atomic import new_folder
from core.synthesis.features import Encode, describe_pixels
from core.synthesis.masks import MaskReader
from core.synthesis.placing import place_samples
from core.synthesis.questions import build_questions
from core.synthesis.sources import SOURCES, read_source
from core.synthesis.splits import assign_splits, at_most
from core.synthesis.store import Store
from core.synthesis.templates import with_templates

RECORD = "synthesis.json"
Progress = Callable[[str, int, int], None]  # stage, done, total (0: unknown)


@dataclass
class Built:
    """What came of it.

    Attributes:
        bench: the benchmark, in its final place.
        skipped: (what, why) of everything that was left out.
    """

    bench: Benchmark
    skipped: list[tuple[str, str]] = field(default_factory=list)


def build(
    source: str,
    root: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    most: int | None = 100,
    split: str = "own",
    k: int = 10,
    tasks: Sequence[Task] = tuple(Task),
    knowledge: Knowledge | None = None,
    encode: Encode = describe_pixels,
    link: str = "link",
    store: Store | None = None,
    overwrite: bool = False,
    progress: Progress = lambda stage, done, total: None,
    **options: Any,
) -> Built:
    """Make a benchmark in MMAD's layout at `out` from the product folder `root`.

    Args:
        source: the layout of `root`, a key of `core.synthesis.SOURCES`.
        most: samples per split, product and defect; None for all.
        split: see `core.synthesis.splits.assign_splits`.
        k: similar and random templates per sample.
        knowledge: descriptions; where it has none for a product, those the source ships are taken.
        options: of the source.

    Raises:
        UserError: the folder is not laid out that way, `out` is taken, or nothing is left to ask.
    """
    skipped: list[tuple[str, str]] = []

    def skip(what: str, why: str) -> None:
        skipped.append((what, why))

    store = store or Store()
    if source == "deeppcb":
        # Crops are chosen while they are cut; taking fewer later would unbalance their places.
        options = {"seed": seed, "most": most if split == "own" else None, **options}
    elif source == "folder":
        options = {"seed": seed, **options}
    found = []
    for sample in read_source(source, root, skip=skip, **options):
        found.append(sample)
        progress("read", len(found), 0)
    chosen = at_most(assign_splits(found, split, seed), most, seed=seed)
    if not chosen:
        raise UserError(f"{root} holds no pictures in the layout of {source!r}: check the folder.")
    with new_folder(Path(out), overwrite) as place:
        samples = place_samples(
            chosen, place, link=link, skip=skip, progress=lambda done: progress("pictures", done, len(chosen))
        )
        texts = _merged(_shipped(source), knowledge or {})
        bench = Benchmark(place, tuple(samples), texts)
        bench = Benchmark(place, bench.samples, _used(bench))
        asked = build_questions(
            bench, seed=seed, tasks=tasks, masks=MaskReader(store), skip=skip,
            progress=lambda done, total: progress("masks", done, total),
        )  # fmt: skip
        bench = bench.select(asked)
        bench = bench.select(
            with_templates(
                bench, encode, k=k, seed=seed, store=store, skip=skip,
                progress=lambda done, total: progress("templates", done, total),
            )
        )  # fmt: skip
        if not any(sample.questions for sample in bench):
            raise UserError(f"No usable picture is left of {root}: {_without(place, _first_reason(skipped))}")
        progress("write", 1, 1)
        # Paths of this machine do not belong into a folder that is passed on.
        listed = [(_without(root, what), _without(root, why)) for what, why in skipped]
        listed = [(_without(place, what), _without(place, why)) for what, why in listed]
        record = {
            "source": source, "seed": seed, "most": most, "split": split, "templates": k,
            "encode": getattr(encode, "cache_name", "given"), "options": {n: v for n, v in options.items()},
            "samples": len(bench), "questions": len(bench.questions), "skipped": listed,
        }  # fmt: skip
        write_json(place / RECORD, record)
        write_mmad(bench)
    return Built(read_mmad(out), listed)


def _shipped(source: str) -> Knowledge:
    module = import_module(f"core.synthesis.sources.{SOURCES[source]}")
    return module.knowledge() if hasattr(module, "knowledge") else {}


def _merged(base: Knowledge, over: Knowledge) -> Knowledge:
    """`over` wins product by product."""
    return {name: {**base.get(name, {}), **over.get(name, {})} for name in (*base, *(n for n in over if n not in base))}


def _used(bench: Benchmark) -> Knowledge:
    """Only the descriptions of products that are there."""
    there = {(name, s.product) for s in bench for name in (s.dataset, KNOWLEDGE_NAMES.get(s.dataset, s.dataset))}
    used = {
        name: {product: texts for product, texts in products.items() if (name, product) in there}
        for name, products in bench.knowledge.items()
    }
    return {name: products for name, products in used.items() if products}


def _without(root: str | Path, text: str) -> str:
    return text.replace(f"{root}{os.sep}", "")


def _first_reason(skipped: list[tuple[str, str]]) -> str:
    return f"left out were {len(skipped)}, the first because {skipped[0][1]}" if skipped else "there is none."
