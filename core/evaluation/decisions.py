"""From yes/no to a decision: how well P(defect) ranks pictures, whether it can be believed, and where to cut.

P(defect) is the probability of the letter that says "there is a defect" in the discrimination question, out of the logits
(protocol "letters"). A threshold is chosen on validation pictures by what a miss costs against an overkill, and judged on
test pictures, never on those it was chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from core.errors import UserError
from core.evaluation.records import normalized
from core.mmad import Task
from core.mmad.vocabulary import GOOD


def defect_scores(answers: pd.DataFrame) -> pd.DataFrame:
    """The discrimination questions with `p_defect` (0..1) and `defective` (bool), one row each.

    Raises:
        UserError: the answers hold no P(defect), because they were generated as free text.
    """
    table = normalized(answers)
    table = table[table["task"] == Task.DISCRIMINATION.value]
    if "p_defect" not in table or table["p_defect"].isna().all():
        raise UserError("These answers hold no P(defect): answer by 'letters', which reads it from the logits.")
    table = table[table["p_defect"].notna()]
    return table.assign(defective=table["defect"] != GOOD).reset_index(drop=True)


def ranking_table(answers: pd.DataFrame, *, by: str = "product") -> pd.DataFrame:
    """AUROC and average precision of P(defect) in percent, a row per product (or dataset) plus "Average" (unweighted).

    Both are NaN where only normal or only defective pictures are asked about.
    """
    scores = defect_scores(answers)
    rows = scores[by].astype(str)
    if by == "product":
        rows = scores["dataset"].astype(str) + "/" + rows
    found = {}
    for name, part in scores.groupby(rows, sort=False):
        two = part["defective"].nunique() == 2
        found[name] = {
            "normal": int((~part["defective"]).sum()),
            "defective": int(part["defective"].sum()),
            "AUROC": 100 * roc_auc_score(part["defective"], part["p_defect"]) if two else np.nan,
            "AP": 100 * average_precision_score(part["defective"], part["p_defect"]) if two else np.nan,
        }
    table = pd.DataFrame.from_dict(found, orient="index")
    if len(table):
        table.loc["Average"] = [
            table["normal"].sum(),
            table["defective"].sum(),
            table["AUROC"].mean(),
            table["AP"].mean(),
        ]
        table = table.astype({"normal": int, "defective": int})
    table.index.name = by
    return table


@dataclass(frozen=True)
class Calibration:
    """How often pictures with P(defect) = p are defective.

    Attributes:
        bins: a row per filled bin of equal width: low, high, predicted (mean P), observed (share defective), pictures.
        error: expected calibration error, mean of |predicted - observed| weighted by pictures (0 is perfect).
        brier: mean squared error of P(defect).
    """

    bins: pd.DataFrame
    error: float
    brier: float


def calibration(answers: pd.DataFrame, *, bins: int = 10) -> Calibration:
    """Reliability of P(defect) over `bins` bins of equal width."""
    scores = defect_scores(answers)
    place = np.minimum((scores["p_defect"] * bins).astype(int), bins - 1)
    grouped = scores.groupby(place)
    table = pd.DataFrame({
        "predicted": grouped["p_defect"].mean(), "observed": grouped["defective"].mean(), "pictures": grouped.size(),
    })  # fmt: skip
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    gap = (table["predicted"] - table["observed"]).abs()
    return Calibration(
        table.reset_index(drop=True),
        float((gap * table["pictures"]).sum() / table["pictures"].sum()),
        float(((scores["p_defect"] - scores["defective"]) ** 2).mean()),
    )


@dataclass(frozen=True)
class Costs:
    """What a wrong decision costs, in any unit; `prevalence` is the share of defective pictures on the line.

    Test sets hold far more defects than a line makes: without a prevalence the share in the answers is taken.
    """

    miss: float = 10.0
    overkill: float = 1.0
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.miss < 0 or self.overkill < 0 or self.miss + self.overkill == 0:
            raise UserError("The costs of a miss and an overkill must not be negative, and one must be above 0.")
        if self.prevalence is not None and not 0 <= self.prevalence <= 1:
            raise UserError(f"The share of defective pictures is {self.prevalence}: give a number from 0 to 1.")


def expected_cost(answers: pd.DataFrame, threshold: float, costs: Costs) -> dict[str, float]:
    """What a picture costs on average when P(defect) >= threshold is rejected.

    Returns:
        cost (per picture), miss and overkill (percent of defective and of normal pictures), pictures.
    """
    scores = defect_scores(answers)
    defective = scores["defective"].to_numpy(bool)
    miss, overkill = _rates(scores["p_defect"].to_numpy(float), defective, np.array([threshold]))
    prevalence = float(defective.mean()) if costs.prevalence is None else costs.prevalence
    return {
        "cost": float(_cost(miss, overkill, prevalence, costs)[0]),
        "miss": 100 * float(miss[0]),
        "overkill": 100 * float(overkill[0]),
        "pictures": float(len(scores)),
    }


def choose_threshold(validation: pd.DataFrame, costs: Costs) -> float:
    """The threshold of least expected cost on the validation answers.

    It lies half way between two neighbouring scores. 0 rejects every picture; a value above 1 passes every picture. Of equally
    good ones the one nearest to 0.5 is taken.

    Raises:
        UserError: the validation answers lack normal or defective pictures.
    """
    scores = defect_scores(validation)
    defective = scores["defective"].to_numpy(bool)
    if defective.all() or not defective.any():
        raise UserError("A threshold needs normal and defective validation pictures: add the missing kind.")
    values = np.unique(scores["p_defect"].to_numpy(float))
    candidates = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0 + 1e-9]])
    miss, overkill = _rates(scores["p_defect"].to_numpy(float), defective, candidates)
    prevalence = float(defective.mean()) if costs.prevalence is None else costs.prevalence
    cost = _cost(miss, overkill, prevalence, costs)
    best = np.flatnonzero(cost <= cost.min() + 1e-12)
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])


def decision_table(answers: pd.DataFrame, costs: Costs | None = None) -> pd.DataFrame:
    """A threshold chosen on the "val" answers, beside 0.5, passing and rejecting all, each judged on "val" and "test".

    Rows: chosen, yes/no (0.5), pass all, reject all. Columns: threshold, and cost, miss, overkill for val and test.

    Raises:
        UserError: the answers do not hold both splits.
    """
    costs = costs or Costs()
    if "split" not in answers:
        raise UserError("These answers do not say which pictures are validation and which are test: answer them again.")
    parts = {name: answers[answers["split"] == name] for name in ("val", "test")}
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise UserError(f"There are no answers of the split {' and '.join(empty)}: answer those pictures too.")
    thresholds = {
        "chosen on val": choose_threshold(parts["val"], costs), "yes/no (0.5)": 0.5, "pass all": 1.0 + 1e-9, "reject all": 0.0,
    }  # fmt: skip
    rows = {}
    for name, threshold in thresholds.items():
        judged = {split: expected_cost(part, threshold, costs) for split, part in parts.items()}
        rows[name] = {"threshold": threshold} | {
            f"{split} {what}": judged[split][what]
            for split in judged
            for what in ("cost", "miss", "overkill", "pictures")
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.astype({"val pictures": int, "test pictures": int})


def _rates(scores: np.ndarray, defective: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of defective pictures passed and of normal ones rejected, for each threshold; 0 where there are none."""
    bad, good = np.sort(scores[defective]), np.sort(scores[~defective])
    miss = np.searchsorted(bad, thresholds, side="left") / max(len(bad), 1)
    overkill = (len(good) - np.searchsorted(good, thresholds, side="left")) / max(len(good), 1)
    return miss, overkill


def _cost(miss: np.ndarray, overkill: np.ndarray, prevalence: float, costs: Costs) -> np.ndarray:
    return prevalence * miss * costs.miss + (1 - prevalence) * overkill * costs.overkill
