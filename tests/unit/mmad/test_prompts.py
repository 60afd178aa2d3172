"""The prompt is one place that training and evaluation share: what is shown, in which order, and when to compare."""

from __future__ import annotations

from pathlib import Path

from core.mmad import Benchmark, Protocol, Question, Sample, Task, build_prompt

REFERENCE, QUERY = "D/bolt/good/0.png", "D/bolt/hole/1.png"
SAMPLE = Sample(QUERY, "D", "bolt", "hole", similar_templates=(QUERY, REFERENCE, "D/bolt/good/2.png"))
KNOWLEDGE = {"D": {"bolt": {f"defect {i}": f"text {i}" for i in range(6)}}}
BENCH = Benchmark(Path("nowhere"), (SAMPLE,), KNOWLEDGE)


def ask(task: Task) -> Question:
    return Question("Which?", {"A": "this", "B": "that"}, "A", task.value)


def text(prompt: object) -> str:
    return "\n".join(part.get("text", f"<{part['type']}>") for m in prompt.messages for part in m["content"])  # type: ignore[attr-defined]


def test_references_come_first_and_the_query_last() -> None:
    prompt = build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION))
    assert prompt.images == (REFERENCE, QUERY)
    assert [part["type"] for part in prompt.messages[1]["content"]] == [
        "text",
        "image",
        "text",
        "image",
        "text",
        "comparison",
    ]
    assert build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION), Protocol(shots=0)).images == (QUERY,)
    assert len(build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION), Protocol(shots=2)).images) == 3


def test_only_questions_that_a_comparison_decides_compare() -> None:
    compares = {task for task in Task if build_prompt(BENCH, SAMPLE, ask(task)).compares}
    assert compares == {Task.DISCRIMINATION, Task.DEFECT_LOCALIZATION}
    assert not build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION), Protocol(heatmap=False)).compares
    assert not build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION), Protocol(shots=0)).compares


def test_object_questions_show_one_picture_and_no_knowledge() -> None:
    prompt = build_prompt(BENCH, SAMPLE, ask(Task.OBJECT_CLASSIFICATION))
    assert prompt.images == (QUERY,) and "text 0" not in text(prompt)


def test_knowledge_is_joined_in_an_order_that_changes_with_the_epoch_alone() -> None:
    first, again = (text(build_prompt(BENCH, SAMPLE, ask(Task.DEFECT_CLASSIFICATION), epoch=0)) for _ in range(2))
    others = [text(build_prompt(BENCH, SAMPLE, ask(Task.DEFECT_CLASSIFICATION), epoch=e)) for e in range(1, 5)]
    assert first == again and any(other != first for other in others)
    assert all(f"defect {i}: text {i}" in other for i in range(6) for other in others)
    assert "text 0" not in text(build_prompt(BENCH, SAMPLE, ask(Task.DEFECT_CLASSIFICATION), Protocol(knowledge=False)))


def test_a_text_sample_shows_its_text_in_place_of_the_picture() -> None:
    sample = Sample("D/bolt/text/1.txt", "D", "bolt", "hole", similar_templates=(REFERENCE,), text="a bolt with a hole")
    prompt = build_prompt(BENCH, sample, ask(Task.DISCRIMINATION))
    assert prompt.images == (REFERENCE,) and "a bolt with a hole" in text(prompt) and not prompt.compares


def test_thinking_asks_for_both_blocks() -> None:
    assert "<think>" in text(build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION), Protocol(thinking=True)))
    assert "<think>" not in text(build_prompt(BENCH, SAMPLE, ask(Task.DISCRIMINATION)))


def test_a_protocol_says_itself_in_words() -> None:
    assert str(Protocol()) == "1-shot, similar, knowledge, no thinking, heatmap, generate, seed 0"
    assert str(Protocol(shots=0)).startswith("0-shot, knowledge")
