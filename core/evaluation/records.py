"""An answer is a row; a folder of answers is Parquet part files with a `protocol.json` beside them.

    <out>/protocol.json          model, protocol, digest of the questions, number of questions
    <out>/part-<shard>-<n>-<pid>.parquet

A part file is written in one step and never touched again (a Parquet file cannot be appended to), so an evaluation that
was killed goes on where it stopped, and several processes may write into one folder. A row carries everything a table,
a comparison or a report needs: the question, its options, the reply, and the protocol it was asked under.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from core.errors import UserError, explain_os_error
from core.files import digest, read_json, write_atomic, write_json
from core.mmad import Protocol
from core.mmad.vocabulary import GOOD

if TYPE_CHECKING:
    from core.mmad import Benchmark, Question, Sample

PROTOCOL_FILE = "protocol.json"
PROTOCOL_COLUMNS = ("shots", "template", "knowledge", "thinking", "heatmap", "answering", "seed")
KEY = ["image", "index"]
LABELS_APART = "; "
# What any table needs; everything else is for comparisons and reports.
REQUIRED = ("image", "question_type", "correct_answer", "answer")
COLUMNS = (
    *KEY, "dataset", "product", "defect", "split", "question_type", "task", "question", "options", "correct_answer",
    "answer", "reply", "p_letters", "p_answer", "p_defect", "model", *PROTOCOL_COLUMNS, "labels",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model gave to one question.

    Attributes:
        text: the reply as written; under "letters" the likeliest letter itself.
        letter: the letter it means, None when it cannot be told.
        probabilities: of the options' letters, in their order, summing to 1; None under "generate".
    """

    text: str
    letter: str | None
    probabilities: tuple[float, ...] | None = None


def defect_letter(question: Question, *, normal: bool) -> str | None:
    """The letter of a discrimination question that says "there is a defect", None when it cannot be told.

    With two options it follows from the right answer, whatever the wording ("Is it intact?" too); the label of the
    picture only tells the meaning of the options apart, it does not enter the probability.
    """
    letters = list(question.options)
    if len(letters) == 2 and question.answer in letters:
        return question.answer if not normal else next(letter for letter in letters if letter != question.answer)
    return next((letter for letter, text in question.options.items() if text.lower().startswith(("yes", "是"))), None)


def row(
    sample: Sample, index: int, reply: Reply, model: str, protocol: Protocol, labels: Iterable[str] = ()
) -> dict[str, Any]:  # fmt: skip
    """One answer with the columns of `COLUMNS`; `labels` must be said beside every figure it goes into."""
    question = sample.questions[index]
    task = question.task
    by_letter = dict(zip(question.options, reply.probabilities or (), strict=False))
    asks_for_defect = task.name == "DISCRIMINATION"
    return {
        "image": sample.image, "index": index, "dataset": sample.dataset, "product": sample.product,
        "defect": sample.label, "split": sample.split, "question_type": question.type, "task": task.value,
        "question": question.text, "options": json.dumps(dict(question.options), ensure_ascii=False),
        "correct_answer": question.answer, "answer": reply.letter, "reply": reply.text,
        "p_letters": list(reply.probabilities) if reply.probabilities else None,
        "p_answer": by_letter.get(reply.letter or ""),
        "p_defect": by_letter.get(defect_letter(question, normal=sample.is_normal) or "") if asks_for_defect else None,
        "model": model, **protocol.as_dict(), "labels": LABELS_APART.join(labels),
    }  # fmt: skip


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table with fixed columns and types, also when there are none."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    for name in ("p_answer", "p_defect"):
        table[name] = table[name].astype("float64")
    for name in ("index", "shots", "seed"):
        table[name] = table[name].astype("int64")
    for name in ("answer", "p_letters"):
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return table


def questions_digest(bench: Benchmark) -> str:
    """64 hex characters that two benchmarks share when they ask the same questions about the same pictures."""
    return digest([[s.image, [[q.text, dict(q.options), q.answer, q.type] for q in s.questions]] for s in bench])


class AnswerFolder:
    """The part files of one model under one protocol on one benchmark."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def open(self, model: str, protocol: Protocol, bench: Benchmark) -> None:
        """Claim the folder for these questions.

        Raises:
            UserError: it holds answers of another model, protocol or benchmark.
        """
        total = sum(len(sample.questions) for sample in bench)
        wanted = {
            "model": model, "protocol": protocol.as_dict(), "questions": questions_digest(bench), "total": total,
        }  # fmt: skip
        if (self.path / PROTOCOL_FILE).is_file():
            found = read_json(self.path / PROTOCOL_FILE)
            names = {
                "model": "of another model",
                "protocol": "under another protocol",
                "questions": "to other questions",
            }
            different = [said for name, said in names.items() if found.get(name) != wanted[name]]
            if different:
                raise UserError(f"{self.path} holds answers {' and '.join(different)}: choose another folder.")
        else:
            write_json(self.path / PROTOCOL_FILE, wanted)

    def parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def append(self, rows: Iterable[Mapping[str, Any]], *, shard: int = 0) -> None:
        """Write the rows as the shard's next part file, in one step; no part is ever written over."""
        table = frame(rows)
        number = 1 + max(
            (int(part.stem.split("-")[2]) for part in self.path.glob(f"part-{shard:03d}-*.parquet")), default=-1
        )
        # Two processes that were given the same shard by mistake count alike, but have two numbers of their own.
        place = self.path / f"part-{shard:03d}-{number:06d}-{os.getpid()}.parquet"
        write_atomic(place, lambda temporary: table.to_parquet(temporary, index=False))

    def read(self) -> pd.DataFrame:
        """All answers so far, each question once."""
        tables = [read_part(part) for part in self.parts()]
        tables = [table for table in tables if len(table)]
        if not tables:
            return frame([])
        # Two processes that were given the same shard may both have answered a question: the first stays.
        return pd.concat(tables, ignore_index=True).drop_duplicates(KEY, ignore_index=True)

    def total(self) -> int | None:
        """How many questions there are to answer, None for a folder that does not say."""
        file = self.path / PROTOCOL_FILE
        return read_json(file).get("total") if file.is_file() else None


def read_part(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise (
            explain_os_error(error, path)
            if error.errno
            else UserError(f"{path} is not a Parquet file: remove it, its questions are then asked again.")
        ) from error
    except ValueError as error:  # pyarrow's own errors are ValueErrors
        raise UserError(f"{path} is not a Parquet file: remove it, its questions are then asked again.") from error
    if "answer" in table:
        table["answer"] = table["answer"].astype(object).where(table["answer"].notna(), None)
    return table


def read_answers(path: str | Path) -> pd.DataFrame:
    """Answers from a folder of part files, or from one .parquet, .csv or .json file with the required columns.

    `table.attrs["total"]` says how many questions the benchmark has, where the folder knows it.

    Raises:
        UserError: nothing is there, or it holds no answers.
    """
    path = Path(path)
    if path.is_dir():
        folder = AnswerFolder(path)
        if not folder.parts():
            raise UserError(f"{path} holds no answers (part-*.parquet): answer the questions first.")
        table = folder.read()
        total = folder.total()
        if total:
            table.attrs["total"] = total
    elif not path.is_file():
        raise UserError(f"{path} does not exist: give a folder of answers or one file.")
    elif path.suffix == ".csv":
        table = pd.read_csv(path, keep_default_na=False, na_values={"p_answer": [""], "p_defect": [""]})
    elif path.suffix == ".json":
        value = read_json(path)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise UserError(f"{path} must be a list of answers: export it again.")
        # MMAD's own answer files name the answer after the first model it was written for, and wrap the question's text.
        table = pd.DataFrame(value).rename(columns={"gpt_answer": "answer"})
        if "question" in table:
            table["question"] = [q.get("text") if isinstance(q, dict) else q for q in table["question"]]
    else:
        table = read_part(path)
    return normalized(table, str(path))


def normalized(answers: pd.DataFrame, name: str = "the answers") -> pd.DataFrame:
    """The table with `dataset`, `product`, `defect`, `task` and `index` filled in where they were missing.

    A picture is normal when its folder is called `good` (not when its path contains the word: GoodsAD). What is no single
    letter in `answer` ("", "yes", NaN) becomes None.

    Raises:
        UserError: a required column is missing, a task is unknown, or a question is there twice.
    """
    missing = [column for column in REQUIRED if column not in answers]
    if missing:
        raise UserError(f"{name} lack the column{'s' * (len(missing) > 1)} {', '.join(missing)}: export them again.")
    table = answers.copy(deep=False)
    paths = {image: str(image).split("/") for image in table["image"].unique()}
    for column, place, otherwise in (("dataset", 0, ""), ("product", 1, ""), ("defect", -2, GOOD)):
        if column not in table:
            known = {image: path[place] if len(path) > 1 else otherwise for image, path in paths.items()}
            table[column] = table["image"].map(known).astype(object)
    table["task"] = _tasks(table["question_type"], name)
    letters = [
        a if isinstance(a, str) and len(a) == 1 and a.isascii() and a.isalpha() else None for a in table["answer"]
    ]
    table["answer"] = pd.Series(letters, table.index, dtype=object)
    same = KEY if "index" in table else [c for c in ("image", "question_type", "question") if "question" in table]
    twice = table.duplicated(same) if same else pd.Series(False, table.index)
    if twice.any():
        first = table.loc[twice].iloc[0]
        raise UserError(
            f"{name} hold {int(twice.sum())} question(s) twice, first {first['image']} question "
            f"{first.get('index', first.get('question'))}: remove the doubled rows."
        )
    return table if "index" in table else table.assign(index=table.groupby("image", sort=False).cumcount())


def _tasks(types: pd.Series, name: str) -> pd.Series:
    from core.mmad import Task

    known: dict[Any, str] = {}
    for value in types.unique():
        try:
            known[value] = Task.of(value).value
        except ValueError as error:
            raise UserError(f"{name} hold the unknown question type {value!r}: use MMAD's names.") from error
    return types.astype(object).map(known)


def check_answers(answers: pd.DataFrame, bench: Benchmark) -> pd.DataFrame:
    """The answers to the benchmark's questions, in its order, with `attrs["total"]` set to how many it asks.

    A question is known by its text and options where the answers carry them (a run that asks only some of them counts anew),
    else by its number in its picture; `index` is the benchmark's number afterwards. Missing questions are allowed (`attrs` then
    shows how partial the answers are); strange or doubled ones are not.

    Raises:
        UserError: answers to questions that the benchmark does not ask, or doubled ones.
    """
    answers, asked = normalized(answers), bench.questions
    keys = _identities(asked, answers), _identities(answers, answers)
    place = pd.Series(range(len(asked)), keys[0]).reindex(keys[1]).to_numpy()
    strange = pd.isna(place)
    if strange.any():
        first = answers.loc[strange, "image"].iloc[0]
        raise UserError(
            f"{int(strange.sum())} of {len(answers)} answers are to questions this benchmark does not ask (first: "
            f"{first}): give the answers of this benchmark."
        )
    place = place.astype(int)
    wrong = asked["correct_answer"].to_numpy()[place] != answers["correct_answer"].to_numpy()
    if wrong.any():
        raise UserError(
            f"{int(wrong.sum())} of {len(answers)} answers state another right letter than the benchmark (first: "
            f"{answers.loc[wrong, 'image'].iloc[0]}): the questions changed since, so answer them again."
        )
    result = answers.assign(index=asked["index"].to_numpy()[place]).iloc[place.argsort(kind="stable")]
    result = result.reset_index(drop=True)
    result.attrs["total"] = len(asked)
    return result


def _identities(table: pd.DataFrame, answers: pd.DataFrame) -> pd.MultiIndex:
    """What tells the questions of `table` apart, as far as `answers` can: the same question asked again is a second one."""
    if not {"question", "options"} <= set(answers.columns):
        return pd.MultiIndex.from_frame(table[KEY])
    options = [o if isinstance(o, str) else json.dumps(dict(o), ensure_ascii=False) for o in table["options"]]
    known = table[["image", "question"]].astype(str).assign(options=options)
    return pd.MultiIndex.from_frame(known.assign(again=known.groupby(list(known), sort=False).cumcount()))


def write_answers(answers: pd.DataFrame, path: str | Path) -> Path:
    """Write answers as one .csv or .parquet file, in one step."""
    path = Path(path)
    if path.suffix == ".csv":
        return write_atomic(path, answers.to_csv(index=False))
    return write_atomic(path, lambda place: answers.to_parquet(place, index=False))


def protocol_of(answers: pd.DataFrame) -> Protocol | None:
    """The protocol all answers were asked under, None where they do not say.

    Raises:
        UserError: they were asked under several.
    """
    if not len(answers) or any(column not in answers for column in PROTOCOL_COLUMNS):
        return None
    distinct = answers[list(PROTOCOL_COLUMNS)].drop_duplicates()
    if len(distinct) > 1:
        raise UserError("The answers mix several protocols, which cannot stand in one table: keep one of them.")
    values = distinct.iloc[0].to_dict()
    return Protocol(
        shots=int(values["shots"]), template=values["template"], knowledge=bool(values["knowledge"]),
        thinking=bool(values["thinking"]), heatmap=bool(values["heatmap"]), answering=values["answering"],
        seed=int(values["seed"]),
    )  # fmt: skip


def partial_notes(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """One sentence for each model that has not answered all questions, as far as its answers know how many there are."""
    return [
        f"{name} is partial: {len(table)} of {table.attrs['total']} questions are answered "
        f"({100 * len(table) / table.attrs['total']:.1f} %)."
        for name, table in tables.items()
        if len(table) < (table.attrs.get("total") or 0)
    ]


def labels_of(answers: pd.DataFrame) -> tuple[str, ...]:
    """What must be said beside every figure of these answers (`core.mmad.leaks.knowledge_labels`).

    Empty where they were got without knowledge, and where they are too old to say.
    """
    if "labels" not in answers:
        return ()
    found = (label for value in answers["labels"].dropna().unique() for label in str(value).split(LABELS_APART))
    return tuple(dict.fromkeys(label for label in found if label))


def label_notes(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """One sentence for each set of labels, naming the models whose figures were got with knowledge so labelled."""
    models: dict[tuple[str, ...], list[str]] = {}
    for name, table in tables.items():
        models.setdefault(labels_of(table), []).append(name)
    return [f"{' and '.join(names)}: {' and '.join(said)}." for said, names in models.items() if said]
