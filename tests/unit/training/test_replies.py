"""What the first stage teaches to say: letters as in the paper, or reasons that lead to them."""

from __future__ import annotations

import pytest
import torch

from core.mmad import Question, Sample, Snapshot, Task, parse_answer
from core.model import load_model
from core.training.questions import choose_questions, lay_out, protocol_of
from core.training.replies import reason, reply
from core.training.sft_stage import UNLEARNED, Replies
from tests.unit.training.conftest import quick

OPTIONS = {"A": "Left.", "B": "Upper right.", "C": "Bottom.", "D": "Top."}
PLACE = Question("Where is it?", OPTIONS, "B", Task.DEFECT_LOCALIZATION.value)
KIND = Question("Which?", {"A": "Scratch", "B": "Dent"}, "A", Task.DEFECT_CLASSIFICATION.value)
NAME = Question("What is it?", {"A": "A nut", "B": "A cap"}, "B", Task.OBJECT_CLASSIFICATION.value)


def sample(*questions: Question, defect: str | None = "broken_edge") -> Sample:
    return Sample("d/p/x.png", "d", "p", defect=defect, questions=questions)


def test_a_reason_says_what_where_or_that_there_is_nothing() -> None:
    both = sample(KIND, PLACE)
    assert reason(both, KIND) == reason(both, PLACE) == "There is a broken edge at the upper right."
    assert reason(sample(KIND), KIND) == "There is a broken edge."
    assert reason(sample(KIND, defect=None), KIND) == "There is no defect."
    assert reason(both, NAME) == "A cap"


def test_a_reason_names_a_defect_as_options_do() -> None:
    assert reason(sample(KIND, defect="mousebite"), KIND) == "There is a mouse bite."


@pytest.mark.parametrize("question", [PLACE, KIND, NAME])
def test_every_reply_is_read_as_its_letter(question: Question) -> None:
    for reasons in (False, True):
        said = reply(sample(KIND, PLACE), question, reasons=reasons)
        assert parse_answer(said, dict(question.options)) == question.answer
        assert said.startswith("<think>") == reasons


@pytest.mark.parametrize("style", ["letters", "reasons", "both"])
def test_a_batch_ends_with_its_replies(base, snapshot, style: str) -> None:
    bench = Snapshot.load(snapshot).benchmark.split("train")
    protocol = protocol_of(quick(base, snapshot).prompt, thinking=False, seed=0)
    course = lay_out(bench, protocol, choose_questions(bench), batch=8, epochs=1, max_steps=1, seed=0)
    _, processor = load_model(base, device="cpu")
    tokenizer = processor.tokenizer
    batch = Replies(course, processor, style)(list(range(8)))
    width = batch["answers"].shape[1]
    kinds = set()
    for position, (ids, mask, answers) in enumerate(
        zip(batch["input_ids"], batch["attention_mask"], batch["answers"], strict=True)
    ):
        learned = answers != UNLEARNED
        assert torch.equal(ids[-width:][learned], answers[learned]), "what is learned is what stands there"
        assert mask[-width:][learned].all() and not (learned[:-1] & ~learned[1:]).any(), "all replies end together"
        assert answers[-1] == tokenizer.eos_token_id
        asked, _ = course[position]
        said = tokenizer.decode(answers[learned][:-1])
        assert parse_answer(said, dict(asked.question.options)) == asked.question.answer
        thinks = said.startswith("<think>")
        assert thinks == ("<think>" in tokenizer.decode(ids[:-width])), "the prompt asks for what is learned"
        kinds.add(thinks)
    assert kinds == {"letters": {False}, "reasons": {True}, "both": {False, True}}[style]


def test_with_both_styles_a_question_comes_the_other_way_in_its_next_pass(base, snapshot) -> None:
    bench = Snapshot.load(snapshot).benchmark.split("train")
    protocol = protocol_of(quick(base, snapshot).prompt, thinking=False, seed=0)
    asked = choose_questions(bench)
    course = lay_out(bench, protocol, asked, batch=len(asked), epochs=2, max_steps=2, seed=0)
    replies = Replies(course, load_model(base, device="cpu")[1], "both")
    styles: dict[int, set[bool]] = {}
    for position, (place, _) in enumerate(course.order):
        styles.setdefault(place, set()).add(replies._reasons(position))
    assert all(found == {False, True} for found in styles.values())


def test_together_shows_fewer_pictures_and_asks_the_same(base, snapshot) -> None:
    bench = Snapshot.load(snapshot).benchmark.split("train")
    protocol = protocol_of(quick(base, snapshot).prompt, thinking=False, seed=0)
    asked = choose_questions(bench)

    def course(together: bool):
        return lay_out(bench, protocol, asked, batch=8, epochs=1, max_steps=0, seed=0, together=together)

    def pictures(course) -> float:
        batches = [range(start, start + 8) for start in range(0, len(course) - 7, 8)]
        return sum(len({path for i in batch for path in course[i][1].images}) for batch in batches) / len(batches)

    apart, together = course(False), course(True)
    assert len({place for place, _ in together.order}) == len(together) == len(apart)
    assert pictures(together) < 0.75 * pictures(apart)
