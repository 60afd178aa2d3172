"""Text samples: the text says what the answers say, references are pictures of the product, nothing is invented twice."""

from __future__ import annotations

from collections import Counter

import pytest

from core.mmad import Task, build_prompt, read_mmad, write_mmad
from core.synthesis import text_samples
from core.synthesis.descriptions import Endpoint
from core.synthesis.regions import WORDINGS
from tests.describing import make_bench
from tests.openai_server import OpenAIServer, prompt_text

KNOWLEDGE = {
    "shop": {
        "plate": {
            "good": "<Normal>\n Description: The gray plate has one even matte surface with straight edges. It shows no scratch.",
            "scratch": "<Scratch>\n Description: A thin bright line runs over the surface and breaks its even reflection.",
            "hole": "<Hole>\n Description: A dark round opening with a sharp rim lies in the sheet of the plate.",
        }
    }
}


def bench_without_defects(root, **settings):
    return make_bench(root / "b", splits=["train"], defects=[], normals=6, knowledge=KNOWLEDGE, **settings)


def said_place(text):
    """Regions whose wording stands in the text."""
    return {
        i for i, wordings in enumerate(WORDINGS) if any(f"in the {w} of the picture" in text.lower() for w in wordings)
    }


def test_offline_samples_carry_their_answers_in_their_text(tmp_path):
    made = text_samples(bench_without_defects(tmp_path), pictures=5, per_picture=2, per_defect=9)
    labels = Counter(s.label for s in made)
    assert labels == {"good": 10, "scratch": 9, "hole": 9}
    for sample in made:
        tasks = [q.task for q in sample.questions]
        right = {q.task: q.options[q.answer] for q in sample.questions}
        assert sample.text and sample.split == "train" and sample.source == "text" and sample.similar_templates
        if sample.is_normal:
            assert (
                tasks == [Task.DISCRIMINATION] and right[Task.DISCRIMINATION] == "No." and not said_place(sample.text)
            )
        else:
            assert right[Task.DISCRIMINATION] == "Yes." and right[Task.DEFECT_CLASSIFICATION].lower() == sample.defect
            (place,) = said_place(sample.text)
            assert right[Task.DEFECT_LOCALIZATION].lower() in WORDINGS[place]
            assert ("bright line" in sample.text) == (sample.defect == "scratch")
            assert sample.defect not in sample.text.lower(), "the text must not give the name away"
    places = Counter(next(iter(said_place(s.text))) for s in made if not s.is_normal)
    assert set(places.values()) == {2}, "every place equally often"


def test_normal_texts_do_not_say_that_they_are_normal(tmp_path):
    for sample in text_samples(bench_without_defects(tmp_path)):
        assert "normal" not in sample.text.lower() and "shows no" not in sample.text


def test_the_query_is_the_text_and_the_reference_another_picture(tmp_path):
    bench = bench_without_defects(tmp_path)
    for sample in text_samples(bench):
        prompt = build_prompt(bench, sample, sample.questions[0])
        (reference,) = prompt.images
        assert bench.path(reference).is_file() and reference not in sample.extra["written_from"]
        assert sample.text in str(prompt.messages) and not prompt.compares


def test_they_survive_the_disk(tmp_path):
    bench = bench_without_defects(tmp_path)
    made = text_samples(bench)
    write_mmad(bench.select((*bench.samples, *made)))
    again = [s for s in read_mmad(bench.root) if s.text]
    assert [(s.image, s.text, s.defect, s.questions) for s in again] == [
        (s.image, s.text, s.defect, s.questions) for s in made
    ]
    assert again[0].extra["written_by"] == "offline" and again[0].extra["written_from_splits"] == ["train"]


def test_only_products_without_defect_pictures_get_them_unless_named(tmp_path):
    with_defects = make_bench(tmp_path / "b", splits=["train"], normals=3, knowledge=KNOWLEDGE)
    assert len(text_samples(with_defects)) == 0
    assert len(text_samples(with_defects, products=["plate"])) > 0


def test_too_few_pictures_or_no_knowledge_is_said(tmp_path):
    lonely = make_bench(tmp_path / "a", splits=["train"], defects=[], normals=1, knowledge=KNOWLEDGE)
    assert "two normal pictures" in text_samples(lonely).failures[0].reason
    unknown = make_bench(tmp_path / "b", splits=["train"], defects=[], normals=3)
    assert "No defect of plate is described" in text_samples(unknown, products=["plate"]).failures[0].reason


def test_test_pictures_leave_a_label(tmp_path):
    bench = make_bench(tmp_path / "b", splits=["test"], normals=3, knowledge=KNOWLEDGE)
    made = text_samples(bench)
    assert len(made) and {tuple(s.extra["written_from_splits"]) for s in made} == {("test",)}


def test_a_model_writes_them_and_a_lost_place_is_put_right(tmp_path):
    def answer(prompt: str) -> str:
        if "imagine" not in prompt:
            return '{"title": "Plate", "description": "A flat gray plate."}'
        place = prompt.split('use the words "')[1].split('"')[0]
        where = "somewhere" if place == "center" else f"in its {place} part"
        return f'{{"title": "Plate", "description": "A plate with a simulated mark {where}."}}'

    bench = bench_without_defects(tmp_path)
    with OpenAIServer(answer=answer) as server:
        settings = {"endpoint": Endpoint("gpt-4o", server.url, "k", pause=0.001), "cache": tmp_path / "c"}
        expected = text_samples(bench, dry_run=True, **settings).estimate
        made = text_samples(bench, **settings)
        assert expected.calls == made.usage.calls == len(server.requests) == 5 + 18
        again = text_samples(bench, **settings)
        assert again.usage.calls == 0 and [s.text for s in again] == [s.text for s in made]
    for sample in made:
        assert sample.extra["written_by"] == "gpt-4o"
        if sample.is_normal:
            assert sample.text.startswith("A flat gray plate.")
        elif sample.extra["place"] == "center":
            assert said_place(sample.text) == {4}
        else:
            assert f"simulated mark in its {sample.extra['place']} part" in sample.text
    asked = [prompt_text(body) for body in server.requests if "imagine" in prompt_text(body)]
    assert all("A flat gray plate." in text for text in asked)


def test_failed_calls_leave_out_their_samples_only(tmp_path):
    bench = bench_without_defects(tmp_path)
    faults = ["ok"] * 5 + ["refusal"]
    with OpenAIServer(faults) as server:
        endpoint = Endpoint("gpt-4o", server.url, "k", pause=0.001, workers=1)
        made = text_samples(bench, endpoint=endpoint, cache=tmp_path / "c")
    assert len(made.failures) == 1 and sum(not s.is_normal for s in made) == 17


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_samples(tmp_path, seed):
    bench = bench_without_defects(tmp_path)
    assert list(text_samples(bench, seed=seed)) == list(text_samples(bench, seed=seed))
    assert [s.text for s in text_samples(bench, seed=seed)] != [s.text for s in text_samples(bench, seed=seed + 5)]
