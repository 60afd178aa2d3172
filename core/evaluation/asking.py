"""Asking every question of a benchmark, once, and keeping the answers.

The loop here knows nothing of models: an *answerer* (`local.LocalModel` or `remote.RemoteModel`) is given a handful of
pictures with their questions and gives replies in whatever order it finishes them. What is answered is written as part
files every few seconds, so that a killed evaluation goes on where it stopped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import pandas as pd

from core.errors import UserError
from core.evaluation.records import KEY, AnswerFolder, Reply, frame, row
from core.mmad import Benchmark, Prompt, Protocol, Question, Sample, build_prompt
from core.mmad.leaks import knowledge_labels
from core.mmad.prompts import references

CHUNK = 256  # questions given to an answerer at once: enough to fill batches of equal length
FLUSH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with what the model is shown."""

    sample: Sample
    index: int
    prompt: Prompt

    @property
    def question(self) -> Question:
        return self.sample.questions[self.index]


class Answerer(Interface):
    """What can answer: `name` goes into the records, `protocol` says what of the wish it can really do."""

    name: str

    def protocol(self, wish: Protocol) -> Protocol: ...

    def answer(self, asked: Sequence[Asked], bench: Benchmark, protocol: Protocol) -> Iterable[tuple[Asked, Reply]]: ...


class PartialAnswers(UserError):
    """Answering broke off; `answers` holds what there is, `total` how many questions there are."""

    def __init__(self, message: str, answers: pd.DataFrame, total: int) -> None:
        super().__init__(message)
        self.answers, self.total = answers, total


def answer_questions(
    model: Any,
    processor: Any,
    bench: Benchmark,
    *,
    protocol: Protocol | dict[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    batch_size: int | None = None,
    shard: tuple[int, int] | None = None,
    name: str | None = None,
    labels: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ask the model every question of `bench` and return the answers in the benchmark's order.

    Args:
        model: an EMIT model; or, with `processor` None, an OpenAI-compatible `Endpoint`, or just the name of the model it
            serves (address and key then come from `OPENAI_BASE_URL` and `OPENAI_API_KEY`).
        processor: the model's processor, None for an endpoint.
        protocol: how questions are put and answers taken; recorded with every answer as far as it can be kept (`as_kept`).
        out: folder of part files. What it already holds (same model, protocol and questions) is not asked again.
        progress: called with (answers so far, questions in all) of this shard.
        batch_size: questions answered at once; chosen by the device when None.
        shard: (i, n): answer only the i-th of every n pictures. By default taken from RANK and WORLD_SIZE, as `torchrun`
            sets them. The shards of one `out` make up the whole: read it with `read_answers`.
        name: of the model in the records; its path by default.
        labels: what must be said beside every figure got with the knowledge of `bench`; by default what can be told from
            `bench` itself. Recorded with every answer when the protocol shows knowledge.

    Returns:
        The columns of `records.COLUMNS`, `answer` being None where the reply had no letter; `attrs["total"]` is the number
        of questions.

    Raises:
        UserError: a picture is missing, or `out` holds other answers.
        PartialAnswers: the endpoint failed; what was answered is kept.
    """
    answerer = _answerer(model, processor, batch_size, name)
    wish = Protocol(**protocol) if isinstance(protocol, dict) else protocol or Protocol()
    if wish.answering not in ("generate", "letters"):
        raise UserError(f"There is no answering {wish.answering!r}: use 'generate' or 'letters'.")
    if wish.answering == "letters" and wish.thinking:
        raise UserError("Answering by letters reads the answer without any reasoning: switch thinking off.")
    protocol = as_kept(answerer.protocol(wish), bench)
    part, parts = shard or (int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    if not protocol.knowledge:
        labels = ()
    elif labels is None:
        labels = knowledge_labels(bench)

    folder, rows, done = None, [], set()
    if out is not None:
        folder = AnswerFolder(out)
        folder.open(answerer.name, protocol, bench)
        rows.append(folder.read())
        done = set(rows[0][KEY].itertuples(index=False, name=None))
    mine = [(sample, index) for sample in bench.samples[part::parts] for index in range(len(sample.questions))]
    pending = [place for place in mine if (place[0].image, place[1]) not in done]
    answered, fresh, written = len(mine) - len(pending), [], time.monotonic()
    if progress:
        progress(answered, len(mine))
    try:
        for chunk in _chunks(pending):
            asked = [
                Asked(sample, index, build_prompt(bench, sample, sample.questions[index], protocol))
                for sample, index in chunk
            ]
            for one, reply in answerer.answer(asked, bench, protocol):
                fresh.append(row(one.sample, one.index, reply, answerer.name, protocol, labels))
                answered += 1
                if folder and time.monotonic() - written > FLUSH_SECONDS:
                    folder.append(fresh, shard=part)
                    rows.append(frame(fresh))
                    fresh, written = [], time.monotonic()
                if progress:
                    progress(answered, len(mine))
    except UserError as error:
        kept = f"in {out}: run the same again to go on" if folder else "in memory only: give an output folder"
        raise PartialAnswers(
            f"{error} {answered} of {len(mine)} questions are answered, kept {kept}.",
            _together([*rows, frame(fresh)], bench),
            len(mine),
        ) from error
    finally:
        # Also when a person stops it: what is answered is never asked twice.
        if folder and fresh:
            folder.append(fresh, shard=part)
    return _together([*rows, frame(fresh)], bench)


def _answerer(model: Any, processor: Any, batch_size: int | None, name: str | None) -> Answerer:
    if processor is None:
        from core.evaluation.remote import RemoteModel

        return model if isinstance(model, RemoteModel) else RemoteModel(model, name=name)
    from core.evaluation.local import LocalModel

    return LocalModel(model, processor, batch_size=batch_size, name=name)


def _chunks(places: Sequence[tuple[Sample, int]]) -> Iterator[list[tuple[Sample, int]]]:
    """Runs of about `CHUNK` questions; a picture's questions stay together."""
    chunk: list[tuple[Sample, int]] = []
    for sample, index in places:
        if len(chunk) >= CHUNK and chunk[-1][0] is not sample:
            yield chunk
            chunk = []
        chunk.append((sample, index))
    if chunk:
        yield chunk


def _together(tables: Sequence[pd.DataFrame], bench: Benchmark) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    table = pd.concat(filled, ignore_index=True) if filled else frame([])
    places = {sample.image: place for place, sample in enumerate(bench.samples)}
    order = table["image"].map(places)
    table = (
        table.assign(_place=order)
        .sort_values(["_place", "index"], kind="stable", ignore_index=True)
        .drop(columns="_place")
    )
    table.attrs["total"] = sum(len(sample.questions) for sample in bench)
    return table


def as_kept(wish: Protocol, bench: Benchmark) -> Protocol:
    """The protocol as `bench` lets it be kept: what no question of it can be shown is not recorded as shown.

    No knowledge where it describes none of its products, at most as many shots as it has references for a picture, no heatmap
    without a reference to compare with.
    """
    shots = max((len(references(sample, wish)) for sample in bench), default=0)
    known = any(bench.descriptions(*product) for product in {(sample.dataset, sample.product) for sample in bench})
    return replace(wish, shots=shots, knowledge=wish.knowledge and known, heatmap=wish.heatmap and shots > 0)
