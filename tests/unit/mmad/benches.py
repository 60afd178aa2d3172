"""Small benchmarks in MMAD's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.mmad import Benchmark, read_mmad
from tests.unit.synthesis.trees import paint, paint_mask


def question(answer: str = "A", kind: str = "Anomaly Detection", **more: Any) -> dict[str, Any]:
    options = {"A": "Yes.", "B": "No."} if kind == "Anomaly Detection" else {c: f"option {c}" for c in "ABCD"}
    text = "Is there a defect in the query picture?" if kind == "Anomaly Detection" else f"{kind}?"
    return {"Question": text, "Answer": answer, "Options": options, "type": kind, **more}


def write(root: Path, entries: dict[str, dict[str, Any]], knowledge: dict[str, Any] | None = None) -> Benchmark:
    """A benchmark folder of `entries` as they are, with a picture of its own for every image that is not there yet."""
    root.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(entries):
        if not (root / image).exists():
            paint(root / image, number, size=(24, 24))
    (root / "mmad.json").write_text(json.dumps(entries))
    if knowledge is not None:
        (root / "domain_knowledge.json").write_text(json.dumps(knowledge))
    return read_mmad(root)


def pair(root: Path) -> Benchmark:
    """A training and a test side of one product, nothing wrong with it."""
    good, hole = "D/bolt/train/good/0.png", "D/bolt/test/hole/1.png"
    other, normal = "D/bolt/train/hole/2.png", "D/bolt/test/good/3.png"
    paint_mask(root / "D/bolt/masks/1.png", size=(24, 24))
    return write(
        root,
        {
            good: {"conversation": [question("B")], "split": "train"},
            hole: {
                "conversation": [question("A"), question("C", "Defect Classification")],
                "mask_path": "masks/1.png",
                "similar_templates": [good],
                "split": "test",
            },
            other: {"conversation": [question("A")], "similar_templates": [good], "split": "train"},
            normal: {"conversation": [question("B")], "similar_templates": [good], "split": "test"},
        },
    )
