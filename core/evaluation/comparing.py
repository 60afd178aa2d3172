"""Two models on the same questions: what differs, by how much, and whether that is shown.

Intervals come from a paired bootstrap over *pictures*: the questions of one picture stand or fall together, so they are
drawn together, and both models are judged on the same draw. The p-values are exact McNemar tests per task (only questions
that one model gets right and the other wrong say anything), corrected for the number of tasks after Holm. A figure here
is computed as in `accuracy_table`'s row "Average": balanced detection, unweighted mean over datasets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from core.errors import UserError
from core.evaluation.records import KEY, label_notes, normalized, partial_notes, protocol_of
from core.evaluation.tables import AVERAGE
from core.mmad import Protocol, Task
from core.mmad.vocabulary import GOOD

_CHUNK = 256  # draws at once: 8,366 pictures x 256 draws are 9 MB


@dataclass(frozen=True)
class Comparison:
    """The outcome of `compare_answers`.

    Attributes:
        table: a row per task plus "Average"; columns questions, first, second, difference, low, high (points; `difference` is
            second minus first, low and high its interval), fixed, regressed, both_wrong, both_right (questions), p
            (McNemar, exact), p_holm. The averages have no p: questions of one picture are not independent.
        questions: every common question with `answer_first`, `answer_second` and `change` ("fixed", "regressed",
            "both wrong", "both right").
        names: of the two models.
        protocols: of the two, None where the answers do not say.
        level: of the intervals.
        left_out: questions only (first, second) had answers to; they are not compared.
        labelled: a sentence for each model whose figures were got with knowledge that knows of the test.
        partial: a sentence for each model that has not answered all questions.
    """

    table: pd.DataFrame
    questions: pd.DataFrame
    names: tuple[str, str]
    protocols: tuple[Protocol | None, Protocol | None]
    level: float
    left_out: tuple[int, int]
    labelled: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()

    def _changed(self, change: str) -> pd.DataFrame:
        return self.questions[self.questions["change"] == change].reset_index(drop=True)

    @property
    def fixed(self) -> pd.DataFrame:
        """Questions the first got wrong and the second right."""
        return self._changed("fixed")

    @property
    def regressed(self) -> pd.DataFrame:
        """Questions the first got right and the second wrong."""
        return self._changed("regressed")

    @property
    def both_wrong(self) -> pd.DataFrame:
        return self._changed("both wrong")

    @property
    def notes(self) -> list[str]:
        """What a reader must know beside the figures."""
        notes = [*self.labelled, *self.partial]
        if any(self.left_out):
            notes.append(
                f"Partial: {self.left_out[0]} questions were answered by {self.names[0]} only and "
                f"{self.left_out[1]} by {self.names[1]} only; the {len(self.questions)} that both answered are."
            )
        if self.protocols[0] != self.protocols[1]:
            notes.append(
                f"Two protocols are compared ({self.protocols[0] or 'not stated'}; {self.protocols[1] or 'not stated'}): "
                "a difference may come from the protocol alone."
            )
        return notes

    def verdict(self, task: str = AVERAGE) -> str:
        """One honest sentence, e.g. "Average: +3.1 points, 95 % interval -0.4 to 6.5: not shown"."""
        row = self.table.loc[task]
        shown = row["low"] > 0 or row["high"] < 0
        return (
            f"{task}: {row['difference']:+.1f} points, {100 * self.level:g} % interval {row['low']:.1f} to {row['high']:.1f}: "
            f"{'shown' if shown else 'not shown'}"
        )


def compare_answers(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    names: tuple[str, str] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    across_protocols: bool = False,
) -> Comparison:
    """Compare two models' answers to the same questions; differences are second minus first.

    Args:
        first, second: answers as of `answer_questions` or `read_answers`.
        draws: of the bootstrap.
        across_protocols: compare although the two were asked under different protocols (the result then says so).

    Raises:
        UserError: other protocols, another benchmark, doubled questions, or no question in common.
    """
    tables = (normalized(first, "The first"), normalized(second, "The second"))
    protocols = (protocol_of(tables[0]), protocol_of(tables[1]))
    if protocols[0] != protocols[1] and not across_protocols:
        raise UserError(
            f"The answers were given under two protocols ({protocols[0] or 'not stated'} and {protocols[1] or 'not stated'}): "
            "answer under one, or ask for a comparison across protocols."
        )
    both = tables[0].merge(tables[1][[*KEY, "correct_answer", "answer"]], on=KEY, suffixes=("", "_second"))
    if not len(both):
        raise UserError("The two have no question in common: compare answers to the same benchmark.")
    if (both["correct_answer"] != both["correct_answer_second"]).any():
        raise UserError(
            "The two state different right answers to the same questions: they are of two versions of the benchmark."
        )
    both = both.drop(columns="correct_answer_second").rename(columns={"answer": "answer_first"})
    right = [
        (both[f"answer_{side}"] == both["correct_answer"]).fillna(False).to_numpy(bool) for side in ("first", "second")
    ]
    both["change"] = np.select(
        [~right[0] & right[1], right[0] & ~right[1], ~right[0] & ~right[1]],
        ["fixed", "regressed", "both wrong"],
        "both right",
    )
    names = names or (_name(tables[0], "first"), _name(tables[1], "second"))
    return Comparison(
        table=_table(both, right, draws=draws, level=level, seed=seed),
        questions=both,
        names=names,
        protocols=protocols,
        level=level,
        left_out=(len(tables[0]) - len(both), len(tables[1]) - len(both)),
        labelled=tuple(label_notes(dict(zip(names, tables, strict=True)))),
        partial=tuple(partial_notes(dict(zip(names, tables, strict=True)))),
    )


def accuracy_intervals(answers: pd.DataFrame, *, draws: int = 2000, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Accuracy per task and "Average" in percent with its bootstrap interval: columns value, low, high, questions."""
    table = normalized(answers)
    right = (table["answer"] == table["correct_answer"]).fillna(False).to_numpy(bool)
    cells = _Cells(table, right)
    drawn = np.concatenate([cells.accuracy(weights)[0] for weights in cells.draws(draws, seed)])
    return pd.DataFrame(
        {
            "value": cells.accuracy(cells.once)[0, 0],
            **_interval(drawn, level),
            "questions": [*table["task"].value_counts().reindex(cells.tasks), len(table)],
        },
        index=pd.Index([*cells.tasks, AVERAGE], name="task"),
    )


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of p-values [N]."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(stepped)
    result[order] = np.minimum(stepped, 1.0)
    return result


def _table(both: pd.DataFrame, right: list[np.ndarray], *, draws: int, level: float, seed: int) -> pd.DataFrame:
    cells = _Cells(both, *right)
    first, second = cells.accuracy(cells.once)[:, 0]
    drawn = np.concatenate([np.diff(cells.accuracy(weights), axis=0)[0] for weights in cells.draws(draws, seed)])
    counts = pd.crosstab(both["task"], both["change"]).reindex(index=cells.tasks)
    counts = counts.reindex(columns=["fixed", "regressed", "both wrong", "both right"], fill_value=0)
    p = np.array([
        binomtest(int(fixed), int(fixed + lost), 0.5).pvalue if fixed + lost else 1.0
        for fixed, lost in zip(counts["fixed"], counts["regressed"], strict=True)
    ])  # fmt: skip
    counts.loc[AVERAGE] = counts.sum()
    counts.columns = [name.replace(" ", "_") for name in counts.columns]
    table = pd.DataFrame(
        {"questions": counts.sum(axis=1), "first": first, "second": second, "difference": second - first,
         **_interval(drawn, level)},
        index=pd.Index([*cells.tasks, AVERAGE], name="task"),
    )  # fmt: skip
    table = table.join(counts)
    table["p"] = [*p, np.nan]
    table["p_holm"] = [*holm(p), np.nan]
    return table


def _interval(drawn: np.ndarray, level: float) -> dict[str, np.ndarray]:
    tail = 50.0 * (1.0 - level)
    low, high = np.nanpercentile(drawn, [tail, 100.0 - tail], axis=0)
    return {"low": low, "high": high}


class _Cells:
    """Questions sorted into cells (dataset, task, normal or defective), so that a draw of pictures is a matrix product.

    Args:
        right: for each model, which questions it got right.
    """

    def __init__(self, table: pd.DataFrame, *right: np.ndarray) -> None:
        self.tasks = [task.value for task in Task if (table["task"] == task.value).any()]
        self.datasets = list(dict.fromkeys(table["dataset"].astype(str)))
        self.picture, images = pd.factorize(table["image"])
        self.pictures = len(images)
        task = pd.Categorical(table["task"], self.tasks).codes.astype(int)
        dataset = pd.Categorical(table["dataset"].astype(str), self.datasets).codes.astype(int)
        side = ((table["task"] == Task.DISCRIMINATION.value) & (table["defect"] == GOOD)).to_numpy(int)
        self.shape = (len(self.datasets), len(self.tasks), 2)
        self.cell = np.ravel_multi_index((dataset, task, side), self.shape)
        self.models = len(right)
        # [pictures, cells of what is asked, then of what each model got right]
        self.sums = np.concatenate([self._sum(values) for values in (np.ones(len(table)), *right)], axis=1)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Values of questions summed per picture and cell: [pictures, cells]."""
        cells = int(np.prod(self.shape))
        flat = np.bincount(self.picture * cells + self.cell, values, minlength=self.pictures * cells)
        return flat.reshape(self.pictures, -1).astype(np.float32)

    @property
    def once(self) -> np.ndarray:
        """Every picture drawn once: [1, pictures]."""
        return np.ones((1, self.pictures), np.float32)

    def draws(self, count: int, seed: int):
        """Chunks [n, pictures] of how often each picture is drawn."""
        rng = np.random.default_rng(seed)
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            drawn = rng.integers(0, self.pictures, (size, self.pictures)) + np.arange(size)[:, None] * self.pictures
            yield np.bincount(drawn.ravel(), minlength=size * self.pictures).reshape(size, -1).astype(np.float32)

    def accuracy(self, weights: np.ndarray) -> np.ndarray:
        """Percent per model, draw, task and last the average: [models, n, tasks + 1]; what a draw does not ask is left out."""
        # Weighted counts stay far below 2^24, so float32 sums are exact.
        asked, *good = np.split((weights @ self.sums).astype(np.float64), 1 + self.models, axis=1)
        share = np.divide(good, asked, out=np.full((self.models, *asked.shape), np.nan), where=asked > 0)
        by_task = _mean(share.reshape(self.models, -1, *self.shape), 4)
        average = _mean(_mean(by_task, 3), 2)
        return 100.0 * np.concatenate([_mean(by_task, 2), average[..., None]], axis=2)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean over what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis)
    total = np.where(there, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _name(table: pd.DataFrame, otherwise: str) -> str:
    return str(table["model"].iloc[0]) if "model" in table and len(table) else otherwise
