"""The disk cache: one file per answer, written in one step and named by what was asked. It is also what makes a killed
run resumable: an answer is on disk before it counts as done, so nothing is lost, doubled or paid twice.

    <folder>/items/<first two characters>/<hash>.json    answers
    <folder>/batches/<job>.json                          jobs handed to the Batch API

No prompt, picture or key is stored. A file that is damaged counts as absent.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from core.errors import UserError
from core.files import read_json, write_json
from core.synthesis.descriptions.asking import Answer


def default_folder() -> Path:
    """Where answers are kept unless a workspace says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emit-studio" / "descriptions"


class Store:
    """Answers by the hash of what was asked."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def path(self, key: str) -> Path:
        return self.folder / "items" / key[:2] / f"{key}.json"

    def get(self, key: str) -> Answer | None:
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            value = read_json(path)
            answer = Answer(value["title"], value["description"], int(value["tokens_in"]), int(value["tokens_out"]))
        except (UserError, KeyError, TypeError, ValueError):
            return None
        return answer if isinstance(answer.title, str) and isinstance(answer.description, str) else None

    def put(self, key: str, answer: Answer, model: str) -> None:
        """Keep an answer.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        write_json(self.path(key), {"model": model, **asdict(answer)})

    def drop(self, key: str) -> None:
        """Forget an answer, so that it is asked again."""
        self.path(key).unlink(missing_ok=True)
