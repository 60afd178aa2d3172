"""The loop as one command: benchmark in, table out, on pictures of the procedural factory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.synthesis.factory import write_demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("loop") / "bench"
    lots, per_lot = {"train": 1, "val": 1, "test": 1}, {"train": 6, "val": 3, "test": 4}
    write_demo(root, products=("hex_nut", "wood_panel", "circuit_board", "biscuit"), lots=lots, per_lot=per_lot)
    return root


def demo(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.demo", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=500
    )


def test_from_benchmark_to_table(bench: Path, tmp_path: Path) -> None:
    done = demo(
        "--data", bench, "--preset", "smoke", "--workspace", tmp_path / "w", "--json", tmp_path / "r.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "r.json").read_text())
    tasks = set(result["base"]) - {"Average"}
    assert tasks == set(result["tuned"]) - {"Average"} and len(tasks) == 7
    for name in ("base", "tuned"):
        values = [result[name][task] for task in tasks]
        assert all(0 <= value <= 100 for value in values)
        assert result[name]["Average"] == pytest.approx(sum(values) / len(values))
        assert f"{result[name]['Average']:.2f}" in done.stdout
    run = Path(result["run"])
    assert json.loads((run / "state.json").read_text())["status"] == "finished"
    assert (
        (run / "final").is_dir() and (run / "metrics.jsonl").is_file() and any((run / "difficulty").glob("*.parquet"))
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("nowhere", "not a folder"),
        ("empty", "holds no mmad.json"),
        ("broken", "not JSON"),
        ("bare", "no training questions"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, data: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mmad.json").write_text("{")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "mmad.json").write_text("{}")
    done = demo("--data", tmp_path / data, "--workspace", tmp_path / "w", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and sentence in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
