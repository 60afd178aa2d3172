"""Texts and their history: immutable suggestions, append-only revisions, and no word lost when two people write at once.

A save says which revision it was based on. When somebody else saved in between, the late text is kept as a *parked*
revision: it stands in the history beside the current one until anybody saves a text that was made with both in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.errors import UserError
from core.workspace.database import reading, writing
from core.workspace.tables import Revision, Status, Subject, Suggestion

DESCRIPTION, TEXT_SAMPLE = "description", "text sample"
Key = tuple[str, str, str]  # dataset, product, name


@dataclass
class Conflict(UserError):
    """Somebody saved the same text in between; both texts are in the history.

    Attributes:
        mine: the late text, parked.
        theirs: the current revision.
    """

    mine: Revision
    theirs: Revision

    def __str__(self) -> str:
        return (
            f"{self.theirs.author} saved this text while you were editing: both are kept, "
            "compare them in the history and save the one that should stand."
        )


class Texts:
    """Suggestions and revisions of one workspace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def subject(
        self, benchmark_id: int, dataset: str, product: str, name: str, *, kind: str = DESCRIPTION, create: bool = True
    ) -> int | None:
        """The id of what a text is about; made on first use unless `create` is False."""
        key: dict[str, Any] = {
            "benchmark_id": benchmark_id,
            "kind": kind,
            "dataset": dataset,
            "product": product,
            "name": name,
        }
        with reading(self._engine) as session:
            found = session.scalar(select(Subject.id).filter_by(**key))
        if found is not None or not create:
            return found
        try:
            with writing(self._engine) as session, session.begin():
                subject = Subject(**key)
                session.add(subject)
            return subject.id
        except IntegrityError:  # somebody was faster
            return self.subject(benchmark_id, dataset, product, name, kind=kind, create=False)

    def suggest(self, subject_id: int, text: str, **details: Any) -> Suggestion:
        """Keep what a model proposed; `details` are the other columns of `Suggestion` (model is required)."""
        with writing(self._engine) as session, session.begin():
            suggestion = Suggestion(subject_id=subject_id, text=text, **details)
            session.add(suggestion)
        return suggestion

    def suggestions(self, subject_id: int) -> list[Suggestion]:
        """What models proposed, newest first."""
        with reading(self._engine) as session:
            query = select(Suggestion).filter_by(subject_id=subject_id).order_by(Suggestion.id.desc())
            return list(session.scalars(query))

    def save(self, subject_id: int, text: str, *, author: str, based_on: int, status: str = Status.DRAFT) -> Revision:
        """Append a revision.

        Args:
            based_on: the newest number the author had seen (0: none).

        Raises:
            Conflict: a newer revision is there; `text` is kept as a parked revision.
            UserError: the subject or status does not exist.
        """
        if status not in list(Status):
            raise UserError(f"{status!r} is not a status: use {', '.join(Status)}.")
        for _ in range(5):
            try:
                mine, theirs = self._append(subject_id, text, author, based_on, status)
                break
            except IntegrityError as error:  # PostgreSQL: two writers took the same number
                lost = error
        else:
            raise UserError("Too many people save this text at once: try again.") from lost
        if theirs is not None:
            raise Conflict(mine, theirs)
        return mine

    def _append(
        self, subject_id: int, text: str, author: str, based_on: int, status: str
    ) -> tuple[Revision, Revision | None]:
        with writing(self._engine) as session, session.begin():
            if session.get(Subject, subject_id) is None:
                raise UserError("This text no longer exists: reload the page.")
            current = _current(session, subject_id)
            late = current is not None and current.number > based_on and current.text != text
            last = session.scalar(select(func.max(Revision.number)).filter_by(subject_id=subject_id)) or 0
            mine = Revision(
                subject_id=subject_id, number=last + 1, based_on=based_on, author=author, status=str(status),
                text=text, parked=late,
            )  # fmt: skip
            session.add(mine)
        return mine, current if late else None

    def history(self, subject_id: int) -> list[Revision]:
        """All revisions, parked ones included, newest first."""
        with reading(self._engine) as session:
            query = select(Revision).filter_by(subject_id=subject_id).order_by(Revision.number.desc())
            return list(session.scalars(query))

    def current(self, subject_id: int) -> Revision | None:
        """The revision that counts: the newest one that is not parked."""
        with reading(self._engine) as session:
            return _current(session, subject_id)

    def open_conflicts(self, subject_id: int) -> list[Revision]:
        """Parked revisions nobody has dealt with: those that came after the current one."""
        history = self.history(subject_id)
        return [revision for revision in history[: _index_of_current(history)] if revision.parked]

    def latest(self, benchmark_id: int, kind: str = DESCRIPTION) -> dict[Key, Revision]:
        """The current revision of every subject of a benchmark that has one."""
        newest = (
            select(Revision.subject_id, func.max(Revision.number).label("number"))
            .where(Revision.parked.is_(False))
            .group_by(Revision.subject_id)
            .subquery()
        )
        query = (
            select(Subject, Revision)
            .join(Revision, Revision.subject_id == Subject.id)
            .join(newest, (newest.c.subject_id == Revision.subject_id) & (newest.c.number == Revision.number))
            .where(Subject.benchmark_id == benchmark_id, Subject.kind == kind)
        )
        with reading(self._engine) as session:
            return {_key(subject): revision for subject, revision in session.execute(query)}

    def origin(self, benchmark_id: int) -> Origin:
        """The pictures behind the current descriptions of a benchmark.

        A text counts as written from every suggestion that was there when it was saved; rejected and empty texts, which
        no prompt ever shows, count for nothing.
        """
        current = {
            revision.subject_id: revision
            for revision in self.latest(benchmark_id).values()
            if revision.status != Status.REJECTED and revision.text.strip()
        }
        query = (
            select(Suggestion)
            .join(Subject, Suggestion.subject_id == Subject.id)
            .where(Subject.benchmark_id == benchmark_id, Subject.kind == DESCRIPTION)
            .order_by(Suggestion.id)
        )
        with reading(self._engine) as session:
            found = [
                suggestion
                for suggestion in session.scalars(query)
                if suggestion.subject_id in current and suggestion.created <= current[suggestion.subject_id].created
            ]
        images = dict.fromkeys(image for suggestion in found for image in suggestion.images)
        return Origin(tuple(images), tuple(sorted({split for suggestion in found for split in suggestion.splits})))

    def suggested(self, benchmark_id: int, kind: str = DESCRIPTION) -> set[Key]:
        """The subjects a model has proposed a text for."""
        query = select(Subject).where(
            Subject.benchmark_id == benchmark_id, Subject.kind == kind,
            Subject.id.in_(select(Suggestion.subject_id)),
        )  # fmt: skip
        with reading(self._engine) as session:
            return {_key(subject) for subject in session.scalars(query)}


@dataclass(frozen=True, slots=True)
class Origin:
    """What stands behind a benchmark's current texts, as far as it is known.

    Attributes:
        images: the pictures that models were shown for suggestions which people had before them when they wrote.
        splits: of all pictures behind those suggestions; "unknown" where nobody noted it.
    """

    images: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


def _key(subject: Subject) -> Key:
    return subject.dataset, subject.product, subject.name


def _current(session: Session, subject_id: int) -> Revision | None:
    query = select(Revision).filter_by(subject_id=subject_id, parked=False).order_by(Revision.number.desc())
    return session.scalars(query.limit(1)).first()


def _index_of_current(history: list[Revision]) -> int:
    return next((index for index, revision in enumerate(history) if not revision.parked), len(history))
