"""From metrics to charts."""

from __future__ import annotations

import pandas as pd

from studio.i18n import texts
from studio.views.curves import CURVES, chart, colours, lines, smooth, sparkline, thin, trend

BY_ID = {curve.id: curve for curve in CURVES}


def metrics(steps: int = 5) -> pd.DataFrame:
    sft = [{"stage": "sft", "step": step, "loss": 2.0 / step} for step in range(1, steps + 1)]
    grpo = [
        {"stage": "grpo", "step": step, "loss": 0.1, "reward": step, "hard_groups": 0.5,
         "rewards/accuracy_reward/mean": 0.5, "rewards/accuracy_reward/std": 0.1, "rewards/format_reward/mean": None}
        for step in range(1, steps + 1)
    ]  # fmt: skip
    return pd.DataFrame(sft + grpo)


def test_the_stages_follow_each_other_on_one_axis():
    assert chart({"run": metrics(3)}, BY_ID["loss"])["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert chart({"run": metrics(3)}, BY_ID["reward"])["step"].tolist() == [4, 5, 6]


def test_every_reward_function_is_a_line_and_empty_or_spread_columns_are_not():
    assert list(lines(metrics(), BY_ID["rewards"])) == ["accuracy"]
    assert list(lines(metrics(), BY_ID["rewards"], "mine")) == ["mine · accuracy"]


def test_shares_are_shown_in_percent():
    assert set(chart({"run": metrics()}, BY_ID["hard"])["value"]) == {50.0}


def test_runs_laid_over_each_other_are_named_after_the_runs():
    assert chart({"a": metrics(), "b": metrics()}, BY_ID["reward"])["series"].unique().tolist() == ["a", "b"]


def test_a_run_that_has_measured_nothing_gives_empty_charts():
    for empty in (pd.DataFrame(), pd.DataFrame({"stage": [], "step": [], "time": []})):
        assert all(not len(chart({"run": empty}, curve)) for curve in CURVES)
        assert trend(empty) == ("", [])


def test_a_stage_that_does_not_measure_something_has_no_such_line():
    only_sft = metrics().query("stage == 'sft'")[["stage", "step", "loss"]]
    assert lines(only_sft, BY_ID["kl"]) == {} and trend(only_sft)[0] == "loss"


def test_the_trend_is_that_of_the_latest_stage():
    rows = [{"stage": "grounding", "step": s, "loss": 5.0} for s in (1, 2)]
    rows += [{"stage": "sft", "step": s, "loss": 1.0} for s in (1, 2)]
    assert trend(pd.DataFrame(rows)) == ("SFT", [1.0, 1.0])


def test_a_long_run_is_thinned_and_keeps_its_last_point():
    table = pd.DataFrame({"step": range(10_001), "value": 0.0})
    assert len(thin(table)) <= 300 and thin(table)["step"].iloc[-1] == 10_000


def test_smoothing_starts_at_the_first_value_and_calms_the_rest():
    assert smooth([4.0, 4.0, 4.0], 0.9) == [4.0, 4.0, 4.0]
    assert smooth([0.0, 10.0], 0.0) == [0.0, 10.0]
    assert 0 < smooth([0.0, 10.0], 0.5)[1] < 10


def test_a_sparkline_says_what_it_shows_and_escapes_it():
    svg = sparkline([1.0, 3.0], 'a "name"')
    assert "<svg" in svg and "&quot;name&quot;" in svg and "1 to 3" in svg
    assert sparkline([1.0], "x") == ""


def test_every_chart_has_a_title_and_every_series_a_colour():
    assert all(f"train.curve.{curve.id}" in texts() for curve in CURVES)
    assert len(colours([str(i) for i in range(12)])) == 12


def test_the_losses_of_two_stages_are_two_lines() -> None:
    metrics = pd.DataFrame(
        {"stage": ["sft", "sft", "grpo", "grpo"], "step": [1, 2, 1, 2], "loss": [2.0, 1.5, 0.0, 0.01]}
    )
    loss = next(curve for curve in CURVES if curve.id == "loss")
    found = lines(metrics, loss)
    assert list(found) == ["SFT", "GRPO"]
    assert found["SFT"]["value"].tolist() == [2.0, 1.5] and found["GRPO"]["step"].tolist() == [3, 4]
    assert list(lines(metrics, loss, "first try")) == ["first try · SFT", "first try · GRPO"]
    assert list(lines(metrics[:2], loss)) == ["loss"]
