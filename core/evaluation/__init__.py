"""Questions -> answers -> table, significance, decisions, pictures, report. Names load lazily: reading a table needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "parse_answer": "core.mmad",
    "answer_questions": "core.evaluation.asking",
    "Endpoint": "core.synthesis.descriptions.endpoint",
    "PartialAnswers": "core.evaluation.asking",
    "read_answers": "core.evaluation.records",
    "check_answers": "core.evaluation.records",
    "write_answers": "core.evaluation.records",
    "accuracy_table": "core.evaluation.tables",
    "compare_answers": "core.evaluation.comparing",
    "Comparison": "core.evaluation.comparing",
    "accuracy_intervals": "core.evaluation.comparing",
    "defect_scores": "core.evaluation.decisions",
    "ranking_table": "core.evaluation.decisions",
    "calibration": "core.evaluation.decisions",
    "Costs": "core.evaluation.decisions",
    "choose_threshold": "core.evaluation.decisions",
    "expected_cost": "core.evaluation.decisions",
    "decision_table": "core.evaluation.decisions",
    "published_table": "core.evaluation.published",
    "write_report": "core.evaluation.report",
    "detection_table": "core.evaluation.tables",
    "unparseable_rate": "core.evaluation.tables",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
