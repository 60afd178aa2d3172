"""Two processes do what one does: same rewards, weights, loss and gradients on the same completions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).resolve().parents[3]


def carry_out(base: Path, folder: Path, processes: int, rows: int) -> dict:
    out = folder / f"{processes}.pt"
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    done = subprocess.run(
        [*launcher, "-m", "tests.unit.grpo.two_processes", str(base), str(folder), str(out)],
        capture_output=True, text=True, cwd=PROJECT, env={**os.environ, "OMP_NUM_THREADS": "1", "ROWS": str(rows)},
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(out, weights_only=False)


@pytest.mark.parametrize("rows", [4, 2], ids=["whole groups", "groups over several micro-batches"])
def test_same_result(base, tmp_path, rows):
    one, two = (carry_out(base, tmp_path, processes, rows) for processes in (1, 2))
    assert len(one["rows"]) == 4 and [row["resamplings"] for row in one["rows"]] == [0, 1, 2, 0]
    for first, second in zip(one["rows"], two["rows"], strict=True):
        assert first.keys() == second.keys()
        for name in first:
            assert second[name] == (pytest.approx(first[name]) if name != "rewards" else first[name]), name
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-6)
    assert one["gradients"].keys() == two["gradients"].keys()
    for name, gradient in one["gradients"].items():
        torch.testing.assert_close(two["gradients"][name], gradient, atol=1e-6, rtol=1e-4, msg=name)
    assert max(gradient.abs().max() for gradient in one["gradients"].values()) > 1e-2
