"""MMAD's numbers: accuracy per dataset, product and task, and what goes wrong in finding defects.

Rules of the benchmark (arXiv 2410.09453 and its public script): share of right letters per dataset and task in percent;
anomaly detection instead is the mean of the accuracies on normal and on defective pictures; column "Average" is the mean
over tasks, row "Average" the mean over datasets, both unweighted. On complete answers the result equals the script's.

Where we differ on purpose:
- the script removes invalid answers from the list it walks over, so each one also skips the row after it; here every
  question counts and one without a letter is wrong (of 39,672 made-up answers 5 % silent: its average 70.2, ours 66.6);
- the script takes a picture for normal when its path contains "good"; here the folder (or the label) must say so;
- a task that a dataset does not ask is left out of the averages; the script counts it as 0;
- with only normal (or only defective) pictures, detection is the accuracy on those; the script takes 0 for the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.evaluation.records import normalized, protocol_of
from core.mmad import Task
from core.mmad.vocabulary import GOOD

AVERAGE = "Average"


def accuracy_table(answers: pd.DataFrame, *, by: str = "dataset") -> pd.DataFrame:
    """Accuracy in percent: a row per dataset (or `by="product"`) plus "Average", a column per task plus "Average".

    Args:
        answers: columns image, question_type, correct_answer, answer (None or NaN: no letter, counted wrong). Dataset,
            product and whether a picture is normal come from its path unless columns `dataset`, `product`, `defect`
            say so. `by="product"` names rows "dataset/product".

    Tasks nobody asks are no column; a task that one dataset does not ask is NaN there and left out of the means.

    Raises:
        UserError: a column is missing, a question is there twice, or protocols are mixed.
    """
    table = normalized(answers)
    protocol_of(table)
    rows = _rows(table, by)
    right = (table["answer"] == table["correct_answer"]).fillna(False).to_numpy(dtype=float)
    # Half a step of balance: within detection, normal and defective pictures are averaged apart first.
    detection = table["task"] == Task.DISCRIMINATION.value
    side = np.where(detection & (table["defect"] == GOOD), "normal", "all")
    shares = (
        pd.DataFrame({"row": rows.to_numpy(), "task": table["task"].to_numpy(), "side": side, "right": right})
        .groupby(["row", "task", "side"], sort=False)["right"].mean()
        .groupby(["row", "task"], sort=False).mean()
        .unstack("task")
    )  # fmt: skip
    order = [task.value for task in Task if task.value in shares]
    result = shares.reindex(index=list(dict.fromkeys(rows)), columns=order) * 100.0
    result[AVERAGE] = result.mean(axis=1)
    if len(result):
        result.loc[AVERAGE] = result.mean()
    result.index.name = by
    result.columns.name = None
    result.attrs["unparseable"] = unparseable_rate(table)
    return result


def unparseable_rate(answers: pd.DataFrame) -> float:
    """Share of answers without a letter, in percent; NaN without answers."""
    return float(normalized(answers)["answer"].isna().mean() * 100.0) if len(answers) else float("nan")


def unparseable_table(answers: pd.DataFrame) -> pd.DataFrame:
    """Per task: number of questions, and share without a letter in percent."""
    table = normalized(answers)
    found = table["answer"].isna().groupby(table["task"]).agg(["size", "mean"])
    found.columns = ["questions", "unparseable"]
    found["unparseable"] *= 100.0
    return found.reindex([task.value for task in Task if task.value in found.index])


def detection_table(answers: pd.DataFrame, *, by: str = "dataset") -> pd.DataFrame:
    """How defects are found, in percent, a row per dataset (or product) plus "Average" (unweighted).

    Columns: normal, defective (numbers of questions), accuracy (balanced), recall, precision, F1, overkill (normal called
    defective), miss (defective called normal), unparseable. Whatever is not the right letter is wrong on its side: a
    defective picture without an answer is a miss, a normal one an overkill (the benchmark's script drops answers without
    a letter). What has no denominator is NaN.
    """
    table = normalized(answers)
    table = table[table["task"] == Task.DISCRIMINATION.value]
    rows = _rows(table, by)
    right = (table["answer"] == table["correct_answer"]).fillna(False).astype(bool)
    good = table["defect"] == GOOD
    counts = (
        pd.DataFrame({
            "row": rows, "tp": right & ~good, "fn": ~right & ~good, "tn": right & good, "fp": ~right & good,
            "none": table["answer"].isna(),
        })
        .groupby("row", sort=False).sum().astype(float)
    )  # fmt: skip
    tp, fn, tn, fp = (counts[name] for name in ("tp", "fn", "tn", "fp"))
    total = tp + fn + tn + fp
    recall, overkill, precision = _share(tp, tp + fn), _share(fp, fp + tn), _share(tp, tp + fp)
    result = pd.DataFrame({
        "normal": tn + fp, "defective": tp + fn,
        "accuracy": pd.concat([recall, 100.0 - overkill], axis=1).mean(axis=1),
        "recall": recall, "precision": precision, "F1": _share(2 * tp, 2 * tp + fp + fn),
        "overkill": overkill, "miss": 100.0 - recall, "unparseable": _share(counts["none"], total),
    })  # fmt: skip
    result[["normal", "defective"]] = result[["normal", "defective"]].astype(int)
    if len(result):
        average = result.mean()
        average[["normal", "defective"]] = result[["normal", "defective"]].sum()
        result.loc[AVERAGE] = average
    result.index.name = by
    return result


def _rows(table: pd.DataFrame, by: str) -> pd.Series:
    own = table[by].astype(str)
    return table["dataset"].astype(str) + "/" + own if by == "product" else own


def _share(part: pd.Series, whole: pd.Series) -> pd.Series:
    return 100.0 * part / whole.where(whole > 0)
