from pathlib import Path

import pytest

from core.mmad import Benchmark, Question, Sample
from core.workspace import Workspace

YES_NO = {"A": "Yes.", "B": "No."}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def bench(tmp_path: Path) -> Benchmark:
    """A product with two samples and a text sample; MVTec's shared name in the knowledge."""
    ask = Question("Is there any defect?", YES_NO, "A", "Anomaly Detection")
    what = Question("What is it?", {"A": "A bolt", "B": "A nut"}, "A", "Object Classification")
    samples = (
        Sample("DS-MVTec/bolt/good/0.png", "DS-MVTec", "bolt", None, questions=(ask, what)),
        Sample("DS-MVTec/bolt/scratch/1.png", "DS-MVTec", "bolt", "scratch", questions=(ask, what)),
        Sample("DS-MVTec/bolt/text/2.txt", "DS-MVTec", "bolt", "scratch", questions=(ask,), text="A scratched bolt."),
    )
    knowledge = {"MVTec": {"bolt": {"good": "A clean bolt.", "scratch": "A line."}}}
    return Benchmark(tmp_path, samples, knowledge)
