"""The report is one file that needs nothing else, and says what a reader must know."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import UserError
from core.evaluation import published_table, write_report
from core.evaluation.figures import defect_confusion, difficulty_plot, localization_map, region_of
from core.evaluation.records import Reply, frame, row
from core.mmad import Benchmark, Protocol, Task
from core.mmad.leaks import FROM_TEST_IMAGES, NAMES_DEFECTS
from tests.unit.evaluation.scenes import random_answers, small_benchmark


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return small_benchmark(tmp_path_factory.mktemp("bench"), 12)


def answered(bench: Benchmark, skill: float, seed: int, labels: tuple[str, ...] = (NAMES_DEFECTS,)) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for sample in bench:
        for index, question in enumerate(sample.questions):
            letters = list(question.options)
            p = rng.dirichlet(np.ones(len(letters)))
            letter = question.answer if rng.random() < skill else letters[int(p.argmax())]
            rows.append(
                row(
                    sample,
                    index,
                    Reply(letter, letter, tuple(p)),
                    f"model {seed}",
                    Protocol(answering="letters"),
                    labels,
                )
            )
    return frame(rows)


def test_a_comparison_report_is_self_contained(bench: Benchmark, tmp_path: Path) -> None:
    difficulty = bench.questions[["image", "index", "question_type"]].assign(wrong=0.5)
    place = write_report(
        {"base": answered(bench, 0.6, 1), "<tuned>": answered(bench, 0.5, 2)}, tmp_path, bench=bench, difficulty=difficulty,
        heatmap=lambda query, reference: np.eye(8), draws=100,
    )  # fmt: skip
    html = place.read_text()
    elsewhere = r"""(?:src|href)=["'](?!data:|https://arxiv\.org|https://github\.com/jam-cc)[^"']*"""
    assert not re.findall(elsewhere, html), "nothing is fetched"
    assert "<script" not in html and "<tuned>" not in html, "names are escaped"
    headings = ("What the comparison shows", "Places", "Defect types", "Can P(defect)", "Difficulty", "Regressions")
    for heading in (*headings, "Published"):
        assert heading in html
    assert "heatmap" in html and "95 % interval" in html and "names the test&#39;s defect classes" in html
    comparison = pd.read_csv(tmp_path / "comparison.csv", index_col=0)
    assert set(comparison.index) == {*Task, "Average"}
    assert (tmp_path / "base-decision.csv").is_file()


def test_labels_stand_at_every_table_of_the_model_they_are_of(bench: Benchmark, tmp_path: Path) -> None:
    tables = {"clean": answered(bench, 0.6, 1, ()), "told": answered(bench, 0.5, 2, (NAMES_DEFECTS, FROM_TEST_IMAGES))}
    html = write_report(tables, tmp_path, bench=bench, draws=50).read_text()
    said = "knowledge names the test&#39;s defect classes and knowledge was written from test images"
    # at the top, at the comparison, and at accuracy, detection, ranking and decision
    assert html.count(f"told: {said}") == 6 and f"clean: {said}" not in html


def test_a_partial_babbling_model_is_called_so(bench: Benchmark, tmp_path: Path) -> None:
    answers = answered(bench, 0.5, 1).head(20).assign(answer=None, p_defect=np.nan)
    answers.attrs["total"] = len(bench.questions)
    html = write_report({"babbler": answers}, tmp_path, bench=bench, draws=50).read_text()
    assert f"20 of {len(bench.questions)} questions" in html and "babble" in html and "Wrong answers" in html


def test_answers_with_the_required_columns_alone_make_a_report(tmp_path: Path) -> None:
    assert write_report({"plain": random_answers(200)}, tmp_path, draws=50).is_file()


def test_what_cannot_be_reported_on(tmp_path: Path) -> None:
    answers = random_answers(60)
    with pytest.raises(UserError, match="one or two"):
        write_report({"a": answers, "b": answers, "c": answers}, tmp_path)
    with pytest.raises(UserError, match="no answers"):
        write_report({"a": answers.head(0)}, tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("text", "region"),
    [("Top left.", 0), ("The upper left corner", 0), ("left top", 0), ("top", 1), ("upper middle", 1), ("Right.", 5),
     ("center", 4), ("Middle of the left edge", 3), ("bottom right area", 8), ("left and right", None), ("everywhere", None)],
)  # fmt: skip
def test_the_region_an_option_names(text: str, region: int | None) -> None:
    assert region_of(text) == region


def test_figures_leave_out_what_was_not_asked() -> None:
    answers = random_answers(100)
    assert defect_confusion(answers) is None and localization_map(answers) is None
    of_another_product = answers[["image", "index", "question_type"]].assign(wrong=0.5)
    of_another_product["image"] = "X" + of_another_product["image"]
    assert difficulty_plot({"base": answers}, of_another_product) is None


def test_a_test_question_is_as_hard_as_its_kind_was_in_training() -> None:
    kinds = [("easy", 0.1, "A"), ("hard", 0.9, "B")]
    trained = pd.DataFrame(
        [(f"D/{product}/train/dent/{n}.png", 0, "Defect Analysis", wrong) for product, wrong, _ in kinds for n in range(4)],
        columns=["image", "index", "question_type", "wrong"],
    )  # fmt: skip
    answers = pd.DataFrame(
        [(f"D/{product}/test/dent/{n}.png", 0, "Defect Analysis", "A", said) for product, _, said in kinds for n in range(4)],
        columns=["image", "index", "question_type", "correct_answer", "answer"],
    )  # fmt: skip
    figure = difficulty_plot({"base": answers}, trained)
    assert figure is not None
    points = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0.1, 100], [0.9, 0]])


def test_the_gallery_shows_the_question_that_was_asked(bench: Benchmark, tmp_path: Path) -> None:
    """A run that asks only some questions of a picture counts them anew: the number does not tell which was meant."""
    answers = answered(bench, 0.5, 1)
    last = answers.groupby("image").tail(1).assign(index=0, answer=None)
    html = write_report({"some": last}, tmp_path, bench=bench, draws=20).read_text()
    assert "What follows from the defect?" in html and "Is there any defect" not in html


def test_published_figures_carry_protocol_and_source() -> None:
    table = published_table()
    assert table["protocol"].str.len().gt(10).all() and table["source"].str.len().gt(10).all()
    assert not table["model"].duplicated().any()
    whole = table[~table["approximate"]].dropna(subset=[task.value for task in Task])
    assert len(whole) >= 10 and "EMIT-8B" in set(whole["model"])
    means = whole[[task.value for task in Task]].mean(axis=1)
    np.testing.assert_allclose(means, whole["Average"], atol=0.011, err_msg="the mean of its seven tasks")


def test_what_must_be_said_beside_figures_goes_with_the_tables_too(tmp_path: Path) -> None:
    from core.evaluation.report import _csv, table_json

    table = pd.DataFrame({"Average": [50.0]}, index=["Factory"])
    _csv(tmp_path / "table.csv", table, ("knowledge names the test's defect classes",))
    assert pd.read_csv(tmp_path / "table.csv")["labels"].tolist() == ["knowledge names the test's defect classes"]
    assert table_json(table, ("a", "b")) == {"Factory": {"Average": 50.0}, "labels": ["a", "b"]}
    assert table_json(table) == {"Factory": {"Average": 50.0}}
