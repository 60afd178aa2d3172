"""No test picture is ever in the training part: exact duplicates are refused by name, look-alikes are listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from core.errors import UserError
from core.mmad import Snapshot, near_duplicates, refuse_leaks
from tests.unit.mmad import benches
from tests.unit.synthesis.trees import paint

TRAIN, TEST = "D/bolt/train/good/0.png", "D/bolt/test/hole/1.png"


def test_a_clean_benchmark_passes(tmp_path: Path) -> None:
    refuse_leaks(benches.pair(tmp_path))


@pytest.mark.parametrize("through", ["benchmark", "snapshot"])
def test_a_copy_under_another_name_is_refused_by_name(tmp_path: Path, through: str) -> None:
    bench = benches.pair(tmp_path)
    shutil.copy(tmp_path / TRAIN, tmp_path / TEST)
    with pytest.raises(UserError, match=f"1 of 2 test pictures.*{TEST} = {TRAIN}"):
        Snapshot.of(bench).refuse_leaks() if through == "snapshot" else refuse_leaks(bench)


def test_a_test_picture_as_reference_in_training_is_a_leak(tmp_path: Path) -> None:
    entries = {
        "D/bolt/a/hole/0.png": {"conversation": [], "split": "train", "similar_templates": ["D/bolt/b/good/1.png"]},
        "D/bolt/b/good/1.png": {"conversation": [], "split": "test"},
    }
    with pytest.raises(UserError, match="b/good/1.png"):
        refuse_leaks(benches.write(tmp_path, entries))


def test_a_training_picture_as_reference_in_the_test_is_none(tmp_path: Path) -> None:
    entries = {
        "D/bolt/a/good/0.png": {"conversation": [], "split": "train"},
        "D/bolt/b/hole/1.png": {"conversation": [], "split": "test", "similar_templates": ["D/bolt/a/good/0.png"]},
    }
    refuse_leaks(benches.write(tmp_path, entries))


def test_what_another_benchmark_was_trained_on_is_guarded_too(tmp_path: Path) -> None:
    trained = Snapshot.of(benches.pair(tmp_path / "a")).trained_hashes()
    paint(tmp_path / "b" / "E/nut/x/good/9.png", 50)
    judged = benches.write(tmp_path / "b", {"E/nut/x/good/9.png": {"conversation": []}})
    refuse_leaks(judged, trained=trained)
    shutil.copy(tmp_path / "a" / TRAIN, tmp_path / "b" / "E/nut/x/good/9.png")
    with pytest.raises(UserError, match="E/nut/x/good/9.png"):
        refuse_leaks(judged, trained=trained)


def test_look_alikes_are_listed_and_not_refused(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    assert near_duplicates(bench) == []
    with Image.open(tmp_path / TRAIN) as image:
        ImageEnhance.Brightness(image).enhance(0.95).save(tmp_path / TEST)
    [found] = near_duplicates(bench)
    assert (found.test, found.train) == (TEST, TRAIN) and found.distance <= 4
    refuse_leaks(bench)
