"""Reading and writing MMAD's files: the same JSON content comes out, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import write_json
from core.mmad import read_knowledge, read_mmad, write_mmad
from tests.unit.mmad import benches


def test_unknown_absent_and_empty_keys_survive(tmp_path: Path) -> None:
    entries = {
        "DS-MVTec/bottle/image/good/000.png": {
            "image_path": "x", "conversation": [benches.question("B", annotation=True, note=None)], "mask_path": None,
            "similar_templates": [], "rating": {"a": [1, 2.5]},
        },
        "GoodsAD/can/test/opened/1.jpg": {"conversation": []},
        "VisA/pcb1/test/bad/1.JPG": {"conversation": [benches.question("A", "Object Structure")], "split": "train",
                                     "defect": "melt", "mask_path": ""},
    }  # fmt: skip
    bench = benches.write(tmp_path / "in", entries, {"MVTec": {"bottle": {"good": " <T>\n"}}, "other": {}})
    write_mmad(bench, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "mmad.json").read_text()) == entries
    assert json.loads((tmp_path / "out" / "domain_knowledge.json").read_text()) == bench.knowledge
    assert read_mmad(tmp_path / "out").samples == bench.samples


def test_a_changed_sample_is_written_changed(tmp_path: Path) -> None:
    bench = benches.pair(tmp_path)
    image = "D/bolt/test/hole/1.png"
    changed = replace(bench.by_image[image], defect=None, split="val", mask=None)
    write_mmad(bench.select([changed]), tmp_path / "out")
    [again] = read_mmad(tmp_path / "out").samples
    assert (again.defect, again.split, again.mask) == (None, "val", None)
    assert again.questions == changed.questions and again.similar_templates == changed.similar_templates


@pytest.mark.parametrize("name", ["mmad_domain_knowledge.json", "emit_domain_knowledge_MPDD_Real-IAD.json"])
def test_published_knowledge_round_trips_with_equal_content(shared_data: Path, tmp_path: Path, name: str) -> None:
    original = shared_data / "knowledge" / name
    write_json(tmp_path / name, read_knowledge(original))
    assert json.loads((tmp_path / name).read_text()) == json.loads(original.read_text())
    again = json.loads((tmp_path / name).read_text())
    # the order of products and defects is content to a person who compares two files
    assert [list(p) for d in again.values() for p in d.values()] == [
        list(p) for d in json.loads(original.read_text()).values() for p in d.values()
    ]


def test_published_questions_round_trip(shared_data: Path, tmp_path: Path) -> None:
    original = json.loads((shared_data / "knowledge" / "mpdd_questions_mmad_schema.json").read_text())
    (tmp_path / "mmad.json").write_text(json.dumps(original))
    bench = read_mmad(tmp_path)
    assert len(bench) == len(original) and {s.dataset for s in bench} == {"MPDD"}
    write_mmad(bench, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "mmad.json").read_text()) == original


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ('{"a/b/c.png": 3}', "not an object"),
        ('{"a/b/c.png": {}}', "lacks the required list 'conversation'"),
        ('{"c.png": {"conversation": []}}', "dataset/product"),
        ('{"a/../../c.png": {"conversation": []}}', "dataset/product"),
        ('{"/a/b/c.png": {"conversation": []}}', "dataset/product"),
        ('{"a\\\\b\\\\c.png": {"conversation": []}}', "dataset/product"),
        ('{"a/b/c.png": {"conversation": [{"Question": "?"}]}}', "lacks the required key 'Answer'"),
        ('{"a/b/c.png": {"conversation": [], "split": "trian"}}', "'split'"),
        ('{"a/b/c.png": {"conversation": [], "similar_templates": "x"}}', "'similar_templates'"),
        (
            '{"a/b/c.png": {"conversation": [{"Question": "?", "Answer": "A", "Options": {"A": "x"}, "type": "Art"}]}}',
            "unknown type 'Art'",
        ),
        (
            '{"a/b/c.png": {"conversation": [{"Question": "?", "Answer": "A", "Options": [], "type": "Art"}]}}',
            "no 'Options'",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "mmad.json").write_text(content)
    with pytest.raises(UserError, match=sentence.replace("(", "\\(")) as error:
        read_mmad(tmp_path)
    assert "mmad.json" in str(error.value) and "\n" not in str(error.value)


def test_missing_folders_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        read_mmad(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no mmad.json"):
        read_mmad(tmp_path)


@pytest.mark.parametrize("content", ['{"a": 1}', '{"a": {"b": "c"}}', '{"a": {"b": {"c": 1}}}', "[]"])
def test_knowledge_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(UserError, match="dataset -> product -> defect"):
        read_knowledge(tmp_path / "k.json")
