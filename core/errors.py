"""Errors that a person can act on, and the one place where a command turns them into an exit code.

Everything a user can cause (a missing folder, a broken picture, wrong JSON) raises `UserError` with one sentence that
says what to do. A command prints that sentence and exits with 2; the studio shows it on the page. Anything else is a
fault of ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

R = TypeVar("R")

NO_MEMORY = "Not enough memory: close other programs, or use fewer or smaller pictures."
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory", re.IGNORECASE
)


class UserError(Exception):
    """Something the user can put right; the message is one sentence that says how."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, a GPU's or the machine's, for which torch has no class of its own on a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, (RuntimeError, OSError)) and bool(_OUT_OF_MEMORY.search(str(error)))


def explain_os_error(error: OSError, path: object = None) -> UserError:
    """The sentence for a failing file system, naming the path and the way out."""
    where = path if path is not None else error.filename
    sentences = {
        errno.ENOMEM: NO_MEMORY,
        errno.ENOSPC: f"The disk is full while writing {where}: free some space and try again.",
        errno.EDQUOT: f"The disk quota is used up while writing {where}: free some space and try again.",
        errno.EACCES: f"No permission for {where}: choose another folder or change its permissions.",
        errno.EPERM: f"No permission for {where}: choose another folder or change its permissions.",
        errno.EROFS: f"{where} is on a read-only disk: choose another folder.",
        errno.ENOENT: f"{where} does not exist: check the path.",
        errno.EEXIST: f"{where} is a file, a folder is needed: choose another path.",
        errno.ENOTDIR: f"{where} is not a folder: check the path.",
        errno.EISDIR: f"{where} is a folder, a file is needed: check the path.",
        errno.ENAMETOOLONG: f"The name {str(where)[:60]}... is too long for this disk: shorten it.",
    }
    return UserError(sentences.get(error.errno or 0, f"{where}: {error.strerror or error}."))


def explain(error: Exception, path: object = None) -> str | None:
    """The sentence for what a person can put right, None for a fault of ours; `path` as `explain_os_error` takes it."""
    if isinstance(error, UserError):
        return str(error)
    if out_of_memory(error):
        return NO_MEMORY
    return str(explain_os_error(error, path)) if isinstance(error, OSError) else None


def command(main: Callable[..., R]) -> Callable[..., R]:
    """Decorate a command's `main`: `UserError` and file-system errors become one line on stderr and exit code 2."""

    @wraps(main)
    def wrapped(*args: object, **kwargs: object) -> R:
        try:
            return main(*args, **kwargs)
        except BrokenPipeError:
            # `... | head` closed our output: not an error worth a sentence.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)

    return wrapped
