"""The audit finds every kind of fault that is put into a benchmark, and nothing in one without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.mmad import Benchmark, audit, read_mmad
from core.mmad.__main__ import main
from core.mmad.checks import KINDS
from tests.unit.mmad import benches
from tests.unit.synthesis.trees import paint, paint_mask

GOOD, HOLE = "D/bolt/train/good/0.png", "D/bolt/test/hole/1.png"


def findings(bench: Benchmark) -> list[tuple[str, str]]:
    return list(audit(bench)[["kind", "image"]].itertuples(index=False, name=None))


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert findings(benches.pair(tmp_path)) == []


def test_missing_and_broken_files(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    (tmp_path / GOOD).unlink()
    (tmp_path / "D/bolt/masks/1.png").unlink()
    (tmp_path / "D/bolt/train/hole/2.png").write_bytes(b"no picture")
    kinds = [kind for kind, _ in findings(bench)]
    assert kinds == ["missing picture", "broken picture", "missing mask"] + ["missing template"] * 3


def test_masks(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    mask = tmp_path / "D/bolt/masks/1.png"
    paint_mask(mask, size=(10, 20))
    assert findings(bench) == [("mask size", HOLE)]
    paint_mask(mask, None, size=(24, 24))
    assert findings(bench) == [("empty mask", HOLE)]
    mask.write_bytes(b"")
    assert findings(bench) == [("broken mask", HOLE)]


def test_a_template_that_is_the_query_is_found_by_content(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    shutil.copy(tmp_path / HOLE, tmp_path / GOOD)
    found = findings(bench)
    assert ("template is query", HOLE) in found
    assert ("duplicate picture", HOLE) in found


def test_aligned_pairs_may_look_the_same(tmp_path: Path) -> None:
    reference = "D/bolt/reference/0.png"
    entry = {"conversation": [], "similar_templates": [reference], "aligned": True}
    bench = benches.write(tmp_path, {"D/bolt/a/good/0.png": entry})
    paint(tmp_path / reference, 5)
    shutil.copy(tmp_path / reference, tmp_path / "D/bolt/a/good/0.png")
    assert findings(bench) == []


def test_labels_that_contradict_each_other(tmp_path: Path) -> None:
    entries = {
        "D/bolt/x/good/0.png": {"conversation": [benches.question("A")]},
        "D/bolt/x/hole/1.png": {"conversation": [], "defect": None},
        "D/bolt/x/good/2.png": {"conversation": [], "defect": "hole"},
        "D/bolt/x/hole/3.png": {"conversation": [benches.question("A")], "defect": "dent"},
    }
    found = findings(benches.write(tmp_path, entries))
    assert found == [("label against folder", f"D/bolt/x/{name}.png") for name in ("good/0", "hole/1", "good/2")]


def test_an_answer_that_is_no_option(tmp_path: Path) -> None:
    entries = {"D/bolt/x/hole/1.png": {"conversation": [benches.question("E", "Defect Analysis")]}}
    assert findings(benches.write(tmp_path, entries)) == [("answer outside options", "D/bolt/x/hole/1.png")]


def test_a_letter_that_is_right_too_often(tmp_path: Path) -> None:
    conversation = [benches.question(letter, "Defect Analysis") for letter in "AAAAAAAAAAAAAAAAAAAAAAAAABCD"]
    found = audit(benches.write(tmp_path, {"D/bolt/x/hole/1.png": {"conversation": conversation}}))
    assert set(found.kind) == {"unbalanced letters"} and "A is right in 25 of 28" in found.message[0]


def test_the_command_prints_and_says_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = benches.pair(tmp_path)
    main([str(tmp_path), "--near"])
    assert "0 findings" in capsys.readouterr().out
    (tmp_path / HOLE).unlink()
    with pytest.raises(SystemExit) as end:
        main([str(bench.root), "--json", str(tmp_path / "found.json")])
    assert end.value.code == 1 and HOLE in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())[0]["kind"] == "missing picture"


def test_a_missing_benchmark_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "nowhere")])
    assert end.value.code == 2 and capsys.readouterr().err.startswith("error: ")


def test_every_kind_is_explained() -> None:
    assert all(KINDS.values())


def test_a_mask_of_ones_counts_as_foreground(tmp_path: Path) -> None:
    benches.pair(tmp_path)
    mask = np.zeros((24, 24), np.uint8)
    mask[3, 3] = 1
    Image.fromarray(mask).save(tmp_path / "D/bolt/masks/1.png")
    assert findings(read_mmad(tmp_path)) == []
