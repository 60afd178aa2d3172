"""A snapshot is unchangeable, named by its content, and knows what it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.errors import UserError
from core.mmad import Snapshot
from core.mmad.leaks import FROM_TEST_IMAGES, NAMES_DEFECTS
from tests.unit.mmad import benches


def test_the_same_inputs_give_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    first = Snapshot.of(benches.pair(tmp_path / "a"), seed=3, revisions=(1, 2), options={"most": 9})
    again = Snapshot.of(benches.pair(tmp_path / "b"), seed=3, revisions=(1, 2), options={"most": 9})
    assert first.digest == again.digest
    for change in ({"seed": 4}, {"revisions": (1,)}, {"options": {}}, {"labels": ("x",)}, {"splits": ("train",)}):
        options = {"seed": 3, "revisions": (1, 2), "options": {"most": 9}, **change}
        assert Snapshot.of(benches.pair(tmp_path / "a"), **options).digest != first.digest


def test_another_picture_is_another_snapshot(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    before = Snapshot.of(bench)
    shutil.copy(tmp_path / "D/bolt/train/hole/2.png", tmp_path / "D/bolt/train/good/0.png")
    assert Snapshot.of(bench).digest != before.digest


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    snapshot = Snapshot.of(bench, seed=1, labels=("trial",))
    again = Snapshot.load(snapshot.save(tmp_path / "s.json"))
    assert again.digest == snapshot.digest and again.labels == ("trial",)
    assert again.benchmark.samples == bench.samples


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = Snapshot.of(benches.pair(tmp_path)).save(tmp_path / "s.json")
    content = json.loads(path.read_text())
    content["seed"] = 7
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="changed after it was taken"):
        Snapshot.load(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="not a snapshot"):
        Snapshot.load(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    (tmp_path / "D/bolt/train/good/0.png").unlink()
    with pytest.raises(UserError, match="train/good/0.png"):
        Snapshot.of(bench)


def test_it_knows_every_picture_that_training_shows(tmp_path: Path) -> None:
    snapshot = Snapshot.of(benches.pair(tmp_path))
    assert set(snapshot.trained_hashes().values()) == {"D/bolt/train/good/0.png", "D/bolt/train/hole/2.png"}


def test_knowledge_that_names_the_tests_defects_is_labelled(tmp_path: Path) -> None:
    entries = json.loads((benches.pair(tmp_path).root / "mmad.json").read_text())
    for known, labels in (({"good": "x", "hole": "y"}, (NAMES_DEFECTS,)), ({"good": "x", "dent": "y"}, ()), ({}, ())):
        bench = benches.write(tmp_path, entries, {"D": {"bolt": known}})
        assert Snapshot.of(bench).labels == labels
        # also where only the training part goes into the snapshot: its figures will be the test's
        assert Snapshot.of(bench, splits=("train",)).labels == labels


def test_knowledge_that_saw_test_pictures_is_labelled(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    assert Snapshot.of(bench, described_from=["D/bolt/train/hole/2.png"]).labels == ()
    assert Snapshot.of(bench, described_from=["D/bolt/test/hole/1.png"], labels=["a"]).labels == ("a", FROM_TEST_IMAGES)
