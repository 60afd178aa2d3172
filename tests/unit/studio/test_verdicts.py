"""Verdicts on own pictures: rounds of types, regions, exports, adding to the benchmark."""

from __future__ import annotations

import csv
import io
import json
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.errors import UserError
from core.mmad import Task, read_mmad
from studio.adding import add_picture, mask_of
from studio.inspection import Verdict, Wish, hottest_regions, inspect_pictures
from studio.models import Loaded
from studio.views.verdicts import to_csv, to_json, verdict_card, verdict_list
from tests.ui.benchmark import write_benchmark

GREY = Image.new("RGB", (60, 60), "grey")


@pytest.fixture
def model(monkeypatch):
    """A model that sees a defect in dark pictures, knows dents, and takes the first option otherwise."""
    asked = []

    def answer(model, processor, bench, *, protocol, **rest):
        sample = bench.samples[0]
        question = sample.questions[0]
        asked.append((question.task, tuple(question.options.values()), protocol))
        dark = np.asarray(Image.open(bench.path(sample.image))).mean() < 100
        letter = next((x for x, text in question.options.items() if text == "dent"), "A")
        return pd.DataFrame([{"answer": letter, "p_defect": 0.9 if dark else 0.2, "reply": "<think>dark</think>"}])

    monkeypatch.setattr("core.evaluation.asking.answer_questions", answer)
    heat = np.zeros((9, 9))
    heat[0, 8] = 1.0
    monkeypatch.setattr("core.heatmap.pairs.compare_pictures", lambda *a, **k: heat)
    return SimpleNamespace(loaded=Loaded(None, None, threading.Lock()), asked=asked)


def test_a_defective_picture_gets_type_and_place_a_good_one_does_not(model):
    wish = Wish("d/p", ("scratch", "dent"), {"dent": "A hollow."}, 0.5)
    pictures = [("bad.png", Image.new("RGB", (60, 60), "black")), ("good.png", Image.new("RGB", (60, 60), "white"))]
    bad, good = inspect_pictures(model.loaded, pictures, [GREY], wish)
    assert (bad.defective, bad.kind, bad.place) == (True, "dent", "top right")
    assert (good.defective, good.kind, good.place) == (False, "", "")
    assert bad.heat is not None and bad.difference == 1.0


def test_a_type_is_shown_in_the_words_of_the_question():
    verdict = Verdict("a.png", 0.9, 0.5, kind="mousebite", place="top right")
    for html in (verdict_list([verdict], 0, "en"), verdict_card(verdict, {}, "en")):
        assert "mouse bite" in html and "mousebite" not in html


def test_more_than_four_types_are_asked_in_rounds(model):
    kinds = tuple(f"type {i}" for i in range(6)) + ("dent",)
    (verdict,) = inspect_pictures(model.loaded, [("x", Image.new("RGB", (9, 9)))], [GREY], Wish(kinds=kinds))
    rounds = [options for task, options, _ in model.asked if task == Task.DEFECT_CLASSIFICATION]
    assert verdict.kind == "dent" and [len(options) for options in rounds] == [4, 3, 2]


def test_without_a_reference_there_is_no_heatmap_and_no_place(model):
    (verdict,) = inspect_pictures(model.loaded, [("x", Image.new("RGB", (9, 9)))], [], Wish())
    assert verdict.heat is None and verdict.place == "" and model.asked[0][2].shots == 0


def test_the_hottest_regions_are_named():
    heat = np.zeros((32, 32))
    heat[31, 0], heat[16, 16] = 2.0, 1.0
    assert hottest_regions(heat)[:2] == ("bottom left", "center") and len(hottest_regions(heat)) == 4


def test_exports_hold_no_formula_and_no_picture():
    verdicts = [Verdict("=1+1.png", 0.7, 0.5, "dent", "top", 0.4, picture=GREY), Verdict("b.png", 0.1, 0.5)]
    rows = list(csv.DictReader(io.StringIO(to_csv(verdicts))))
    assert rows[0]["name"] == "'=1+1.png" and rows[0]["verdict"] == "defective" and rows[1]["verdict"] == "good"
    assert json.loads(to_json(verdicts))[0]["kind"] == "dent" and "picture" not in rows[0]


def test_names_are_shown_and_never_run():
    verdict = Verdict("<img onerror=x>.png", 0.52, 0.5, "dent", "top", reasoning="<b>x</b>")
    html = verdict_list([verdict], 0, "en") + verdict_card(verdict, {"dent": "A <i>hollow</i>."}, "en")
    assert "<img" not in html and "<i>hollow" not in html and "<b>x</b>" not in html
    assert "close to the threshold" in html


@pytest.fixture
def opened(tmp_path):
    return SimpleNamespace(bench=write_benchmark(tmp_path, good=2, bad=1), name="drawn", id=1)


def drawn(size=(30, 30)) -> dict:
    layer = Image.new("RGBA", size)
    layer.paste((255, 0, 0, 255), (0, 0, 10, 10))
    return {"background": None, "layers": [layer], "composite": None}


def test_a_wrong_verdict_becomes_a_training_sample_with_mask_and_questions(opened):
    sample = add_picture(None, opened, GREY, product="drawn/washer", label="dent", drawn=drawn())
    found = read_mmad(opened.bench.root).by_image[sample.image]
    assert (found.defect, found.split, found.source) == ("dent", "train", "inspected")
    assert Image.open(read_mmad(opened.bench.root).mask_path(found)).size == GREY.size
    assert Task.DEFECT_LOCALIZATION in {question.task for question in found.questions}
    assert found.similar_templates


def test_a_good_piece_needs_no_mask_and_a_picture_is_added_once(opened):
    sample = add_picture(None, opened, GREY, product="drawn/washer", label="good", drawn=drawn())
    assert sample.defect is None and sample.mask is None
    with pytest.raises(UserError, match="already"):
        add_picture(None, opened, GREY, product="drawn/washer", label="dent", drawn=None)


@pytest.mark.parametrize("label", ["", "../x", "a/b", "a\\b", ".hidden", "x" * 90])
def test_a_label_that_is_no_name_is_refused(opened, label):
    with pytest.raises(UserError, match="label"):
        add_picture(None, opened, GREY, product="drawn/washer", label=label, drawn=None)
    assert len(read_mmad(opened.bench.root)) == len(opened.bench)


def test_an_unknown_product_is_refused(opened):
    with pytest.raises(UserError, match="product"):
        add_picture(None, opened, GREY, product="../x", label="dent", drawn=None)


def test_an_empty_drawing_is_no_mask():
    assert mask_of(None, (4, 4)) is None
    assert mask_of({"layers": [Image.new("RGBA", (9, 9))]}, (4, 4)) is None
