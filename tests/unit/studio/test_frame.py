"""What a handler raises, as a person sees it."""

from __future__ import annotations

import errno

import gradio as gr
import pytest

from core.errors import NO_MEMORY, UserError
from studio.frame import guarded


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("Give a folder."), "Give a folder."),
        (OSError(errno.ENOSPC, "full", "x"), "The disk is full while writing x: free some space and try again."),
        (MemoryError(), NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), NO_MEMORY),
    ],
)
def test_what_a_person_can_put_right_is_a_message(error, said):
    def handler():
        raise error

    def stream():
        yield 1
        raise error

    with pytest.raises(gr.Error) as told:
        guarded(handler)()
    assert told.value.message == said and not told.value.print_exception
    stepped = guarded(stream)()
    assert next(stepped) == 1
    with pytest.raises(gr.Error) as told:
        next(stepped)
    assert told.value.message == said


def test_a_fault_of_ours_keeps_its_traceback():
    def handler():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(handler)()
