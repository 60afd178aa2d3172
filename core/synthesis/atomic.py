"""A benchmark folder is whole or not there: it grows beside its place and is renamed at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import UserError, explain_os_error
from core.mmad.storage import QUESTIONS_FILE


@contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when all went well, and vanishes otherwise."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not overwrite:
            raise UserError(f"{out} is already there: choose another folder, or pass --overwrite to replace it.")
        if not (out / QUESTIONS_FILE).is_file():
            raise UserError(
                f"{out} is not a benchmark ({QUESTIONS_FILE} is missing), so it is not replaced: choose another folder."
            )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:80]}-"))
        place.chmod(0o755)
    except OSError as error:
        raise explain_os_error(error, out) from error
    try:
        yield place
        if out.is_dir():
            old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:80]}-old-"))
            os.replace(out, old / "was")
            os.replace(place, out)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(place, out)
    except OSError as error:
        raise explain_os_error(error, out) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
