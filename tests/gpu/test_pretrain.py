"""On a GPU: every stage of the pretraining, from the same start as on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.demo.pool import load_pool
from core.demo.pretrain import Pretraining
from tests.unit.demo.test_pretrain import EDUCATION, TINY

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def test_the_first_step_costs_what_it_costs_on_the_cpu_and_all_stages_run(tmp_path: Path) -> None:
    pool = load_pool(20, 48, tmp_path, workers=1)
    losses = {}
    for device in ("cpu", "cuda"):
        pupil = Pretraining(tmp_path / device, EDUCATION, device=device, **TINY)
        reports: list[dict] = []
        pupil.folder.mkdir()
        pupil.run(pool, progress=lambda step, total, report, kept=reports: kept.append(report))
        assert list(dict.fromkeys(report["stage"] for report in reports)) == [
            "seeing",
            "reading",
            "telling",
            "answering",
        ]
        losses[device] = reports[0]["loss"]
        pupil.save()
        assert json.loads((pupil.folder / "checkpoint/config.json").read_text())["model_type"] == "emit"
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.02)
