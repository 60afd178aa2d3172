"""The tables of the workspace, as SQLAlchemy 2 classes; Alembic (`migrations/`) brings a database to this shape.

    benchmarks 1-n subjects 1-n suggestions   what a model proposed, immutable
                            1-n revisions     what people wrote, append-only
    benchmarks 1-n flags, corrections, votes  about one sample each
    settings                                  name -> JSON value

Times are UTC. Rows about samples name them by image path, not by a foreign key: the benchmark's own file is the truth.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, MetaData, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

# Named constraints: Alembic can only change what has a name.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Status(StrEnum):
    """What a reviewer thinks of a text."""

    DRAFT = "draft"
    APPROVED = "approved"
    REJECTED = "rejected"


class Utc(TypeDecorator[datetime]):
    """A time that is stored in UTC and comes back aware of it; SQLite keeps no time zone by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def now() -> datetime:
    return datetime.now(UTC)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Rows are plain dataclasses once they leave their session."""

    metadata = MetaData(naming_convention=NAMES)


class OpenedBenchmark(Base):
    """A benchmark folder somebody opened."""

    __tablename__ = "benchmarks"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    path: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(String(200))
    opened: Mapped[datetime] = mapped_column(Utc, default_factory=now)
    hidden: Mapped[bool] = mapped_column(default=False)


class Subject(Base):
    """What a text is about: a product's normal state or defect ("description"), or one text sample ("text sample").

    `name` is "good", the defect's name, or the text sample's image path.
    """

    __tablename__ = "subjects"
    __table_args__ = (UniqueConstraint("benchmark_id", "kind", "dataset", "product", "name", name="uq_subjects_key"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("benchmarks.id"))
    kind: Mapped[str] = mapped_column(String(20))
    dataset: Mapped[str] = mapped_column(String(200))
    product: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(500))


class Suggestion(Base):
    """What a model proposed for a subject; never changed.

    `prompt` names what was asked (its text or hash), `images` and `splits` the pictures behind the text: one written from
    test pictures must be known as such. `cost` is in US dollars, None when the price is unknown.
    """

    __tablename__ = "suggestions"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("subjects.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(200))
    prompt: Mapped[str] = mapped_column(Text, default="")
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float | None] = mapped_column(default=None)
    images: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    splits: Mapped[list[str]] = mapped_column(JSON, default_factory=list)
    created: Mapped[datetime] = mapped_column(Utc, default_factory=now)


class Revision(Base):
    """What a person wrote about a subject; never changed, only followed by the next number.

    `based_on` is the number the writer had before them (0: the benchmark's own text). A parked revision was written at
    the same time as another one: it stands in the history, but is not the current text.
    """

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("subject_id", "number", name="uq_revisions_number"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("subjects.id"), index=True)
    number: Mapped[int]
    based_on: Mapped[int]
    author: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    parked: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(Utc, default_factory=now)


class Flag(Base):
    """Somebody says the sample is wrong: it is kept out of training and scoring until the flag is lifted."""

    __tablename__ = "flags"
    __table_args__ = (Index("ix_flags_sample", "benchmark_id", "image"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("benchmarks.id"))
    image: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime] = mapped_column(Utc, default_factory=now)
    lifted: Mapped[datetime | None] = mapped_column(Utc, default=None)
    lifted_by: Mapped[str | None] = mapped_column(String(200), default=None)


class Correction(Base):
    """Another label or mask for a sample; the newest counts, the older ones stay.

    `label` is "good" or a defect's name; `mask` is a PNG below the benchmark's root, None to keep the mask there is.
    """

    __tablename__ = "corrections"
    __table_args__ = (Index("ix_corrections_sample", "benchmark_id", "image"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("benchmarks.id"))
    image: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(200))
    author: Mapped[str] = mapped_column(String(200))
    mask: Mapped[str | None] = mapped_column(Text, default=None)
    created: Mapped[datetime] = mapped_column(Utc, default_factory=now)


class Vote(Base):
    """Which of two models answered a question better; `winner` is a model's name or "tie"."""

    __tablename__ = "votes"
    __table_args__ = (Index("ix_votes_sample", "benchmark_id", "image"),)

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    benchmark_id: Mapped[int] = mapped_column(ForeignKey("benchmarks.id"))
    image: Mapped[str] = mapped_column(Text)
    question: Mapped[int]
    left: Mapped[str] = mapped_column(String(500))
    right: Mapped[str] = mapped_column(String(500))
    winner: Mapped[str] = mapped_column(String(500))
    author: Mapped[str] = mapped_column(String(200))
    created: Mapped[datetime] = mapped_column(Utc, default_factory=now)


class Setting(Base):
    """One setting of the studio."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
