"""The command: a product folder becomes a benchmark, wholly or not at all, the same one for the same seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core.mmad import Snapshot, Task, audit, read_mmad, refuse_leaks
from core.synthesis import build
from core.synthesis.__main__ import main
from core.synthesis.sources import SOURCES
from tests.unit.synthesis import trees


def run(root: Path, source: str, *flags: str, out: str = "out") -> int:
    """The command's exit code."""
    arguments = [
        "--source",
        source,
        "--root",
        str(root / "in"),
        "--out",
        str(root / out),
        "--cache",
        str(root / "c.db"),
    ]
    try:
        main([*arguments, *flags])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def leftovers(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if not path.name.startswith("c.db")} - {"in"}


def test_deeppcb_becomes_a_benchmark_of_all_seven_tasks(tmp_path: Path) -> None:
    trees.deeppcb(tmp_path / "in", ("group00041", "group44000", "group77000"))
    assert run(tmp_path, "deeppcb") == 0
    bench = read_mmad(tmp_path / "out")
    assert set(bench.questions.task) == {task.value for task in Task}
    assert Counter(s.is_normal for s in bench) == {True: 54, False: 54}
    for sample in bench:
        reference = bench.path(sample.similar_templates[0])
        assert "/reference/" in sample.similar_templates[0] and reference.is_file()
        assert (bench.mask_path(sample) is None) == sample.is_normal
    assert audit(bench).empty
    refuse_leaks(bench)


def test_the_same_seed_gives_the_same_snapshot(tmp_path: Path) -> None:
    trees.deeppcb(tmp_path / "in")
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(tmp_path, "deeppcb", "--seed", seed, out=out) == 0
    digests = [Snapshot.of(read_mmad(tmp_path / out)).digest for out in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_a_folder_of_ones_own_with_descriptions(tmp_path: Path) -> None:
    for number in range(30):
        trees.paint(tmp_path / "in" / "good" / f"{number}.png", number)
        trees.paint(tmp_path / "in" / "rust" / f"{number}.png", 100 + number)
        trees.paint_mask(tmp_path / "in" / "masks" / "rust" / f"{number}.png")
    assert (
        run(tmp_path, "folder", "--option", "product=bolt", "--max", "20", "--json", str(tmp_path / "made.json")) == 0
    )
    bench = read_mmad(tmp_path / "out")
    assert {s.product for s in bench} == {"bolt"} and {s.split for s in bench} == {"train", "val", "test"}
    assert Counter(s.defect for s in bench.split("train"))["rust"] <= 20
    assert audit(bench).empty
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["questions"] == len(bench.questions) and made["skipped"] == []


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in {"folder", "coco", "deeppcb"}])
def test_every_public_layout_goes_all_the_way(tmp_path: Path, name: str) -> None:
    make = {
        "mvtec": trees.mvtec, "ds-mvtec": trees.ds_mvtec, "mvtec-loco": trees.mvtec_loco, "visa": trees.visa,
        "goodsad": trees.mvtec, "mpdd": trees.mvtec, "real-iad": trees.real_iad,
    }  # fmt: skip
    if name == "vision":
        polygon = {"image_id": 1, "category_id": 1, "segmentation": [[5, 5, 20, 5, 20, 20, 5, 20]]}
        trees.coco(
            tmp_path / "in" / "Lens" / "train" / "_annotations.coco.json", ["0.png", "1.png"], [polygon], ["Flash"]
        )
    else:
        make[name](tmp_path / "in")
    assert run(tmp_path, name) == 0
    bench = read_mmad(tmp_path / "out")
    assert {s.source for s in bench} == {name} and len(bench.questions) >= len(bench)
    assert audit(bench).empty


def test_bad_pictures_are_listed_and_the_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees.mvtec(tmp_path / "in", count=6)
    broken = tmp_path / "in" / "bottle"
    (broken / "test/crack/000.png").write_bytes((broken / "test/crack/000.png").read_bytes()[:300])
    (broken / "ground_truth/crack/001_mask.png").write_bytes(b"")
    trees.paint_mask(broken / "ground_truth/crack/002_mask.png", size=(7, 7))
    trees.paint_mask(broken / "ground_truth/crack/003_mask.png", None)
    assert run(tmp_path, "mvtec") == 0
    bench = read_mmad(tmp_path / "out")
    assert Counter(s.label for s in bench) == {"good": 13, "crack": 2, "hole": 6}
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    assert len(record["skipped"]) == 3 and str(tmp_path) not in json.dumps(record)
    error = capsys.readouterr().err
    assert error.count("left out") == 3 and "Traceback" not in error


def test_nothing_usable_names_the_picture_and_no_passing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("good", "crack")):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "0.png").write_text(f"junk {number}")
    assert run(tmp_path, "folder") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "is not a picture" in error and ".out-" not in error
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--json", "/proc/nowhere/a.json"], "cannot be written there"),
        (["--source", "mvtek"], "no source 'mvtek'"),
        (["--root", "nowhere"], "nowhere is not a folder"),
        (["--source", "visa"], "1cls.csv"),
        (["--split", "half"], "'half' is no way to split"),
        (["--tasks", "Art"], "use some of Anomaly Detection"),
        (["--option", "colour=1"], "no option 'colour'"),
        (["--option", "colour"], "NAME=VALUE"),
        (["--knowledge", "nowhere.json"], "nowhere.json does not exist"),
        (["--max", "-1"], "must not be negative"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    trees.mvtec(tmp_path / "in")
    assert run(tmp_path, "mvtec", *flags) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1 and sentence in error[0]
    assert leftovers(tmp_path) == set()


def test_what_is_there_is_only_replaced_when_asked_and_only_a_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trees.mvtec(tmp_path / "in")
    (tmp_path / "out").mkdir()
    assert run(tmp_path, "mvtec") == 0  # an empty folder is taken
    assert run(tmp_path, "mvtec") == 2 and "--overwrite" in capsys.readouterr().err
    assert run(tmp_path, "mvtec", "--overwrite", "--max", "1") == 0
    assert len(read_mmad(tmp_path / "out")) < 9
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("dear")
    assert run(tmp_path, "mvtec", "--overwrite", out="mine") == 2
    assert (tmp_path / "mine" / "thesis.doc").read_text() == "dear"
    assert leftovers(tmp_path) == {"out", "mine"}


def test_a_run_that_dies_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.mvtec(tmp_path / "in")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.synthesis.building.write_mmad", die)
    with pytest.raises(KeyboardInterrupt):
        build("mvtec", tmp_path / "in", tmp_path / "out")
    assert leftovers(tmp_path) == set()


def test_help_names_every_source(tmp_path: Path) -> None:
    text = subprocess.run(
        [sys.executable, "-m", "core.synthesis", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(f"  {name} " in text for name in SOURCES) and "--split" in text


def test_the_real_boards(shared_data: Path, tmp_path: Path) -> None:
    built = build("deeppcb", shared_data / "deeppcb", tmp_path / "out", most=6)
    bench = built.bench
    assert built.skipped == [] and audit(bench).empty
    sides = {(s.image.split("/")[2], s.split) for s in bench}
    assert sides <= {
        ("group00041", "train"), ("group13000", "train"), ("group20085", "train"), ("group44000", "val"),
        ("group50600", "val"), ("group77000", "test"), ("group92000", "test"),
    }  # fmt: skip
    assert Counter((s.split, s.label) for s in bench)["train", "pin-hole"] == 6
    assert set(bench.questions.task) == {task.value for task in Task}
