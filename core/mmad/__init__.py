"""The vocabulary of the house: Task, Question, Sample, Benchmark, Snapshot; reading, writing, auditing MMAD benchmarks;
prompts and answer parsing, which training and evaluation must share. No torch."""

from core.mmad.answers import parse_answer
from core.mmad.checks import audit
from core.mmad.leaks import near_duplicates, refuse_leaks
from core.mmad.prompts import Prompt, Protocol, build_prompt, knowledge_text, references
from core.mmad.snapshots import Snapshot
from core.mmad.storage import read_knowledge, read_mmad, write_mmad
from core.mmad.vocabulary import (
    COMPARISON_TASKS,
    GOOD,
    OBJECT_TASKS,
    SPLITS,
    Benchmark,
    Knowledge,
    Question,
    Sample,
    Task,
)

__all__ = [
    "COMPARISON_TASKS", "GOOD", "OBJECT_TASKS", "SPLITS", "Benchmark", "Knowledge", "Prompt", "Protocol", "Question",
    "Sample", "Snapshot", "Task", "audit", "build_prompt", "knowledge_text", "near_duplicates", "parse_answer",
    "read_knowledge", "read_mmad", "references", "refuse_leaks", "write_mmad",
]  # fmt: skip
