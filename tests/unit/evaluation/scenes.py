"""A small benchmark with pictures, a tiny model, and answers without any model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from core.mmad import Benchmark, Question, Sample, Task

YES_NO = {"A": "Yes.", "B": "No."}
PLACES = {"A": "Top left.", "B": "Center.", "C": "Bottom right.", "D": "Left."}
TYPES = {"A": "Scratch.", "B": "Hole.", "C": "Dent.", "D": "Stain."}


def small_benchmark(root: Path, pictures: int = 6) -> Benchmark:
    """Normal and defective plates in turn, all seven tasks, two references, knowledge, splits val and test."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(pictures + 2):
        defect = "hole" if number % 2 and number < pictures else None
        path = f"Demo/plate/test/{defect or 'good'}/{number:03d}.png"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (72, 64 + 8 * number, 3), dtype=np.uint8)).save(root / path)
        asked = [
            Question("Is there any defect in the object?", YES_NO, "A" if defect else "B", Task.DISCRIMINATION),
            Question("What product is it?", {"A": "Plate.", "B": "Cup."}, "A", Task.OBJECT_CLASSIFICATION),
            Question("What is its surface like?", {"A": "Flat.", "B": "Round."}, "A", "Object Details"),
        ]
        if defect:
            asked += [
                Question("What type is the defect?", TYPES, "B", Task.DEFECT_CLASSIFICATION),
                Question("Where is the defect?", PLACES, "ABCD"[number % 4], Task.DEFECT_LOCALIZATION),
                Question("What does the defect look like?", TYPES, "B", Task.DEFECT_DESCRIPTION),
                Question(
                    "What follows from the defect?", {"A": "It leaks.", "B": "Nothing."}, "A", Task.DEFECT_ANALYSIS
                ),
            ]
        split = ("val", "test")[number // 2 % 2]
        samples.append(Sample(path, "Demo", "plate", defect, questions=tuple(asked), split=split))
    references = tuple(sample.image for sample in samples[pictures:])
    knowledge = {"Demo": {"plate": {"good": "A flat grey plate.", "hole": "A round dark spot with a bright rim."}}}
    return Benchmark(root, tuple(replace(s, similar_templates=references) for s in samples[:pictures]), knowledge)


def tiny_model(*, guided: bool = False):
    """`guided`: its map changes what the query's tokens say, plainly."""
    import torch

    from core.model.tiny import build_tiny

    model, processor = build_tiny(
        image_size=32, patch_size=8, vision_width=32, vision_layers=4, vision_heads=2, width=32, layers=2, heads=2,
        key_value_heads=2, max_tiles=2, comparison_places=guided,
    )  # fmt: skip
    if guided:
        contrastive = model.model.contrastive
        with torch.no_grad():
            contrastive.projector[0].running_var.fill_(0.01)
            contrastive.places.copy_(torch.randn(contrastive.places.shape, generator=torch.Generator().manual_seed(1)))
    return model, processor


def random_answers(count: int = 400, *, skill: float = 0.6, seed: int = 0, silent: float = 0.0) -> pd.DataFrame:
    """Answers to questions of all seven tasks on four datasets; the questions are the same for every `skill` and `seed`."""
    rng = np.random.default_rng(7)
    picture = np.sort(rng.integers(0, count // 4, count))
    right = rng.choice(list("ABCD"), count)
    types = rng.choice([*(task.value for task in Task), "Object Structure"], count)
    label = np.where(picture % 3 == 0, "good", "dent")
    dataset = np.array(["DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD"])[picture % 4]
    own = np.random.default_rng(seed + 100)
    answer = np.where(own.random(count) < skill, right, own.choice(list("ABCD"), count)).astype(object)
    answer[own.random(count) < silent] = None
    return pd.DataFrame(
        {
            "image": [f"{d}/p{n % 5}/test/{k}/{n:03d}.png" for d, n, k in zip(dataset, picture, label, strict=True)],
            "index": pd.Series(picture).groupby(picture).cumcount(),
            "question_type": types,
            "correct_answer": right,
            "answer": answer,
        }
    )
