"""What a watcher does between two steps of several processes."""

from __future__ import annotations

import pytest
import torch

from core.training.config import Evaluation
from core.training.stopping import Stopper
from core.training.watching import Watcher


@pytest.fixture
def watcher():
    watcher = Watcher("grpo", None, Stopper(), Evaluation())
    watcher.stopper.interruptible, watcher.world = False, 2
    return watcher


def test_a_stop_asked_for_while_the_processes_agree_is_not_lost(watcher, monkeypatch):
    """The flag was read before the signal came: the answer is no for this step, and yes for the next."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flag, op: watcher.stopper._asked(15, None))
    assert not watcher._asked_to_stop() and watcher.stopper.requested
    assert watcher._asked_to_stop() and watcher.stopping


def test_the_others_stop_with_the_one_that_was_asked(watcher, monkeypatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flag, op: flag.fill_(1.0))
    assert watcher._asked_to_stop() and watcher.stopping
    assert not watcher.stopper.requested  # nobody asked this process
