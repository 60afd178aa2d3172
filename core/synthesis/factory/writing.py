"""`write_demo`: the embedded demo benchmark in MMAD's layout, rendered on the spot.

    <root>/mmad.json, domain_knowledge.json
    <root>/Factory/<product>/{train,val,test}/{good,<defect>}/<lot>_<n>.jpg
    <root>/Factory/<product>/reference/good/<lot>_<n>.jpg            normal pieces, the templates
    <root>/Factory/<product>/ground_truth/<split>/<defect>/<lot>_<n>_mask.png
    <root>/.factory/<product>/<lot>.json                             facts of a finished lot: what makes it resumable

Every test sample says in `extra["holdout"]` what about it is new: "instances" (seen product and defect, new lot),
"defects" (this defect was never trained on this product) or "products" (the product was never trained on).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import read_json, write_json
from core.mmad import GOOD, SPLITS, Benchmark, Knowledge, Sample, Task, read_mmad, write_mmad
from core.synthesis.factory.asking import Asker
from core.synthesis.factory.plans import DATASET, LOTS, PER_LOT, LotPlan, Shot, as_json, plan_lots
from core.synthesis.factory.products import PRODUCTS
from core.synthesis.factory.workers import make_lots, record_path

VERSION = 1  # of the pictures: raise it when products or defects change their looks
RECIPE = ".factory/recipe.json"
_SHARED_TASKS = (Task.DISCRIMINATION, Task.DEFECT_CLASSIFICATION, Task.DEFECT_LOCALIZATION, Task.OBJECT_CLASSIFICATION)


def write_demo(
    root: str | Path,
    *,
    seed: int = 0,
    products: Iterable[str] | None = None,
    splits: Iterable[str] = SPLITS,
    lots: dict[str, int] | None = None,
    per_lot: dict[str, int] | None = None,
    references: int = 3,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Benchmark:
    """Write the demo benchmark into `root` and return it; an interrupted one is continued, a finished one is read.

    Args:
        seed: other seeds give other lots, pieces and shots; which products and combinations are unseen stays.
        products: names in `PRODUCTS` (all).
        splits: "train", "val", "test".
        lots: lots per product, by split; per_lot: samples of each, by split; references: normal templates of each lot.
        workers: processes (by default as many as there are cores, at most 4).
        progress: called with (pictures done, pictures in all).

    Raises:
        UserError: unknown product or split, the folder holds something else, no permission, disk full.
    """
    root = Path(root)
    names = tuple(products) if products is not None else tuple(PRODUCTS)
    unknown = [name for name in names if name not in PRODUCTS] + [name for name in splits if name not in SPLITS]
    if unknown:
        raise UserError(
            f"The factory knows no {unknown[0]!r}: products are {', '.join(PRODUCTS)}; splits {', '.join(SPLITS)}."
        )
    plans = plan_lots(
        seed=seed, products=names, splits=tuple(splits), lots={**LOTS, **(lots or {})}, per_lot={**PER_LOT, **(per_lot or {})},
        references=references,
    )  # fmt: skip
    recipe = {"version": VERSION, "seed": seed, "lots": [as_json(plan) for plan in plans]}
    total = sum(map(len, plans))
    if (root / "mmad.json").is_file():
        if not (root / RECIPE).is_file() or read_json(root / RECIPE) != _plain(recipe):
            raise UserError(f"{root} holds another benchmark: choose an empty folder.")
        if progress:
            progress(total, total)
        return read_mmad(root)
    fresh = not (root / RECIPE).is_file() or read_json(root / RECIPE) != _plain(recipe)
    write_json(root / RECIPE, recipe, indent=None)
    todo = [plan for plan in plans if fresh or not record_path(root, plan).is_file()]
    count = total - sum(map(len, todo))

    def done(plan: LotPlan) -> None:
        nonlocal count
        count += len(plan)
        if progress:
            progress(count, total)

    if progress:
        progress(count, total)
    make_lots(root, todo, workers if workers is not None else min(4, os.cpu_count() or 1), done)
    bench = _bench(root, plans, seed)
    write_mmad(bench)
    return bench


def _plain(recipe: Any) -> Any:
    import json

    return json.loads(json.dumps(recipe))  # tuples as lists, as they are read back


def _bench(root: Path, plans: list[LotPlan], seed: int) -> Benchmark:
    from core.synthesis.questions import build_questions

    samples: list[Sample] = []
    metas: dict[str, dict[str, Any]] = {}
    for plan in plans:
        metas |= read_json(record_path(root, plan))["pictures"]
        elsewhere = [s.image for p in plans if p.product == plan.product and p.name != plan.name for s in p.references]
        start = plan.seed % max(1, len(elsewhere))
        random_templates = (elsewhere[start:] + elsewhere[:start])[: len(plan.references)]
        for shot in plan.samples:
            samples.append(_sample(shot, plan, tuple(random_templates), metas[shot.image]))
    knowledge = knowledge_of(dict.fromkeys(plan.product for plan in plans))
    asked = build_questions(samples, root=root, seed=seed, knowledge=knowledge, tasks=_SHARED_TASKS)
    asker = Asker(seed)
    samples = [
        replace(s, questions=(*s.questions, *asker.questions(s.image, metas[s.image], training=s.split == "train")))
        for s in asked
    ]
    return Benchmark(root, tuple(samples), knowledge)


def _sample(shot: Shot, plan: LotPlan, random_templates: tuple[str, ...], meta: dict[str, Any]) -> Sample:
    facts = {key: meta[key] for key in ("colours", "counts", "landmarks", "orientation", "angle")}
    extra = {
        "difficulty": shot.difficulty,
        "contrast": meta["contrast"],
        "seed": shot.seed,
        "lot": plan.name,
        "facts": facts,
    }
    if shot.holdout:
        extra["holdout"] = shot.holdout
    return Sample(
        image=shot.image, dataset=DATASET, product=shot.product, defect=shot.defect, mask=shot.mask, split=plan.split,
        source="factory", similar_templates=tuple(r.image for r in plan.references), random_templates=random_templates,
        extra=extra,
    )  # fmt: skip


def knowledge_of(products: Iterable[str]) -> Knowledge:
    """What is known about products, in the form of MMAD's `domain_knowledge.json`."""
    texts = {}
    for name in products:
        product = PRODUCTS[name]
        texts[name] = {GOOD: f"Normal {product.words}\n Description: {product.good}"} | {
            kind: f"{kind.capitalize()}\n Description: {product.looks[kind]} {product.effects[kind]}"
            for kind in product.defects
        }
    return {DATASET: texts}
