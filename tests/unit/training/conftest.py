"""A benchmark of small pictures (a dark spot is a defect), its snapshot, a very small model, and a run that takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.mmad import Benchmark, Question, Sample, Snapshot, write_mmad
from core.training.config import RunConfig

PLACES = {"A": "upper left", "B": "upper right", "C": "lower left", "D": "lower right"}


def make_benchmark(root: Path, *, train: int = 12, val: int = 4, test: int = 4) -> Benchmark:
    draw = np.random.default_rng(0)
    folder = root / "demo" / "plate"
    samples = []
    for split, count in (("train", train), ("val", val), ("test", test)):
        for i in range(count):
            bad = i % 2 == 1
            kind = "spot" if bad else "good"
            image = draw.integers(150, 200, (40, 40, 3), dtype=np.uint8)
            reference = draw.integers(150, 200, (40, 40, 3), dtype=np.uint8)
            place = "ABCD"[int(draw.integers(4))]
            if bad:
                top, left = 5 + 20 * (place in "CD"), 5 + 20 * (place in "BD")
                image[top : top + 10, left : left + 10] = 10
            for name, pixels in ((kind, image), ("reference", reference)):
                path = folder / name / f"{split}{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
            yes_first = bool(draw.integers(2))
            options = {"A": "Yes.", "B": "No."} if yes_first else {"A": "No.", "B": "Yes."}
            right = "A" if bad == yes_first else "B"
            questions = [Question("Is there a defect?", options, right, "Anomaly Detection")]
            if bad:
                questions.append(Question("Where is it?", PLACES, place, "Defect Localization"))
            questions.append(Question("What is it?", {"A": "plate", "B": "screw"}, "A", "Object Classification"))
            samples.append(
                Sample(
                    f"demo/plate/{kind}/{split}{i}.png", "demo", "plate", "spot" if bad else None, split=split,
                    questions=tuple(questions), similar_templates=(f"demo/plate/reference/{split}{i}.png",),
                )
            )  # fmt: skip
    knowledge = {"demo": {"plate": {"good": "A grey plate.", "spot": "A dark square spot."}}}
    bench = Benchmark(root, tuple(samples), knowledge)
    write_mmad(bench)
    return bench


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    return Snapshot.of(make_benchmark(root)).save(root / "snapshot.json")


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    import torch

    from tests.unit.grpo.conftest import small_model

    torch.set_num_threads(2)
    return small_model(tmp_path_factory.mktemp("emit"), talks=True)


def quick(base: Path, snapshot: Path, **changes) -> RunConfig:
    """Four steps of each stage."""
    config = RunConfig.from_dict({
        "name": "quick", "base": str(base), "snapshot": str(snapshot), "device": "cpu", "dtype": "float32",
        "threads": 1, "lora": None, "prompt": {"thinking": False},
        "sft": {"max_steps": 4, "batch_size": 4, "micro_batch": 2, "learning_rate": 1e-2},
        "grpo": {"max_steps": 4, "groups": 2, "micro_batch": 4, "group_size": 4, "max_new_tokens": 4,
                 "resampling": 1, "learning_rate": 1e-3, "train": ["projector", "soft_prompt", "mlp", "llm", "vision"]},
        "evaluate": {"every": 2, "questions": 4, "final_questions": 6}, "save": {"every": 2},
    })  # fmt: skip
    return config.with_(**changes)


@pytest.fixture
def config(base, snapshot) -> RunConfig:
    return quick(base, snapshot)


def given_accuracies(monkeypatch, *values: float, start: float = 0.0) -> None:
    """Let validations come out as given, by step, whatever the model can do; `start` before the first step."""
    from core.training.watching import Watcher

    original = Watcher._validate

    def validate(self, state, control):
        self.validate = lambda: values[state.global_step - 1] if state.global_step else start
        original(self, state, control)

    monkeypatch.setattr(Watcher, "_validate", validate)
