"""Asking a model: the fast way equals the plain one, nothing is asked twice, failures keep what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from core.errors import UserError
from core.evaluation import PartialAnswers, accuracy_table, answer_questions, check_answers, read_answers
from core.evaluation.asking import Asked
from core.evaluation.local import LocalModel, answering
from core.evaluation.records import COLUMNS, labels_of
from core.mmad import COMPARISON_TASKS, Benchmark, Protocol, Task, build_prompt
from core.mmad.leaks import NAMES_DEFECTS
from tests.unit.evaluation.scenes import small_benchmark, tiny_model


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return small_benchmark(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def one_at_a_time(tiny, bench: Benchmark, protocol: Protocol) -> list:
    plain = LocalModel(*tiny)
    with answering(plain.model):
        return [
            plain.answer_alone(Asked(s, i, build_prompt(bench, s, q, protocol)), bench, protocol)
            for s in bench
            for i, q in enumerate(s.questions)
        ]


@pytest.mark.parametrize("answers_by", ["generate", "letters"])
@pytest.mark.parametrize("shown", [{}, {"shots": 0}, {"shots": 2, "knowledge": False}, {"heatmap": False}], ids=str)
def test_shared_prefixes_give_the_same_answers_as_one_question_at_a_time(tiny, bench, answers_by, shown) -> None:
    protocol = Protocol(answering=answers_by, **shown)
    together = answer_questions(*tiny, bench, protocol=protocol, batch_size=5)
    alone = one_at_a_time(tiny, bench, protocol)
    assert list(together["reply"]) == [reply.text for reply in alone]
    assert list(together["answer"]) == [reply.letter for reply in alone]
    if answers_by == "letters":
        assert together["answer"].notna().all()
        for ours, theirs in zip(together["p_letters"], alone, strict=True):
            assert ours == pytest.approx(theirs.probabilities, abs=1e-5) and sum(ours) == pytest.approx(1)


def test_questions_that_compare_nothing_are_asked_over_tokens_that_nothing_guides(bench) -> None:
    """They show the same pictures as those that compare, whose query says more."""
    guided, protocol = tiny_model(guided=True), Protocol(answering="letters")
    together = answer_questions(*guided, bench, protocol=protocol, batch_size=5)
    alone = one_at_a_time(guided, bench, protocol)
    for ours, theirs in zip(together["p_letters"], alone, strict=True):
        assert ours == pytest.approx(theirs.probabilities, abs=1e-5)
    model, processor = guided
    with torch.no_grad():
        model.model.contrastive.places.zero_()
    silent = answer_questions(model, processor, bench, protocol=protocol)
    moved = [
        ours != pytest.approx(theirs, abs=1e-5)
        for ours, theirs in zip(together["p_letters"], silent["p_letters"], strict=True)
    ]
    compares = [Task(task) in COMPARISON_TASKS for task in together["task"]]
    assert any(moved) and not any(m for m, c in zip(moved, compares, strict=True) if not c)


def test_what_the_knowledge_knows_of_the_test_is_recorded_with_every_answer(tiny, bench, tmp_path) -> None:
    few = bench.select([sample for sample in bench if sample.split == "test"][:2])
    shown = answer_questions(*tiny, few, protocol=Protocol(answering="letters"), out=tmp_path)
    assert labels_of(shown) == labels_of(read_answers(tmp_path)) == (NAMES_DEFECTS,)
    given = answer_questions(*tiny, few, protocol=Protocol(answering="letters"), labels=["one", "two"])
    assert labels_of(given) == ("one", "two")
    assert labels_of(answer_questions(*tiny, few, protocol=Protocol(answering="letters", knowledge=False))) == ()


def test_thinking_goes_on_until_the_model_stops(tiny, bench, monkeypatch) -> None:
    monkeypatch.setattr("core.evaluation.local.NEW_TOKENS_THINKING", 40)
    few = bench.select(bench.samples[:2])
    protocol = Protocol(thinking=True)
    together = answer_questions(*tiny, few, protocol=protocol)
    assert list(together["reply"]) == [reply.text for reply in one_at_a_time(tiny, few, protocol)]


def test_a_row_carries_all_that_tables_and_reports_need(tiny, bench) -> None:
    seen: list[tuple[int, int]] = []
    answers = answer_questions(*tiny, bench, protocol=Protocol(answering="letters"), progress=lambda *n: seen.append(n))
    assert list(answers.columns) == list(COLUMNS)
    assert seen[0] == (0, len(answers)) and seen[-1] == (len(answers), len(answers))
    first = answers.iloc[0]
    assert first["task"] == "Anomaly Detection" and first["defect"] == "good" and first["answering"] == "letters"
    # "No." is the right answer for a normal picture, so P(defect) is that of "Yes."
    assert first["p_defect"] == pytest.approx(first["p_letters"][0])
    assert answers.loc[answers["task"] != "Anomaly Detection", "p_defect"].isna().all()
    assert list(accuracy_table(answers).index) == ["Demo", "Average"]
    assert len(check_answers(answers.sample(frac=1, random_state=0), bench)) == len(answers)


def test_a_text_sample_without_any_picture_is_answered(tiny, bench) -> None:
    sample = replace(bench.samples[1], text="A plate with a round dark spot.", similar_templates=())
    answers = answer_questions(*tiny, bench.select([sample]), protocol=Protocol())
    assert len(answers) == len(sample.questions)
    assert list(answers["reply"]) == [r.text for r in one_at_a_time(tiny, bench.select([sample]), Protocol())]


def test_a_killed_evaluation_goes_on_where_it_stopped(tiny, bench, tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []
    original = LocalModel.answer

    def counting(self, questions, *rest):
        for place, (one, reply) in enumerate(original(self, questions, *rest)):
            if len(asked) < 10 <= place:
                raise KeyboardInterrupt
            asked.append((one.sample.image, one.index))
            yield one, reply
            if len(asked) == 10:
                raise KeyboardInterrupt

    monkeypatch.setattr(LocalModel, "answer", counting)
    protocol = Protocol(answering="letters")
    with pytest.raises(KeyboardInterrupt):
        answer_questions(*tiny, bench, protocol=protocol, out=tmp_path)
    partial = read_answers(tmp_path)
    assert 9 <= len(partial) <= 10 and partial.attrs["total"] == len(bench.questions)
    whole = answer_questions(*tiny, bench, protocol=protocol, out=tmp_path)
    assert len(asked) <= len(whole) + 1
    fresh = answer_questions(*tiny, bench, protocol=protocol)
    pd.testing.assert_frame_equal(whole[["image", "index", "answer"]], fresh[["image", "index", "answer"]])
    before = len(asked)
    answer_questions(*tiny, bench, protocol=protocol, out=tmp_path)
    assert len(asked) == before  # nothing left to ask


def test_shards_make_up_the_whole(tiny, bench, tmp_path: Path) -> None:
    protocol = Protocol(answering="letters")
    parts = [answer_questions(*tiny, bench, protocol=protocol, out=tmp_path, shard=(i, 2)) for i in range(2)]
    assert 0 < len(parts[0]) < len(bench.questions)
    merged = check_answers(read_answers(tmp_path), bench)
    whole = answer_questions(*tiny, bench, protocol=protocol)
    pd.testing.assert_frame_equal(merged[["image", "index", "answer"]], whole[["image", "index", "answer"]])


def test_a_folder_holds_one_model_one_protocol_one_benchmark(tiny, bench, tmp_path: Path) -> None:
    few = bench.select(bench.samples[:1])
    answer_questions(*tiny, few, protocol=Protocol(answering="letters"), out=tmp_path)
    with pytest.raises(UserError, match="another protocol"):
        answer_questions(*tiny, few, protocol=Protocol(answering="letters", shots=0), out=tmp_path)
    with pytest.raises(UserError, match="to other questions"):
        answer_questions(*tiny, bench, protocol=Protocol(answering="letters"), out=tmp_path)
    with pytest.raises(UserError, match="another model"):
        answer_questions(*tiny, few, protocol=Protocol(answering="letters"), out=tmp_path, name="other")


def test_a_missing_picture_is_named_and_the_rest_is_kept(tiny, tmp_path: Path) -> None:
    bench = small_benchmark(tmp_path / "bench", 4)
    (bench.root / bench.samples[0].image).unlink()
    with pytest.raises(PartialAnswers, match="000.png.*questions are answered") as caught:
        answer_questions(*tiny, bench, protocol=Protocol(answering="letters"), out=tmp_path / "out", batch_size=1)
    assert 0 < len(caught.value.answers) < caught.value.total
    assert len(read_answers(tmp_path / "out")) == len(caught.value.answers)


def test_what_cannot_be_asked_is_refused(tiny, bench) -> None:
    with pytest.raises(UserError, match="thinking off"):
        answer_questions(*tiny, bench, protocol=Protocol(answering="letters", thinking=True))
    with pytest.raises(UserError, match="'generate' or 'letters'"):
        answer_questions(*tiny, bench, protocol={"answering": "shout"})


def test_answers_of_another_benchmark_are_refused(tiny, bench) -> None:
    answers = answer_questions(*tiny, bench.select(bench.samples[:2]), protocol=Protocol(answering="letters"))
    assert check_answers(answers, bench).attrs["total"] == len(bench.questions)
    with pytest.raises(UserError, match="does not ask"):
        check_answers(answers, bench.select(bench.samples[2:]))
    with pytest.raises(UserError, match="another right letter"):
        check_answers(answers.assign(correct_answer="D"), bench)
    with pytest.raises(UserError, match="twice"):
        check_answers(pd.concat([answers, answers.head(1)]), bench)


def test_the_models_mode_is_left_as_it_was(tiny, bench) -> None:
    model = tiny[0].train()
    try:
        answer_questions(*tiny, bench.select(bench.samples[:1]), protocol=Protocol(answering="letters"))
        assert model.training
    finally:
        model.eval()
