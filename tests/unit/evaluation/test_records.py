"""Answers on disk: nothing is written over, other people's files are understood, partial ones say so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UserError
from core.evaluation import check_answers, read_answers, unparseable_rate
from core.evaluation.asking import as_kept
from core.evaluation.records import AnswerFolder, Reply, frame, partial_notes, row, write_answers
from core.mmad import Benchmark, Protocol, Task
from tests.unit.evaluation.scenes import random_answers, small_benchmark


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return small_benchmark(tmp_path_factory.mktemp("bench"))


def rows_of(bench: Benchmark) -> list[dict]:
    protocol = Protocol(answering="letters")
    return [row(s, i, Reply("A", "A", (0.7, 0.3)), "m", protocol) for s in bench for i in range(len(s.questions))]


def test_a_part_that_was_removed_lets_no_other_be_written_over(bench: Benchmark, tmp_path: Path) -> None:
    folder, rows = AnswerFolder(tmp_path), rows_of(bench)
    for number in range(3):
        folder.append(rows[number : number + 1])
    folder.parts()[0].unlink()
    folder.append(rows[3:4])
    assert len(folder.parts()) == 3 == len(folder.read())


def test_two_processes_with_one_shard_keep_both_their_parts(bench: Benchmark, tmp_path: Path, monkeypatch) -> None:
    folder, rows = AnswerFolder(tmp_path), rows_of(bench)
    for process in (11, 12):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        monkeypatch.setattr(Path, "glob", lambda *_: iter(()))  # neither sees the other's part yet
        folder.append(rows[process : process + 1])
    monkeypatch.undo()
    assert len(folder.read()) == 2


def test_the_benchmarks_own_answer_files(tmp_path: Path) -> None:
    rows = [
        {"image": "VisA/candle/test/bad/1.png", "question": {"type": "text", "text": f"Question: {name} \nA. x"},
         "question_type": name, "correct_answer": "A", "gpt_answer": answer}
        for name, answer in (("Anomaly Detection", "A"), ("Object Details", ""), ("Defect Analysis", "B"))
    ]  # fmt: skip
    place = tmp_path / "answers.json"
    place.write_text(json.dumps(rows))
    answers = read_answers(place)
    assert unparseable_rate(answers) == pytest.approx(100 / 3)
    assert list(answers["index"]) == [0, 1, 2] and answers["question"].str.startswith("Question: ").all()
    place.write_text(json.dumps([*rows, rows[1]]))
    with pytest.raises(UserError, match="hold 1 question.s. twice, first VisA/candle"):
        read_answers(place)


def test_a_file_without_answers_is_no_file_of_silence(tmp_path: Path) -> None:
    answers = random_answers(20, silent=0.5)
    write_answers(answers, tmp_path / "whole.csv")
    assert unparseable_rate(read_answers(tmp_path / "whole.csv")) == unparseable_rate(answers)
    write_answers(answers.drop(columns="answer"), tmp_path / "without.csv")
    with pytest.raises(UserError, match="without.csv lack the column answer"):
        read_answers(tmp_path / "without.csv")


def test_answers_find_their_questions_also_when_they_were_counted_anew(bench: Benchmark) -> None:
    """A run may ask every second question of a picture, and then numbers those."""
    some = bench.select(replace(sample, questions=sample.questions[1::2]) for sample in bench)
    checked = check_answers(frame(rows_of(some)), bench)
    assert checked.attrs["total"] == len(bench.questions) > len(checked)
    for answer in checked.itertuples():
        assert bench.by_image[answer.image].questions[answer.index].text == answer.question


def test_partial_answers_say_how_partial_they_are() -> None:
    answers = random_answers(100)
    assert partial_notes({"whole": answers}) == []
    answers.attrs["total"] = 400
    assert partial_notes({"some": answers}) == ["some is partial: 100 of 400 questions are answered (25.0 %)."]


def test_a_protocol_says_what_was_shown_not_what_was_wished(bench: Benchmark) -> None:
    wish = Protocol(shots=5)
    assert as_kept(wish, bench) == replace(wish, shots=2), "there are two references"
    bare = Benchmark(bench.root, tuple(replace(s, similar_templates=(), random_templates=()) for s in bench), {})
    assert as_kept(wish, bare) == replace(wish, shots=0, knowledge=False, heatmap=False)
    assert as_kept(Protocol(shots=0, knowledge=False), bench) == Protocol(shots=0, knowledge=False, heatmap=False)
    assert bench.questions["task"].eq(Task.DISCRIMINATION.value).any()
