"""MMAD's numbers: parity with the rules of the benchmark's own script, and what we do otherwise on purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import UserError
from core.evaluation import accuracy_table, detection_table, unparseable_rate
from tests.unit.evaluation.scenes import random_answers

# GPT-4o, one shot, as MMAD publishes it (its repository, folder all_result): per dataset (right, asked) of the tasks that are a
# plain share, in lowest terms, and (right, asked) on defective and on normal pictures.
TASKS = ("Defect Classification", "Defect Localization", "Defect Description", "Defect Analysis", "Object Classification",
         "Object Analysis")  # fmt: skip
GPT_4O = {
    "DS-MVTec": (((929, 1205), (826, 1193), (1002, 1213), (1117, 1205), (463, 464), (1242, 1367)), (1074, 1226), (349, 465)),
    "MVTec-LOCO": (((595, 982), (527, 982), (336, 487), (85, 106), (503, 544), (423, 541)), (566, 992), (406, 573)),
    "VisA": (((348, 595), (61, 133), (57, 85), (896, 1163), (894, 935), (1156, 1403)), (838, 1198), (593, 943)),
    "GoodsAD": (((824, 1307), (766, 1499), (937, 1329), (596, 727), (276, 301), (887, 1115)), (891, 1624), (775, 1261)),
}  # fmt: skip
PUBLISHED = {
    "DS-MVTec": (81.32786051325229, 84.80044165626758, 87.60195758564437, 90.25210084033614, 88.90728476821192),
    "MVTec-LOCO": (63.955799977481284, 71.1495304626334, 57.056451612903224, 77.21691678035471, 65.6231884057971),
    "VisA": (66.41716399017805, 70.41143113565802, 69.94991652754591, 70.53872053872054, 70.2430846605197),
    "GoodsAD": (58.16184570850409, 70.86264628161082, 54.864532019704434, 64.70588235294117, 59.380206597800736),
    "Average": (67.46566754735393, 74.30601238404245, 67.36821443644948, 75.67840512808814, 71.03844110808237),
}


def told(dataset: str, folder: str, kind: str, right: int, asked: int) -> pd.DataFrame:
    return pd.DataFrame({
        "image": [f"{dataset}/thing/test/{folder}/{kind}{n}.png" for n in range(asked)], "question_type": kind,
        "correct_answer": "A", "answer": ["A"] * right + ["B"] * (asked - right),
    })  # fmt: skip


def test_the_table_that_the_benchmark_publishes_comes_out() -> None:
    answers = pd.concat(
        told(dataset, folder, task, *count)
        for dataset, (shares, defective, normal) in GPT_4O.items()
        for folder, task, count in [
            *(("dent", task, count) for task, count in zip(TASKS, shares, strict=True)),
            ("dent", "Anomaly Detection", defective), ("good", "Anomaly Detection", normal),
        ]
    )  # fmt: skip
    ours = accuracy_table(answers)[["Anomaly Detection", "Average"]].join(
        detection_table(answers)[["recall", "precision", "F1"]]
    )
    np.testing.assert_allclose(ours, pd.DataFrame(PUBLISHED).T.loc[ours.index], rtol=0, atol=1e-9)


def kept_by_the_script(answers: pd.DataFrame) -> pd.DataFrame:
    """What the benchmark's script scores: it takes rows without a letter out of the list while it walks over it."""
    rows, place, kept = list(answers.index), 0, []
    while place < len(rows):
        if isinstance(answers.at[rows[place], "answer"], str):
            kept.append(rows[place])
        else:
            del rows[place]  # the next row moves up to this place, and the walk goes on behind it
        place += 1
    return answers.loc[kept]


def benchmark_rules(answers: pd.DataFrame) -> pd.DataFrame:
    """The scoring as the benchmark describes it, written out question by question."""
    cells: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for row in answers.itertuples():
        dataset = row.image.split("/")[0]
        task = "Object Analysis" if row.question_type in ("Object Structure", "Object Details") else row.question_type
        cells.setdefault((dataset, task), []).append(("/good/" in row.image, row.answer == row.correct_answer))
    table: dict[str, dict[str, float]] = {}
    for (dataset, task), seen in cells.items():
        if task == "Anomaly Detection":
            sides = [[right for normal, right in seen if normal is side] for side in (True, False)]
            value = sum(sum(side) / len(side) for side in sides) / 2
        else:
            value = sum(right for _, right in seen) / len(seen)
        table.setdefault(dataset, {})[task] = 100 * value
    for row in table.values():
        row["Average"] = sum(row.values()) / len(row)
    columns = next(iter(table.values()))
    table["Average"] = {name: sum(table[d][name] for d in list(table)) / len(table) for name in columns}
    return pd.DataFrame(table).T


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_benchmarks_scoring(seed: int) -> None:
    answers = random_answers(3000, seed=seed)
    ours, theirs = accuracy_table(answers), benchmark_rules(answers)
    assert set(ours.columns) == set(theirs.columns)
    assert list(ours.columns)[-1] == "Average" and list(ours.index)[-1] == "Average"
    np.testing.assert_allclose(ours, theirs.loc[ours.index, ours.columns], rtol=0, atol=1e-9)


def test_an_answer_without_a_letter_is_wrong_and_costs_no_neighbour() -> None:
    """The benchmark's script drops such a row and, by a slip, skips the one after it."""
    answers = random_answers(3000, silent=0.2)
    spelled = answers.assign(answer=answers["answer"].fillna("Z"))
    pd.testing.assert_frame_equal(
        accuracy_table(answers), benchmark_rules(spelled).loc[:, accuracy_table(answers).columns].rename_axis("dataset")
    )
    assert unparseable_rate(answers) == pytest.approx(20, abs=3)
    assert accuracy_table(answers).attrs["unparseable"] == unparseable_rate(answers)
    # Where nobody is silent the script keeps all; else it loses up to twice the silent ones, and its figures are kinder.
    kept = kept_by_the_script(answers)
    silent = int(answers["answer"].isna().sum())
    assert silent < len(answers) - len(kept) <= 2 * silent
    assert benchmark_rules(kept).loc["Average", "Average"] > accuracy_table(answers).loc["Average", "Average"] + 10
    assert len(kept_by_the_script(random_answers(100))) == 100


def test_what_is_no_letter_is_no_answer() -> None:
    """MMAD's own answer files hold "" where a model gave nothing."""
    answers = random_answers(400, silent=0.2)
    spelled = answers.assign(answer=answers["answer"].fillna(""))
    assert unparseable_rate(spelled) == unparseable_rate(answers) > 0
    pd.testing.assert_frame_equal(accuracy_table(spelled), accuracy_table(answers))
    pd.testing.assert_frame_equal(detection_table(spelled), detection_table(answers))
    for nothing in ("yes", "A or B", 3, float("nan")):
        assert unparseable_rate(answers.assign(answer=[nothing] * len(answers))) == 100


def test_normal_is_the_folder_good_not_the_word() -> None:
    rows = [("GoodsAD/goods/test/opened/1.png", "A", "A"), ("GoodsAD/goods/test/good/2.png", "B", "A")]
    answers = pd.DataFrame(
        [{"image": i, "question_type": "Anomaly Detection", "correct_answer": c, "answer": a} for i, c, a in rows]
    )
    found = detection_table(answers).loc["GoodsAD"]
    assert (found["normal"], found["defective"]) == (1, 1)
    assert (found["recall"], found["overkill"], found["miss"]) == (100, 100, 0)
    assert found["precision"] == 50 and found["F1"] == pytest.approx(200 / 3)
    assert accuracy_table(answers).loc["GoodsAD", "Anomaly Detection"] == 50


def test_a_label_of_its_own_overrules_the_folder() -> None:
    answers = pd.DataFrame(
        {"image": ["D/p/test/dent/1.png"], "defect": ["good"], "question_type": ["Anomaly Detection"],
         "correct_answer": ["B"], "answer": ["A"]}
    )  # fmt: skip
    assert detection_table(answers).loc["D", "overkill"] == 100


def test_a_task_that_a_dataset_lacks_is_left_out_not_zero() -> None:
    answers = pd.DataFrame(
        [("One/p/test/dent/1.png", "Defect Analysis", "A"), ("One/p/test/dent/1.png", "Object Analysis", "B"),
         ("Two/p/test/dent/2.png", "Defect Analysis", "A")],
        columns=["image", "question_type", "answer"],
    ).assign(correct_answer="A")  # fmt: skip
    table = accuracy_table(answers)
    assert "Anomaly Detection" not in table
    assert np.isnan(table.loc["Two", "Object Analysis"])
    assert (
        table.loc["Two", "Average"] == 100
        and table.loc["One", "Average"] == 50
        and table.loc["Average", "Average"] == 75
    )


def test_by_product() -> None:
    table = accuracy_table(random_answers(800), by="product")
    assert "VisA/p2" in table.index and table.index[-1] == "Average"


def test_bad_input_is_named() -> None:
    answers = random_answers(50)
    with pytest.raises(UserError, match="lack the column answer"):
        accuracy_table(answers.drop(columns="answer"))
    with pytest.raises(UserError, match="twice"):
        accuracy_table(pd.concat([answers, answers.head(1)]))
    with pytest.raises(UserError, match="unknown question type 'Weather'"):
        accuracy_table(answers.assign(question_type="Weather"))
    protocol = dict(
        shots=[0, 1] * 25, template="similar", knowledge=True, thinking=False, heatmap=True, answering="letters", seed=0
    )
    with pytest.raises(UserError, match="mix several protocols"):
        accuracy_table(answers.assign(**protocol))


def test_no_answers_make_an_empty_table() -> None:
    assert len(accuracy_table(random_answers(50).head(0))) == 0
