"""What was worked out once and depends on content alone (mask summaries, image features): a small key-value file.

SQLite keeps it whole when a process is killed in the middle, and several may use it at once. A cache that cannot be opened
costs time, not the run: it then lives in memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

_AT_ONCE = 500  # SQLite's limit on the variables of one statement is 999 in old builds


def default_path() -> Path:
    """The user's cache folder ($XDG_CACHE_HOME or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emit-studio" / "content.db"


class Store:
    """Values by kind and key.

    Args:
        path: the file; None keeps everything in memory.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._memory: dict[tuple[str, str], bytes] = {}
        self._path = Path(path) if path else None
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._connect() as connection:
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS content (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key))"
                    )
            except (OSError, sqlite3.Error):
                self._path = None

    def get(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """The values that are known."""
        keys = list(dict.fromkeys(keys))
        found = {key: self._memory[kind, key] for key in keys if (kind, key) in self._memory}
        rest = [key for key in keys if key not in found]
        if self._path and rest:
            try:
                with self._connect() as connection:
                    for start in range(0, len(rest), _AT_ONCE):
                        part = rest[start : start + _AT_ONCE]
                        marks = ",".join("?" * len(part))
                        query = f"SELECT key, value FROM content WHERE kind = ? AND key IN ({marks})"
                        found.update(connection.execute(query, (kind, *part)).fetchall())
            except sqlite3.Error:
                pass
        return found

    def put(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember values; a full or read-only disk is no error."""
        if not values:
            return
        if self._path:
            try:
                with self._connect() as connection:
                    rows = [(kind, key, value) for key, value in values.items()]
                    connection.executemany("INSERT OR REPLACE INTO content VALUES (?, ?, ?)", rows)
                return
            except sqlite3.Error:
                pass
        self._memory.update({(kind, key): value for key, value in values.items()})

    def _connect(self) -> _Closing:
        return _Closing(str(self._path), timeout=30)


class _Closing(sqlite3.Connection):
    """A connection whose `with` block commits and closes."""

    def __exit__(self, *error: object) -> Literal[False]:  # type: ignore[override]
        try:
            super().__exit__(*error)  # type: ignore[arg-type]
        finally:
            self.close()
        return False
