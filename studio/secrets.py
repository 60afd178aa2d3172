"""The endpoint's key: in the environment, else in a file only its owner can read; never shown again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from core.errors import UserError, explain_os_error

KEY = "OPENAI_API_KEY"


class Secrets:
    """Secrets of one workspace; the environment wins over the file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, name: str = KEY) -> str | None:
        return os.environ.get(name) or self._read().get(name) or None

    def place(self, name: str = KEY) -> str | None:
        """Where the secret comes from ("environment" or "file"), None without one; the secret itself is not told."""
        if os.environ.get(name):
            return "environment"
        return "file" if self._read().get(name) else None

    def set(self, value: str | None, name: str = KEY) -> None:
        """Keep or (None, empty) forget a secret."""
        values = self._read()
        values.pop(name, None)
        if value:
            values[name] = value.strip()
        temporary = self._file.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            # Readable by its owner only from the first byte on: not written first and closed afterwards.
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(values, file)
            os.replace(temporary, self._file)
        except OSError as error:
            raise explain_os_error(error, self._file) from error

    def _read(self) -> dict[str, str]:
        try:
            value = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(f"{self._file} cannot be read: remove it and enter the key again.") from error
        return value if isinstance(value, dict) else {}
