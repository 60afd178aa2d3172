"""Files that are either wholly there or not there at all.

A file is written beside its place and renamed into it, so that neither a crash nor a full disk leaves half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError, explain_os_error


def write_atomic(path: str | Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """Write `content` to `path` in one step; a callable is given the temporary path (same suffix) and writes it itself.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full. Nothing is left behind.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, str):
                content = content.encode("utf-8")
            if isinstance(content, bytes):
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if callable(content):
            content(temporary)
        # mkstemp makes files private; a written file follows the umask like any other.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def check_writable(path: str | Path) -> None:
    """Find out before hours of work whether `path` can be written when they are over.

    Its folder is made; no file is left behind.

    Raises:
        UserError: `path` is a folder, or its folder cannot be made or written.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, a file is needed: check the path.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-"):
            pass
    except FileNotFoundError as error:
        raise UserError(f"{path} cannot be written there: choose another folder.") from error
    except OSError as error:
        raise explain_os_error(error, path) from error


def write_json(path: str | Path, value: Any, *, indent: int | None = 1) -> Path:
    """Write `value` as UTF-8 JSON in one step."""
    return write_atomic(path, json.dumps(value, ensure_ascii=False, indent=indent) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing, not readable, or not JSON (line and column are named).
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise explain_os_error(error, path) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file: save it as UTF-8 JSON.") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not JSON (line {error.lineno}, column {error.colno}: {error.msg}): "
            "repair the file or fetch it again."
        ) from error


def digest(value: Any) -> str:
    """SHA-256 (64 hex characters) of a JSON-able value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_digest(path: str | Path) -> str:
    """SHA-256 (64 hex characters) of a file's bytes."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise explain_os_error(error, path) from error
