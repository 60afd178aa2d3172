"""Sources: one small file for each public layout, all yielding the same `Found` samples.

A source is a function `read(root, *, skip, **options) -> Iterator[Found]` in the module that `SOURCES` names. It streams:
a set of 150,000 pictures is listed without opening one (DeepPCB is cut into crops, so there it must look).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.synthesis.sources.found import Found, Skip, log_skip

# name on the command line -> module; the first line of a module's docstring is shown to people
SOURCES = {
    "folder": "folder",
    "coco": "coco",
    "deeppcb": "deeppcb",
    "mvtec": "mvtec",
    "ds-mvtec": "ds_mvtec",
    "mvtec-loco": "mvtec_loco",
    "visa": "visa",
    "goodsad": "goodsad",
    "mpdd": "mpdd",
    "real-iad": "real_iad",
    "vision": "vision",
}


def read_source(name: str, root: str | Path, *, skip: Skip = log_skip, **options: Any) -> Iterator[Found]:
    """The samples of a product folder in the layout `name` (a key of `SOURCES`), in a fixed order.

    Args:
        root: the folder as it was downloaded or made.
        skip: told (what, why) of everything that is left out.
        options: of that source, e.g. `product`, `dataset`, `seed`; see the module's `read`.

    Raises:
        UserError: no such source or option, or `root` is not laid out that way. Raised at once, not while streaming.
    """
    if name not in SOURCES:
        raise UserError(f"There is no source {name!r}: use one of {', '.join(SOURCES)}.")
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the data set's folder.")
    read = import_module(f"{__name__}.{SOURCES[name]}").read
    known = [option for option in inspect.signature(read).parameters if option not in {"root", "skip"}]
    if unknown := [option for option in options if option not in known]:
        raise UserError(f"The source {name!r} has no option {unknown[0]!r}: it has {', '.join(known) or 'none'}.")
    return read(root, skip=skip, **options)


def about(name: str) -> str:
    """What a source is, in one line."""
    return (import_module(f"{__name__}.{SOURCES[name]}").__doc__ or name).strip().splitlines()[0]
