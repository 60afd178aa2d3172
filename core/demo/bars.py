"""Progress bars of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def bar(name: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """A bar as a callback of (done, total); it draws nothing when the output is no terminal but a start and an end."""
    with tqdm(desc=name, unit=unit, mininterval=0.5) as shown:

        def show(done: int, total: int) -> None:
            shown.total = total
            shown.update(min(done, total) - shown.n)

        yield show
