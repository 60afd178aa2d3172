"""What people say about single samples: flags (wrong, reversible), corrections (label, mask), votes between answers."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, select

from core.workspace.database import reading, writing
from core.workspace.tables import Correction, Flag, Vote


class Marks:
    """Flags, corrections and votes of one workspace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def flag(self, benchmark_id: int, image: str, *, reason: str, author: str) -> Flag:
        """Report a sample as wrong; a sample that is already flagged keeps its first flag."""
        with writing(self._engine) as session, session.begin():
            flag = session.scalar(select(Flag).filter_by(benchmark_id=benchmark_id, image=image, lifted=None))
            if flag is None:
                flag = Flag(benchmark_id=benchmark_id, image=image, reason=reason, author=author)
                session.add(flag)
        return flag

    def unflag(self, benchmark_id: int, image: str, *, author: str) -> None:
        """Lift the flag of a sample; who did it and when stays in the table."""
        with writing(self._engine) as session, session.begin():
            for flag in session.scalars(select(Flag).filter_by(benchmark_id=benchmark_id, image=image, lifted=None)):
                flag.lifted, flag.lifted_by = datetime.now(UTC), author

    def flags(self, benchmark_id: int) -> dict[str, Flag]:
        """The samples that are flagged now, by image path."""
        with reading(self._engine) as session:
            query = select(Flag).filter_by(benchmark_id=benchmark_id, lifted=None).order_by(Flag.id)
            return {flag.image: flag for flag in session.scalars(query)}

    def correct(self, benchmark_id: int, image: str, *, label: str, author: str, mask: str | None = None) -> Correction:
        """Give a sample another label ("good" or a defect) and perhaps another mask (below the benchmark's root)."""
        with writing(self._engine) as session, session.begin():
            row = Correction(benchmark_id=benchmark_id, image=image, label=label, author=author, mask=mask)
            session.add(row)
        return row

    def corrections(self, benchmark_id: int) -> dict[str, Correction]:
        """The newest correction of every corrected sample, by image path."""
        with reading(self._engine) as session:
            query = select(Correction).filter_by(benchmark_id=benchmark_id).order_by(Correction.id)
            return {row.image: row for row in session.scalars(query)}

    def vote(
        self, benchmark_id: int, image: str, question: int, *, left: str, right: str, winner: str, author: str
    ) -> Vote:
        """Say which of two models answered a question better; `winner` is one of them or "tie"."""
        with writing(self._engine) as session, session.begin():
            vote = Vote(benchmark_id=benchmark_id, image=image, question=question, left=left, right=right,
                        winner=winner, author=author)  # fmt: skip
            session.add(vote)
        return vote

    def votes(self, benchmark_id: int) -> list[Vote]:
        """All votes, oldest first."""
        with reading(self._engine) as session:
            return list(session.scalars(select(Vote).filter_by(benchmark_id=benchmark_id).order_by(Vote.id)))
