"""Models are loaded once and few at a time."""

from __future__ import annotations

import threading
import time

import pytest

from core.errors import UserError
from studio.models import Loaded, Models


def test_a_model_is_loaded_once_even_when_two_ask_at_the_same_time():
    loads = []

    def slow(path):
        loads.append(path)
        time.sleep(0.05)
        return Loaded(path, None)

    models = Models(load=slow)
    threads = [threading.Thread(target=models.get, args=("a",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["a"] and models.ready("a") and not models.ready("b")


def test_the_one_used_least_recently_makes_room():
    models = Models(limit=2, load=lambda path: Loaded(path, None))
    for path in ("a", "b", "a", "c"):
        models.get(path)
    assert [models.ready(path) for path in "abc"] == [True, False, True]


def test_a_model_that_was_trained_on_is_loaded_again(tmp_path):
    import os

    models = Models(load=lambda path: Loaded(object(), None))
    first = models.get(tmp_path)
    os.utime(tmp_path, (1, 1))
    assert models.get(tmp_path) is not first


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_a_sentence_and_leaves_nothing_behind(error):
    def fail(path):
        raise error

    models = Models(load=fail)
    with pytest.raises(UserError, match="memory"):
        models.get("a")
    with pytest.raises(UserError, match="memory"):
        models.get("a")
