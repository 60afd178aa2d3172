"""Stage 2: difficulty-aware GRPO on a course of questions; what it learns about their difficulty is kept."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from datasets import Dataset

from core.files import write_atomic
from core.grpo.difficulty import RunningDifficulty
from core.grpo.trainer import DifficultyAwareGRPOTrainer, kind_of
from core.runs import RunFolder
from core.training.checkpoints import ExactCheckpoints
from core.training.pictures import Pictures
from core.training.questions import Course

FLUSH_STEPS = 10
SAMPLED_GROUPS = 2  # groups per step whose responses are kept


class GRPOStage(ExactCheckpoints, DifficultyAwareGRPOTrainer):
    """The trainer with exact checkpoints."""


def rows_of(course: Course, pictures: Pictures) -> Dataset:
    """The course as TRL's data set; prompts are built and pictures opened when they are asked for."""

    def look_up(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        # The rows of a group are the same position: its prompt is built once.
        known: dict[int, dict[str, Any]] = {}
        for position in batch["position"]:
            if position not in known:
                asked, prompt = course[position]
                known[position] = {
                    "prompt": prompt.messages, "images": [pictures.open(path) for path in course.paths(prompt)],
                    "solution": asked.question.answer,
                    **asked.facts,
                }  # fmt: skip
        rows = [known[position] for position in batch["position"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    return Dataset.from_dict({"position": list(range(len(course)))}).with_transform(look_up)


def running_of(run: RunFolder) -> RunningDifficulty:
    """The running difficulty as the groups that a run keeps have left it."""
    running = RunningDifficulty()
    for row in run.difficulty().to_dict("records"):
        running.add(kind_of(row), row["wrong"])
    return running


class Recorder:
    """Keeps what `DifficultyAwareGRPOTrainer` tells about every group, in part files that appear in one step each.

    A part is named by the last step in it and never reaches over a checkpoint, so that resuming can drop what is done again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.first: int | None = None

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        step = rows[0]["step"]
        # The rows of one step may come in several generations: only between steps is a part complete.
        if self.first is not None and step >= self.first + FLUSH_STEPS:
            self.flush()
        self.first = step if self.first is None else self.first
        for number, row in enumerate(rows):
            facts = {"image": row["sample"], "index": row["index"]}
            names = ("dataset", "product", "defect", "question_type", "step", "wrong", "resamplings", "reward", "weight",
                     "solved")  # fmt: skip
            self.groups.append(facts | {name: row[name] for name in names})
            if number < SAMPLED_GROUPS:
                for i, text in enumerate(row["completions"]):
                    rewards = {name: values[i] for name, values in row["rewards"].items()}
                    self.samples.append(
                        {"step": step, **facts, "solution": row["solution"], "completion": text, **rewards,
                         "advantage": row["advantages"][i]}
                    )  # fmt: skip

    def flush(self) -> None:
        """Write what is held.

        Raises:
            UserError: the disk is full.
        """
        import pandas as pd

        if not self.groups:
            return
        last = self.groups[-1]["step"]
        for rows, folder in ((self.groups, "difficulty"), (self.samples, "grpo/completions")):
            write = functools.partial(pd.DataFrame(rows).to_parquet, index=False)
            write_atomic(self.folder / folder / f"part-{last:06d}.parquet", write)
        self.groups, self.samples, self.first = [], [], None
