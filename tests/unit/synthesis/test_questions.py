"""Questions for all seven tasks: one right option, wrong ones that are never true, letters in balance, all by seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core.mmad import Benchmark, Sample, Task, write_mmad
from core.synthesis import build_questions
from core.synthesis.names import alike
from core.synthesis.regions import REGIONS, WORDINGS
from tests.unit.synthesis.trees import SIDE, paint_mask

DEFECTS = ("crack", "scratch", "dent", "stain", "missing_part")
LOOKS = {
    "good": "The shaft carries an even thread from end to end. Grey steel shines evenly all over.",
    "crack": "A thin dark line splits the surface of the head. The line weakens the head, which fails under load.",
    "scratch": "Bright parallel grooves run along the shaft. Corrosion begins where the coating is gone, due to moisture.",
    "dent": "One flank of the thread is pressed flat. The nut jams on it, which leads to a stripped winding.",
    "stain": "A brown patch with soft borders covers the metal. Grease residue affects the glue that follows later.",
    "missing_part": "Nothing sits where the washer belongs. Vibration causes the joint to open without its washer.",
}
KNOWLEDGE = {"D": {"bolt": {label: f"<{label}>\n Description: {text}" for label, text in LOOKS.items()}}}


def corpus(root: Path, count: int = 8) -> Benchmark:
    """A product with five kinds of defects, masks in changing cells, and as many normal pictures."""
    samples = []
    for number in range(count):
        for place, defect in enumerate(DEFECTS):
            cell = (number + place) % 9
            left, top = 4 + 16 * (cell % 3), 4 + 16 * (cell // 3)
            paint_mask(root / "D/bolt/m" / defect / f"{number}.png", (left, top, left + 8, top + 8))
            image = f"D/bolt/test/{defect}/{number}.png"
            samples.append(Sample(image, "D", "bolt", defect, mask=f"m/{defect}/{number}.png"))
            samples.append(Sample(f"D/bolt/test/good/{defect}{number}.png", "D", "bolt"))
    return Benchmark(root, tuple(samples), KNOWLEDGE)


def test_every_task_is_asked(tmp_path: Path) -> None:
    asked = build_questions(corpus(tmp_path))
    tasks = Counter(q.task for s in asked for q in s.questions)
    assert tasks == {
        Task.DISCRIMINATION: 80, Task.DEFECT_CLASSIFICATION: 40, Task.DEFECT_LOCALIZATION: 40, Task.DEFECT_DESCRIPTION: 40,
        Task.DEFECT_ANALYSIS: 40, Task.OBJECT_CLASSIFICATION: 40, Task.OBJECT_ANALYSIS: 40,
    }  # fmt: skip


def test_every_right_answer_is_right(tmp_path: Path) -> None:
    texts = KNOWLEDGE["D"]["bolt"]
    for sample in build_questions(corpus(tmp_path)):
        for question in sample.questions:
            right = question.options[question.answer]
            wrong = [text for letter, text in question.options.items() if letter != question.answer]
            assert len({right, *wrong}) == len(question.options)
            match question.task:
                case Task.DISCRIMINATION:
                    assert right == ("No." if sample.is_normal else "Yes.")
                case Task.DEFECT_CLASSIFICATION:
                    assert right.lower() == sample.defect.replace("_", " ")
                case Task.DEFECT_DESCRIPTION | Task.DEFECT_ANALYSIS:
                    assert right in texts[sample.defect] and not any(text in texts[sample.defect] for text in wrong)
                case Task.OBJECT_CLASSIFICATION:
                    assert right == "Bolt"
                case Task.OBJECT_ANALYSIS:
                    assert right in texts["good"].replace("Bolt", "product") and sample.is_normal


def test_right_letters_are_uniform_and_options_shuffled(tmp_path: Path) -> None:
    letters: dict[Task, Counter] = {task: Counter() for task in Task}
    first_yes = Counter()
    for sample in build_questions(corpus(tmp_path)):
        for question in sample.questions:
            letters[question.task][question.answer] += 1
            if question.task is Task.DISCRIMINATION:
                first_yes[question.options["A"], sample.is_normal] += 1
    for task, found in letters.items():
        assert max(found.values()) - min(found.values()) <= 1, task
        assert len(found) == (2 if task is Task.DISCRIMINATION else 4)
    # neither "A" nor "Yes." first gives away whether the picture is normal
    assert max(first_yes.values()) - min(first_yes.values()) <= 1


def test_the_same_seed_gives_the_same_questions(tmp_path: Path) -> None:
    bench = corpus(tmp_path)
    assert build_questions(bench, seed=1) == build_questions(bench, seed=1) != build_questions(bench, seed=2)


class TestPlaces:
    def ask(self, root: Path, *boxes: tuple[int, int, int, int], seed: int = 0) -> Sample:
        import numpy as np
        from PIL import Image

        mask = np.zeros((SIDE, SIDE), np.uint8)
        for left, top, right, bottom in boxes:
            mask[top:bottom, left:right] = 255
        (root / "D/bolt").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(root / "D/bolt/m.png")
        sample = Sample("D/bolt/test/dent/0.png", "D", "bolt", "dent", mask="m.png")
        [asked] = build_questions([sample], root=root, seed=seed, tasks=[Task.DEFECT_LOCALIZATION])
        return asked

    def test_touched_regions_are_never_wrong_options(self, tmp_path: Path) -> None:
        seen = set()
        for seed in range(60):
            # 4 cells are touched, the centre most of all
            [question] = self.ask(tmp_path, (10, 10, 30, 30), seed=seed).questions
            cells = {
                letter: next(i for i, wordings in enumerate(WORDINGS) if text.lower() in wordings)
                for letter, text in question.options.items()
            }
            assert REGIONS[cells[question.answer]] == "center"
            wrong = {cell for letter, cell in cells.items() if letter != question.answer}
            assert len(wrong) == 3 and not wrong & {0, 1, 3, 4}
            seen.add(question.options[question.answer])
        assert len(seen) == len(WORDINGS[4])

    def test_a_defect_all_over_is_nowhere_in_particular(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path, (0, 0, SIDE, SIDE)).questions == ()
        assert self.ask(tmp_path, (0, 0, SIDE, 30)).questions  # six cells: three are left
        assert self.ask(tmp_path, (0, 0, SIDE, 30), (0, 40, 2, 42)).questions == ()


def test_an_empty_mask_makes_a_normal_sample(tmp_path: Path) -> None:
    paint_mask(tmp_path / "D/bolt/m.png", None)
    sample = Sample("D/bolt/test/dent/0.png", "D", "bolt", "dent", mask="m.png")
    [asked] = build_questions([sample], root=tmp_path)
    assert asked.is_normal and asked.mask is None
    [question] = [q for q in asked.questions if q.task is Task.DISCRIMINATION]
    assert question.options[question.answer] == "No."
    assert not [q for q in asked.questions if q.task is Task.DEFECT_CLASSIFICATION]


def test_broken_masks_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    bench = corpus(tmp_path)
    (tmp_path / "D/bolt/m/crack/0.png").write_bytes(b"")
    (tmp_path / "D/bolt/m/dent/1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "D/bolt/m/stain/2.png").unlink()
    skipped: list[tuple[str, str]] = []
    asked = build_questions(bench, skip=lambda *what: skipped.append(what))
    assert [what for what, _ in skipped] == [f"D/bolt/test/{name}.png" for name in ("crack/0", "dent/1", "stain/2")]
    assert "0 bytes" in skipped[0][1] and len(asked) == len(bench) - 3


def test_wrong_types_are_not_another_word_for_the_right_one(tmp_path: Path) -> None:
    names = ("scratch", "hole", "crack", "bent", "stain")
    others = ("abrasion", "pit", "broken_part", "deformation", "contamination", "scratch_neck")
    samples = [Sample(f"D/a/x/{n}/{i}.png", "D", "a", n) for n in names for i in range(30)]
    samples += [Sample(f"D/b/x/{n}/{i}.png", "D", "b", n) for n in others for i in range(30)]
    for sample in build_questions(samples, tasks=[Task.DEFECT_CLASSIFICATION]):
        [question] = sample.questions
        own = names if sample.product == "a" else others
        for letter, text in question.options.items():
            name = text.lower().replace(" ", "_")
            if letter != question.answer and name not in own:
                assert not alike(name, sample.defect), (name, sample.defect)


def test_no_option_of_a_training_question_is_always_wrong() -> None:
    """What only the test part shows is no wrong option in training, or tuning would teach that it is never right."""
    shown = [("a", kind, "train") for kind in ("scratch", "hole", "dent", "stain")]
    shown += [(product, None, "train") for product in ("b", "c", "d")]
    shown += [("a", "thread", "test"), ("a", "hole", "test"), ("e", None, "test")]
    tasks = (Task.DEFECT_CLASSIFICATION, Task.OBJECT_CLASSIFICATION)
    samples = [
        Sample(f"D/{product}/{split}/{kind}/{i}.png", "D", product, kind, split=split)
        for product, kind, split in shown
        for i in range(9)
    ]
    offered: dict[tuple[str, Task], set[str]] = {}
    for sample in build_questions(samples, tasks=tasks):
        for question in sample.questions:
            offered.setdefault((sample.split, question.task), set()).update(question.options.values())
    assert offered["train", Task.DEFECT_CLASSIFICATION] == {"Scratch", "Hole", "Dent", "Stain"}
    assert offered["test", Task.DEFECT_CLASSIFICATION] >= {"Thread", "Scratch"}
    assert offered["train", Task.OBJECT_CLASSIFICATION] == {"A", "B", "C", "D"}
    assert "E" in offered["test", Task.OBJECT_CLASSIFICATION]


@pytest.mark.parametrize("label", ["bad", "combined", "logical_anomalies", "NG"])
def test_a_label_that_names_no_kind_is_not_asked_for(label: str) -> None:
    samples = [
        Sample(f"D/a/x/{label}/0.png", "D", "a", label),
        *(Sample(f"D/a/x/{d}/0.png", "D", "a", d) for d in DEFECTS),
    ]
    first, *rest = build_questions(samples)
    assert [q.task for q in first.questions] == [Task.DISCRIMINATION]
    texts = [text for s in rest for q in s.questions for text in q.options.values()]
    assert label.replace("_", " ").lower() not in [text.lower() for text in texts]


def test_one_product_with_one_defect_still_gets_four_options() -> None:
    samples = [Sample("D/bolt/x/crack/0.png", "D", "bolt", "crack"), Sample("D/bolt/x/good/0.png", "D", "bolt")]
    for sample in build_questions(samples):
        for question in sample.questions:
            assert len(question.options) == (2 if question.task is Task.DISCRIMINATION else 4)


def test_products_of_one_name_in_two_sets_are_one_option() -> None:
    names = [("MVTec-AD", "zipper"), ("Real-IAD", "zipper"), ("Real-IAD", "toy"), ("VisA", "candle"), ("MPDD", "tubes")]
    samples = [Sample(f"{d}/{p}/x/good/{i}.png", d, p) for d, p in names for i in range(20)]
    for sample in build_questions(samples, tasks=[Task.OBJECT_CLASSIFICATION]):
        [question] = sample.questions
        assert sorted(question.options.values()) == ["Candle", "Toy", "Tubes", "Zipper"]


def test_without_descriptions_three_tasks_are_left_out(tmp_path: Path) -> None:
    bench = replace(corpus(tmp_path), knowledge={})
    tasks = {q.task for s in build_questions(bench) for q in s.questions}
    assert tasks == set(Task) - {Task.DEFECT_DESCRIPTION, Task.DEFECT_ANALYSIS, Task.OBJECT_ANALYSIS}


def test_what_is_asked_can_be_written_and_read(tmp_path: Path) -> None:
    from core.mmad import read_mmad

    bench = corpus(tmp_path)
    bench = bench.select(build_questions(bench))
    write_mmad(bench)
    again = read_mmad(tmp_path)
    assert [s.questions for s in again] == [s.questions for s in bench]
    assert [s.defect for s in again] == [s.defect for s in bench]


def test_found_samples_are_asked_about_before_anything_is_copied(tmp_path: Path) -> None:
    from core.synthesis import read_source
    from tests.unit.synthesis import trees

    trees.mvtec(tmp_path / "mvtec")
    trees.paint_mask(tmp_path / "mvtec/bottle/ground_truth/hole/000_mask.png", None)
    trees.paint_mask(tmp_path / "mvtec/bottle/ground_truth/hole/001_mask.png", size=(5, 5))
    skipped: list[tuple[str, str]] = []
    asked = build_questions(read_source("mvtec", tmp_path / "mvtec"), skip=lambda *what: skipped.append(what))
    places = [s for s in asked for q in s.questions if q.task is Task.DEFECT_LOCALIZATION]
    assert [s.image.split("/")[-2] for s in places] == ["crack"] * 3 + ["hole"] and all(s.mask for s in places)
    assert len(skipped) == 1 and "5 x 5" in skipped[0][1]
    [relabelled] = [s for s in asked if s.is_normal and "/hole/" in s.image]
    assert relabelled.mask is None and relabelled.mask_files == ()
    trees.deeppcb(tmp_path / "pcb", count=1)
    for sample in build_questions(read_source("deeppcb", tmp_path / "pcb")):
        asked_where = any(q.task is Task.DEFECT_LOCALIZATION for q in sample.questions)
        assert asked_where == bool(sample.shapes) == (not sample.is_normal)
