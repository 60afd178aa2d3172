"""The embedded demo benchmark: complete, honest about what is unseen, and safe to interrupt."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.mmad import Benchmark, Task, audit, read_mmad
from core.pictures import open_mask
from core.synthesis.factory import PRODUCTS, UNSEEN_DEFECTS, UNSEEN_PRODUCTS, write_demo
from core.synthesis.regions import WORDINGS, summarise

SMALL = {"lots": {"train": 1, "val": 1, "test": 1}, "per_lot": {"train": 4, "val": 2, "test": 6}, "references": 2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_demo(tmp_path_factory.mktemp("demo"), seed=4, **SMALL)  # type: ignore[arg-type]


def test_all_seven_tasks_are_asked_and_no_letter_gives_the_answer_away(bench: Benchmark) -> None:
    table = bench.questions
    assert set(table["task"]) == {task.value for task in Task}
    for task, rows in table.groupby("task", observed=True):
        letters = Counter(rows["correct_answer"])
        assert max(letters.values()) - min(letters.values()) <= 2, (task, letters)
    assert all(len(set(options.values())) == len(options) for options in table["options"])


def test_pictures_masks_and_references_are_there_and_the_audit_is_content(bench: Benchmark) -> None:
    assert audit(bench).empty
    for sample in bench:
        assert bench.path(sample.image).is_file()
        assert all(bench.path(path).is_file() for path in sample.similar_templates + sample.random_templates)
        assert (sample.defect is None) == (bench.mask_path(sample) is None)


def test_the_right_place_is_the_masks_largest_cell_and_no_touched_cell_is_offered_as_wrong(bench: Benchmark) -> None:
    cells = {wording.lower(): cell for cell, wordings in enumerate(WORDINGS) for wording in wordings}
    asked = [(s, q) for s in bench for q in s.questions if q.task is Task.DEFECT_LOCALIZATION]
    assert asked
    for sample, question in asked:
        mask = bench.mask_path(sample)
        assert mask is not None
        summary = summarise(open_mask(mask))
        for letter, words in question.options.items():
            cell = cells[words.lower()]
            assert (cell == summary.ranked[0]) if letter == question.answer else not summary.areas[cell]


def test_object_questions_ask_for_what_is_in_sight_and_offer_nothing_that_is_true_too(bench: Benchmark) -> None:
    for sample in bench:
        for question in sample.questions:
            right = question.options[question.answer].lower()
            wrong = [text.lower() for letter, text in question.options.items() if letter != question.answer]
            own = {part.name for part in PRODUCTS[sample.product].parts}
            if question.text.startswith("Which of these parts"):
                assert right in own and not own & set(wrong)
            elif question.text.startswith("How many"):
                assert sample.is_normal and int(right) in sample.extra["facts"]["counts"].values()
            elif question.text.startswith("What colour"):
                assert right in sample.extra["facts"]["colours"].values()


def test_training_shows_nothing_that_the_test_calls_unseen(bench: Benchmark) -> None:
    trained = {(s.product, s.defect) for s in bench if s.split != "test"}
    assert not {product for product, _ in trained} & set(UNSEEN_PRODUCTS)
    for sample in bench.split("test"):
        kind = sample.extra["holdout"]
        if kind == "products":
            assert sample.product in UNSEEN_PRODUCTS
        elif kind == "defects":
            assert sample.defect in UNSEEN_DEFECTS[sample.product] and (sample.product, sample.defect) not in trained
        else:
            assert kind == "instances" and sample.product not in UNSEEN_PRODUCTS
    lots = {(s.product, s.extra["lot"]): s.split for s in bench}
    assert all(lots[s.product, s.extra["lot"]] == s.split for s in bench), "a lot lies in one split"


def test_training_never_offers_what_only_the_test_shows(bench: Benchmark) -> None:
    """Neither as the name of a defect or product, nor as a statement: it would be learned to be always wrong."""
    train = [(s, q) for s in bench.split("train") for q in s.questions]
    strange = {product.words.lower() for name, product in PRODUCTS.items() if name in UNSEEN_PRODUCTS}
    strange |= {name.replace("_", " ") for name in UNSEEN_PRODUCTS}
    strange |= {f"to {PRODUCTS[name].purpose}." for name in UNSEEN_PRODUCTS}
    for sample, question in train:
        product = PRODUCTS[sample.product]
        unseen = set(UNSEEN_DEFECTS[sample.product])
        told = {product.looks[kind] for kind in unseen} | {product.effects[kind] for kind in unseen}
        said = set(question.options.values())
        assert not {text.lower() for text in said} & strange, question
        if question.task is Task.DEFECT_CLASSIFICATION:
            assert not {text.lower() for text in said} & unseen or len(trained_labels(bench, sample.product)) < 4, (
                question
            )
        if question.task in (Task.DEFECT_DESCRIPTION, Task.DEFECT_ANALYSIS):
            assert not said & told - {product.looks[sample.defect or ""], product.effects[sample.defect or ""]}, (
                question
            )


def trained_labels(bench: Benchmark, product: str) -> set[str]:
    return {s.defect for s in bench.split("train") if s.product == product and s.defect}


def test_knowledge_names_every_product_and_defect(bench: Benchmark) -> None:
    for sample in bench:
        texts = bench.descriptions(sample.dataset, sample.product)
        assert texts["good"] and set(texts) - {"good"} == set(PRODUCTS[sample.product].defects)


def test_an_interrupted_demo_is_continued_and_ends_the_same(bench: Benchmark, tmp_path: Path) -> None:
    class Interrupt(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Interrupt

    with pytest.raises(Interrupt):
        write_demo(tmp_path, seed=4, workers=1, progress=stop, **SMALL)  # type: ignore[arg-type]
    assert not (tmp_path / "mmad.json").exists(), "a half-made benchmark must not look finished"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    again = write_demo(tmp_path, seed=4, **SMALL)  # type: ignore[arg-type]
    kept = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(kept) > len(before) // 2, "finished lots are not rendered again"
    assert (tmp_path / "mmad.json").read_text() == (bench.root / "mmad.json").read_text()
    for sample in list(again)[::7]:
        assert np.array_equal(again.path(sample.image).read_bytes(), bench.path(sample.image).read_bytes())


def test_a_finished_demo_is_read_and_another_is_not_overwritten(bench: Benchmark) -> None:
    seen: list[tuple[int, int]] = []
    again = write_demo(bench.root, seed=4, progress=lambda d, n: seen.append((d, n)), **SMALL)  # type: ignore[arg-type]
    assert len(again) == len(bench) == len(read_mmad(bench.root)) and len(seen) == 1
    with pytest.raises(UserError, match="another benchmark"):
        write_demo(bench.root, seed=5, **SMALL)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no 'teapot'"):
        write_demo(bench.root, products=["teapot"])


def test_the_large_demo_has_more_to_learn_from_and_the_same_test() -> None:
    from core.synthesis.factory.plans import LARGE, LOTS, PER_LOT, plan_lots

    def plan(split: str, lots: dict[str, int], per_lot: dict[str, int]) -> list[object]:
        return list(
            plan_lots(seed=0, products=tuple(PRODUCTS), splits=(split,), lots=lots, per_lot=per_lot, references=3)
        )

    more = {**LOTS, **LARGE["lots"]}, {**PER_LOT, **LARGE["per_lot"]}
    assert sum(map(len, plan("train", *more))) > 8 * sum(map(len, plan("train", LOTS, PER_LOT)))
    for split in ("val", "test"):
        assert plan(split, *more) == plan(split, LOTS, PER_LOT)
