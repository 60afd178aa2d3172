"""The seven tasks of two models."""

from __future__ import annotations

from studio.views.pairs import pair
from studio.views.report import report
from studio.views.scores import Score, radar, scores, table, to_csv
from tests.unit.studio.test_pairs import answers

ROWS = [
    Score("Anomaly Detection", 50.0, 80.0, 12.0, 48.0, 0.01, 40, 14, 2),
    Score("Defect Classification", 60.0, 55.0, -20.0, 10.0, 0.8, 40, 2, 4),
    Score("Object Classification", 90.0, 90.0, 0.0, 0.0, 1.0, 40, 0, 0),
    Score("Average", 66.7, 75.0, -1.0, 17.0, float("nan"), 120, 16, 6),
]


def test_scores_follow_the_benchmarks_rules():
    first, second = answers("BBBBAAAA").assign(question_type="Anomaly Detection"), answers("AAAAAAAA")
    rows = scores(first, second.assign(question_type="Anomaly Detection"))
    assert [row.task for row in rows] == ["Anomaly Detection", "Average"]
    assert (rows[0].first, rows[0].second, rows[0].fixed, rows[0].regressed) == (50.0, 100.0, 4, 0)


def test_nothing_in_common_gives_no_rows():
    first = answers("AB").assign(question_type="Anomaly Detection")
    assert scores(first, first.assign(image=lambda t: "x/" + t["image"])) == []


def test_only_a_difference_that_is_shown_is_coloured():
    html = table(ROWS, "<base>", "tuned", "en")
    assert '<td class="up"><b>+30.0</b></td>' in html and '<td class=""><b>-5.0</b></td>' in html
    assert "<base>" not in html and "–" in html


def test_the_radar_says_its_figures_and_needs_three_tasks():
    svg = radar(ROWS, "base", "tuned", "en")
    assert svg.count("<polygon") == 6 and "Anomaly detection: 50 %, 80 %" in svg
    assert radar(ROWS[:2], "base", "tuned", "en") == ""


def test_the_table_as_csv_leaves_out_what_cannot_be_told():
    last = to_csv(ROWS).splitlines()[-1].split(",")
    assert last[0] == "Average" and last[6] == "" and last[-1] == "120"


def test_the_report_is_one_page_without_foreign_markup():
    pairs = pair(answers("B", ["<script>x</script>"]), answers("A"))
    page = report("<i>base</i>", "tuned", ROWS, pairs, lambda image: None, "en")
    assert page.startswith("<!doctype html>") and "<script>" not in page and "<i>base" not in page
    assert "Questions that changed" in page
