"""Opening the database: SQLite in WAL mode by default, PostgreSQL by URL, brought to the newest schema by Alembic.

WAL lets twenty people read while one writes; a writer waits up to ten seconds for another one.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.errors import UserError, explain_os_error

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0001"
FILE = "studio.db"


def open_engine(place: str | Path) -> Engine:
    """The engine of a workspace folder or database URL, with the schema brought up to date.

    Raises:
        UserError: the folder cannot be written, the file is no database, or the database is of a newer studio.
    """
    url = str(place)
    if "://" not in url:
        file = Path(place) / FILE
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, file.parent) from error
        url = f"sqlite:///{file}"
    try:
        engine = create_engine(url, pool_pre_ping="://" in str(place))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _tune_sqlite)
            event.listen(engine, "begin", _begin)
        _upgrade(engine)
    except ModuleNotFoundError as error:
        raise UserError(f"{url.split(':')[0]} needs the package {error.name}: install it, or give a folder.") from error
    except (OperationalError, sqlite3.DatabaseError) as error:
        raise UserError(f"The workspace {place} cannot be opened ({_reason(error)}): choose another one.") from error
    except SQLAlchemyError as error:
        raise UserError(f"{place} is not a workspace database ({_reason(error)}): choose another one.") from error
    return engine


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")


def _tune_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `_begin` begins
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A write takes its lock before it reads what it builds upon; a read takes none.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_turns: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session whose transaction is the only writer from its first statement on.

    The threads of one program take turns here: SQLite lets who waits for its lock sleep up to a tenth of a second at a time,
    and whoever comes meanwhile goes first.
    """
    own = engine.execution_options(writes=True)
    with _turns.setdefault(engine, threading.Lock()), Session(own, expire_on_commit=False) as session:
        yield session


def reading(engine: Engine) -> Session:
    """A session that only reads."""
    return Session(engine, expire_on_commit=False)


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        found = None
        if "alembic_version" in tables:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == HEAD:
        return
    if found is None and tables:
        raise UserError(f"{engine.url.database} holds tables of another program: choose another workspace.")
    if found is not None and found > HEAD:
        raise UserError("The workspace was made by a newer EMIT Studio: update the studio or choose another workspace.")
    # Only now: importing Alembic takes a third of a second, and an up-to-date workspace does not need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # Two studios may open a fresh workspace together: the second waits here and finds it done.
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
