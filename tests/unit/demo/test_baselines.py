"""A map alone answers detection and localization, with a threshold from pictures that are not judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.demo.baselines import (
    Reading,
    answers_of,
    choose,
    comparable,
    difference,
    judge_maps,
    make_baselines,
    read_maps,
)
from core.demo.evidence import read_bench
from core.errors import UserError
from core.evaluation import accuracy_table
from core.mmad import Benchmark, Question, Sample

PLACES = {"A": "upper left", "B": "upper right", "C": "lower left", "D": "lower right"}


@pytest.fixture
def bench(tmp_path: Path) -> Benchmark:
    """Grey plates with noise, half with a dark spot in a corner; the reference is the plate without it."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(36):
        split, bad, corner = ("train", "val", "test")[number % 3], number // 3 % 2 == 1, number % 4
        pixels = rng.integers(140, 160, (60, 60, 3), dtype=np.uint8)
        name = f"Demo/plate/{split}/{number:02d}.png"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name.replace(".png", "-reference.png"))
        if bad:
            top, left = 4 + 36 * (corner // 2), 4 + 36 * (corner % 2)
            pixels[top : top + 12, left : left + 12] = 30
        Image.fromarray(pixels).save(tmp_path / name)
        asked = [Question("Is there a defect?", {"A": "Yes.", "B": "No."}, "A" if bad else "B", "Anomaly Detection"),
                 Question("What is it?", {"A": "plate", "B": "cup"}, "A", "Object Classification")]  # fmt: skip
        if bad:
            asked.append(Question("Where is it?", PLACES, "ABCD"[corner], "Defect Localization"))
        samples.append(Sample(name, "Demo", "plate", "spot" if bad else None, split=split, questions=tuple(asked),
                              similar_templates=(name.replace(".png", "-reference.png"),)))  # fmt: skip
    return Benchmark(tmp_path, tuple(samples))


def test_the_difference_finds_and_places_a_plain_spot(bench: Benchmark) -> None:
    asked, result = judge_maps(bench, difference, "difference")
    parts = result["parts"]["all"]
    assert parts["Anomaly Detection"] == 100 and parts["Defect Localization"] == 100
    assert parts["Object Classification"] is None and parts["Average"] is None
    assert 0.05 < result["chosen"]["threshold"] < 0.9 and result["chosen"]["pictures"] == 24
    assert asked["questions"] == len(result["right"])


def test_the_threshold_comes_from_other_pictures_than_the_judged(bench: Benchmark) -> None:
    known = comparable(bench.split("train", "val"))
    chosen = choose(known, read_maps(known, difference, "known"), "difference")
    test = comparable(bench.split("test"))
    maps = read_maps(test, difference, "test")
    assert (
        accuracy_table(answers_of(test, maps, name="difference", **chosen)).loc["Average", "Anomaly Detection"] == 100
    )
    # A threshold nothing reaches calls everything good: half of the balanced accuracy.
    blind = answers_of(test, maps, name="difference", threshold=2.0)
    assert accuracy_table(blind).loc["Average", "Anomaly Detection"] == 50


def test_a_map_that_says_nothing_is_at_chance(bench: Benchmark) -> None:
    rng = np.random.default_rng(1)
    _, result = judge_maps(bench, lambda query, reference: rng.random((14, 14)), "heatmap_alone")
    assert 0 <= result["parts"]["all"]["Defect Localization"] <= 80


def test_regions_follow_the_grid_of_the_questions() -> None:
    heat = np.zeros((9, 9))
    heat[7, 4] = 1
    reading = Reading.of(heat)
    assert reading.highest == 1 and int(reading.peak.argmax()) == int(reading.mean.argmax()) == 7


def test_what_is_there_is_not_made_again(bench: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = make_baselines(bench, ["difference"], base="none", name="plates", out=out)
    assert [path.name for path in made] == ["difference-0.json"]
    assert make_baselines(bench, ["difference"], base="none", name="plates", out=out) == []
    found = read_bench(out / "plates")
    assert (
        found
        and found.values("difference", "Average") == []
        and found.values("difference", "Anomaly Detection") == [100]
    )
    with pytest.raises(UserError, match="There is no baseline 'guess'"):
        make_baselines(bench, ["guess"], base="none", name="plates", out=out)


def test_pictures_to_choose_on_are_needed(bench: Benchmark) -> None:
    with pytest.raises(UserError, match="needs detection questions"):
        judge_maps(bench.split("test"), difference, "difference")
