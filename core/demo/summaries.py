"""What is kept of a judged run: one JSON file of a few KB, from which every table, test and figure is made again.

    <out>/<benchmark>/questions-<digest>.json   what was asked: task, part and difficulty of every question
    <out>/<benchmark>/<arm>-<seed>.json         a `summary`; its `right` is a 0 or 1 for every question, in that order

Two summaries with the same `asked` answer the same questions, so any two arms can be compared question by question. No
picture, path or answer text is kept: summaries of shared data can be committed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import UserError
from core.files import read_json, write_json
from core.mmad import Benchmark, Task

VERSION = 1
PARTS = ("instances", "defects", "products")
LETTER = {"": "-", **{part: part[0] for part in PARTS}}
TASKS = tuple(task.value for task in Task)
DIFFICULTIES = (0.0, 0.25, 0.5, 0.75, 1.0)
POINTS = 24  # of a curve


def questions_of(bench: Benchmark) -> dict[str, Any]:
    """What `bench` asks, in its order, compactly.

    Returns:
        digest (of pictures' names, questions and options), questions (how many), and per question a character or number:
        tasks (place in MMAD's order, 0..6), parts ("i"nstances, "d"efects, "p"roducts, "-" none), normal (0 or 1), and
        difficulty (0..1; None where the benchmark does not say or the picture is normal).
    """
    from core.evaluation.records import questions_digest

    rows = [(sample, question) for sample in bench for question in sample.questions]
    hard = [None if s.is_normal else s.extra.get("difficulty") for s, _ in rows]
    return {
        "version": VERSION, "digest": questions_digest(bench), "questions": len(rows),
        "tasks": "".join(str(TASKS.index(q.task.value)) for _, q in rows),
        "parts": "".join(LETTER[str(s.extra.get("holdout") or "")] for s, _ in rows),
        "normal": "".join(str(int(s.is_normal)) for s, _ in rows),
        "difficulty": None if all(h is None for h in hard) else [h if h is None else round(float(h), 2) for h in hard],
    }  # fmt: skip


def bits(answers: pd.DataFrame) -> str:
    """A 1 for every right answer, in their order; no letter counts as wrong."""
    right = (answers["answer"] == answers["correct_answer"]).fillna(False)
    return "".join("1" if value else "0" for value in right)


def rights(value: str) -> np.ndarray:
    """`bits` as bool [questions]."""
    return np.frombuffer(value.encode("ascii"), np.uint8) == ord("1")


def part_masks(asked: dict[str, Any]) -> dict[str, np.ndarray]:
    """Which questions belong to "all" and to each part that occurs, bool [questions] each.

    The part "defects" also takes the detection questions on normal pieces of the same (seen) products: without them a model
    that always says yes would be perfect at detecting unseen defects.
    """
    letters, tasks, normal = (np.array(list(asked[key])) for key in ("parts", "tasks", "normal"))
    detects = tasks == str(TASKS.index(Task.DISCRIMINATION.value))
    masks = {"all": np.ones(len(letters), bool)}
    for part in PARTS:
        mask = letters == LETTER[part]
        if part == "defects" and mask.any():
            mask |= (letters == LETTER["instances"]) & (normal == "1") & detects
        if mask.any():
            masks[part] = mask
    return masks


def accuracies(asked: dict[str, Any], right: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """Percent per task, and "Average" over them, of the questions in `mask`; a task nobody asks is None and left out.

    As in `core.evaluation.accuracy_table` on one data set: detection is the mean of the accuracies on normal and on defective
    pictures.
    """
    tasks, normal = (np.array(list(asked[key])) for key in ("tasks", "normal"))
    result: dict[str, float | None] = {}
    for number, name in enumerate(TASKS):
        mine = mask & (tasks == str(number))
        sides = [mine & (normal == "1"), mine & (normal == "0")] if number == 0 else [mine]
        shares = [100.0 * float(right[side].mean()) for side in sides if side.any()]
        result[name] = sum(shares) / len(shares) if shares else None
    known = [value for value in result.values() if value is not None]
    return {**result, "Average": sum(known) / len(known) if known else None}


def by_difficulty(asked: dict[str, Any], right: np.ndarray) -> list[dict[str, float]]:
    """Accuracy on questions about defective pictures, from plain (0) to barely visible (1); [] where nobody graded them."""
    if not asked["difficulty"]:
        return []
    hard = np.array([np.nan if value is None else value for value in asked["difficulty"]])
    tasks = np.array(list(asked["tasks"])).astype(int)
    about_defect = tasks < 5  # object questions do not depend on the defect
    rows = []
    for low, high in zip(DIFFICULTIES, DIFFICULTIES[1:], strict=False):
        inside = about_defect & (hard >= low) & ((hard < high) | (high == DIFFICULTIES[-1]) & (hard <= high))
        if inside.any():
            value = round(100.0 * float(right[inside].mean()), 2)
            rows.append({"low": low, "high": high, "questions": int(inside.sum()), "accuracy": value})
    return rows


def judged(bench: Benchmark, answers: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what was asked, the part of a summary that says how well it was answered).

    Raises:
        UserError: an answer is missing, or of another benchmark.
    """
    from core.evaluation import check_answers
    from core.evaluation.records import labels_of, protocol_of

    answers = check_answers(answers, bench)
    asked = questions_of(bench)
    if len(answers) != asked["questions"]:
        raise UserError(
            f"Only {len(answers)} of {asked['questions']} questions are answered: run the same again to go on."
        )
    right = rights(bits(answers))
    protocol = protocol_of(answers)
    parts = {
        name: {"questions": int(mask.sum()), **_rounded(accuracies(asked, right, mask))}
        for name, mask in part_masks(asked).items()
    }
    return asked, {
        "protocol": str(protocol), "labels": list(labels_of(answers)), "questions": asked["questions"],
        "asked": asked["digest"], "parts": parts, "difficulty": by_difficulty(asked, right), "right": bits(answers),
    }  # fmt: skip


def training_facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a run's metrics say about its price and its course.

    Returns:
        minutes and steps per stage, tokens (generated in training), hard and unsolved (share of groups without a right answer
        at first and in the end: pairs of step and mean since the pair before), curve (per validation: stage, step, minutes and
        tokens so far, accuracy).
    """
    minutes: dict[str, float] = {}
    steps: dict[str, int] = {}
    before = 0.0  # seconds of the stages before
    generated = [(row.get("step", 0), row.get("generated_tokens") or 0) for row in rows if row.get("stage") == "grpo"]
    curve = []
    for stage in ("grounding", "sft", "grpo"):
        mine = [row for row in rows if row.get("stage") == stage and "time" in row]
        if not mine:
            continue
        paces = _paces([row["time"] for row in mine])
        for row, spent in zip(mine, before + np.cumsum(paces), strict=True):
            if row.get("val_accuracy") is not None:
                # A step is validated before it is logged.
                tokens = sum(count for step, count in generated if stage == "grpo" and step <= row["step"])
                curve.append({"stage": stage, "step": row["step"], "minutes": round(float(spent) / 60, 2), "tokens": int(tokens),
                              "accuracy": round(100.0 * row["val_accuracy"], 2)})  # fmt: skip
        before += sum(paces)
        minutes[stage] = round(sum(paces) / 60, 2)
        steps[stage] = max(int(row["step"]) for row in mine)
    # Where nothing is answered again, a group that stays without a right answer was hard from the start.
    learned = [
        {**row, "hard": max(row["hard_groups"], row.get("unsolved_groups") or 0.0)}
        for row in rows
        if row.get("stage") == "grpo" and row.get("hard_groups") is not None
    ]
    return {
        "minutes": minutes, "steps": steps, "curve": curve,
        "tokens": int(sum(count for _, count in generated)),
        "hard": _course(learned, "hard"), "unsolved": _course(learned, "unsolved_groups"),
    }  # fmt: skip


def _paces(times: list[float]) -> list[float]:
    """Seconds each row took; a gap in which nobody worked (stopped, resumed later) counts as an ordinary step."""
    gaps = np.diff(times)
    if not len(gaps):
        return [0.0] * len(times)
    usual = float(np.median(gaps))
    gaps = np.where(gaps > max(60.0, 20 * usual), usual, gaps)
    return [usual, *gaps.tolist()]  # the first row's beginning is not written down


def _course(rows: list[dict[str, Any]], name: str) -> list[list[float]]:
    return [
        [int(part[-1]["step"]), round(float(np.mean([row.get(name) or 0.0 for row in part])), 3)]
        for part in np.array_split(np.array(rows, dtype=object), min(POINTS, len(rows)) or 1)
        if len(part)
    ]


def circumstances(project: Path) -> dict[str, Any]:
    """Where and with what a summary was made: kind of machine, date, revision, versions. Nothing that names the machine."""
    import psutil

    from core.training.explaining import environment

    facts = environment(project, "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": {
            "cores": cores, "memory_gb": round(psutil.virtual_memory().total / 2**30), "gpu": _gpu(),
            "load": round(os.getloadavg()[1], 1),
        },
        "date": time.strftime("%Y-%m-%d"), "git": facts["git"], "python": facts["python"], "packages": facts["packages"],
    }  # fmt: skip


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is None else round(value, 3) for name, value in values.items()}


def keep(folder: Path, name: str, asked: dict[str, Any], summary: dict[str, Any]) -> Path:
    """Write a summary, and what it was asked when that is new."""
    place = folder / f"questions-{asked['digest'][:12]}.json"
    if not place.is_file():
        write_json(place, asked, indent=None)
    return write_json(folder / f"{name}.json", {"version": VERSION, **summary})


def read_summaries(folder: Path) -> list[dict[str, Any]]:
    """The summaries of one benchmark, by arm and seed.

    Raises:
        UserError: one is of another version, or what was asked is missing.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        if path.stem.startswith("questions-"):
            continue
        value = read_json(path)
        if not isinstance(value, dict) or value.get("version") != VERSION:
            raise UserError(f"{path} is no summary of version {VERSION}: make it again with python -m core.demo proof.")
        found.append({**value, "file": path.name})
    return found


def read_asked(folder: Path, digest: str) -> dict[str, Any]:
    """What the summaries with `asked == digest` answer."""
    value = read_json(folder / f"questions-{digest[:12]}.json")
    if value["digest"] != digest:
        raise UserError(f"{folder}/questions-{digest[:12]}.json was changed: restore it.")
    return value


def mcnemar(first: Iterable[bool], second: Iterable[bool]) -> dict[str, Any]:
    """The exact McNemar test on paired right answers, two-sided.

    Returns:
        fixed (wrong, then right), regressed (right, then wrong), p.
    """
    from scipy.stats import binomtest

    one, two = np.asarray(list(first), bool), np.asarray(list(second), bool)
    fixed, regressed = int((~one & two).sum()), int((one & ~two).sum())
    p = float(binomtest(fixed, fixed + regressed).pvalue) if fixed + regressed else 1.0
    return {"fixed": fixed, "regressed": regressed, "p": p}
