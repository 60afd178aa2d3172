"""The last stage: base and tuned model answer the same questions under the same protocol.

Writes `answers/base/part-*.parquet`, `answers/tuned/part-*.parquet` and `answers/table.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.files import write_json
from core.mmad import Benchmark, Protocol

if TYPE_CHECKING:
    import pandas as pd


def validation_accuracy(
    model: Any, processor: Any, bench: Benchmark, protocol: Protocol, *, batch_size: int, check: Callable[[], None]
) -> float:
    """Share of right answers of `model` as it is now, see `answers_now`."""
    answers = answers_now(model, processor, bench, protocol, batch_size=batch_size, check=check, name="validation")
    return float((answers["answer"] == answers["correct_answer"]).mean())


def answers_now(
    model: Any,
    processor: Any,
    bench: Benchmark,
    protocol: Protocol,
    *,
    batch_size: int,
    check: Callable[[], None],
    name: str,
) -> pd.DataFrame:
    """Answers of a model amid its training, to all of `bench` on every process; its mode is put back.

    Args:
        check: called between batches; may raise.
        name: of the model in the table.
    """
    from core.evaluation import answer_questions

    training = model.training
    model.eval()
    try:
        return answer_questions(
            model, processor, bench, protocol=protocol, batch_size=batch_size, progress=lambda done, total: check(),
            shard=(0, 1), name=name,
        )  # fmt: skip
    finally:
        model.train(training)


def answer_both(
    load: Callable[[str], tuple[Any, Any]],
    bench: Benchmark,
    protocol: Protocol,
    folder: Path,
    *,
    batch_size: int,
    progress: Callable[[int, int], None],
    labels: Sequence[str] = (),
    main: bool = True,
) -> dict[str, Any] | None:
    """Answer as "base" and as "tuned" and write the table.

    Args:
        load: gives (model, processor) of "base" or "tuned"; one at a time is held.
        progress: called with (answers so far, answers in all).
        labels: what a reader must know beside every figure got with knowledge (`Snapshot.labels`).

    Returns:
        The table as written, None where another process writes it.
    """
    from core.evaluation import accuracy_table, answer_questions

    if not len(bench):
        raise UserError("The snapshot has no sample in the split that evaluate.final names: choose another.")
    tables, total = {}, 2 * sum(len(sample.questions) for sample in bench)
    for number, name in enumerate(("base", "tuned")):
        model, processor = load(name)
        answers = answer_questions(
            model, processor, bench, protocol=protocol, out=folder / "answers" / name, batch_size=batch_size, name=name,
            labels=labels,
            progress=lambda done, _, before=number * total // 2: progress(before + done, total),
        )  # fmt: skip
        del model
        tables[name] = answers
    _wait()
    if not main:
        return None
    value: dict[str, Any] = {"protocol": protocol.as_dict(), "protocol_text": str(protocol), "questions": total // 2}
    value["labels"] = list(labels) if protocol.knowledge else []
    for name in tables:
        answers = _whole(folder / "answers" / name, tables[name])
        table = accuracy_table(answers).astype(object)
        table = table.where(table.notna(), None)
        value[name] = {str(row): dict(values) for row, values in table.to_dict("index").items()}
    write_json(folder / "answers" / "table.json", value)
    return value


def _wait() -> None:
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def _whole(folder: Path, own: Any) -> Any:
    """All processes' answers."""
    import torch.distributed

    if not torch.distributed.is_initialized():
        return own
    from core.evaluation import read_answers

    return read_answers(folder)
