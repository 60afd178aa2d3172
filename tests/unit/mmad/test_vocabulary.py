"""A benchmark answers the questions people and trainers have about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.mmad import Benchmark, Question, Sample, Task
from tests.unit.mmad import benches
from tests.unit.synthesis.trees import paint_mask


def test_mmads_two_further_names_are_object_analysis() -> None:
    assert Task.of("Object Structure") is Task.of("Object Details") is Task.OBJECT_ANALYSIS
    assert len(Task) == 7
    with pytest.raises(ValueError):
        Task.of("Object structure")


def test_normal_is_the_folder_good_and_not_the_word(tmp_path: Path) -> None:
    entry = {"conversation": []}
    bench = benches.write(tmp_path, {"GoodsAD/goods/test/opened/1.png": entry, "GoodsAD/goods/test/good/2.png": entry})
    assert [s.defect for s in bench] == ["opened", None]


def test_questions_are_a_table_with_one_row_each(tmp_path: Path) -> None:
    table = benches.pair(tmp_path).questions
    assert len(table) == 5
    row = table[(table.image == "D/bolt/test/hole/1.png") & (table["index"] == 1)].iloc[0]
    assert (row.task, row.defect, row.split, row.correct_answer) == ("Defect Classification", "hole", "test", "C")
    assert set(table.defect) == {"good", "hole"}


@pytest.mark.parametrize("place", ["D/bolt/masks/m.png", "D/bolt/test/hole/masks/m.png", "masks/m.png"])
def test_a_mask_is_found_wherever_mmad_states_it(tmp_path: Path, place: str) -> None:
    paint_mask(tmp_path / place)
    sample = Sample("D/bolt/test/hole/1.png", "D", "bolt", "hole", mask="masks/m.png")
    assert Benchmark(tmp_path, (sample,)).mask_path(sample) == tmp_path / place


@pytest.mark.parametrize("path", ["../x.png", "a/../../x.png", "/etc/passwd"])
def test_no_path_leaves_the_benchmark(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="leaves"):
        Benchmark(tmp_path, ()).path(path)


def test_a_reference_is_never_the_picture_itself(tmp_path: Path) -> None:
    image = "D/bolt/test/good/1.png"
    sample = Sample(image, "D", "bolt", similar_templates=(image, "D/bolt/s.png"), random_templates=("D/bolt/r.png",))
    bench = Benchmark(tmp_path, (sample,))
    assert bench.reference(sample) == "D/bolt/s.png"
    assert bench.reference(sample, similar=False) == "D/bolt/r.png"


def test_both_variants_of_mvtec_share_their_knowledge(tmp_path: Path) -> None:
    bench = Benchmark(tmp_path, (), {"MVTec": {"pill": {"good": "white"}}})
    assert bench.descriptions("DS-MVTec", "pill") == bench.descriptions("MVTec-AD", "pill") == {"good": "white"}
    assert bench.descriptions("VisA", "pill") == {}


def test_split_and_select_keep_the_rest(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    assert [s.split for s in bench.split("train")] == ["train", "train"]
    assert len(bench.split("train", "test")) == len(bench) == 4
    assert bench.split("val").questions.empty


def test_a_question_knows_its_task() -> None:
    assert Question("?", {"A": "x"}, "A", "Object Details").task is Task.OBJECT_ANALYSIS
