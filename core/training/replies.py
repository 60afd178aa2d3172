"""What the first stage teaches the model to say: the bare letter (EMIT, section 4), or a reason and then the letter.

A large model reasons before it is tuned, so the paper's first stage teaches letters alone. A small one has to be shown how:
its reasons state what is known of the sample (what it is, which defect it has, where), and difficulty-aware GRPO goes on
from there. Each reason is many signals where a letter is one.
"""

from __future__ import annotations

from core.mmad import OBJECT_TASKS, Question, Sample, Task
from core.synthesis.names import spoken

NORMAL = "There is no defect."


def reason(sample: Sample, question: Question) -> str:
    """One sentence from which the right option follows.

    >>> question = Question("Where is it?", {"A": "Left.", "B": "Top."}, "B", "Defect Localization")
    >>> reason(Sample("p/x.png", "p", "p", defect="scratch", questions=(question,)), question)
    'There is a scratch at the top.'
    """
    if question.task in OBJECT_TASKS:
        return question.options[question.answer]
    if not sample.defect:
        return NORMAL
    asked = (question, *sample.questions)
    place = next((q.options[q.answer] for q in asked if q.task is Task.DEFECT_LOCALIZATION), None)
    where = f" at the {place[:1].lower()}{place[1:].rstrip('.')}" if place else ""
    return f"There is a {spoken(sample.defect)}{where}."


def reply(sample: Sample, question: Question, *, reasons: bool) -> str:
    """The whole answer, without the end of the turn."""
    if not reasons:
        return question.answer
    return f"<think>{reason(sample, question)}</think><answer>{question.answer}</answer>"
