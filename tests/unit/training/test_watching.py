"""What a watcher does between two steps of several processes."""

from __future__ import annotations

import pytest
import torch

from core.training.config import Evaluation
from core.training.stopping import Stopper, StopRequested
from core.training.watching import Watcher, train


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


class Trained:
    """A trainer whose training ends at once."""

    def add_callback(self, watcher) -> None: ...

    def train(self, resume_from_checkpoint) -> None: ...


def test_a_stage_of_several_processes_ends_only_by_what_they_agreed(watcher):
    """One that was asked after the last step goes on with the others, and stops with them in the next stage."""
    watcher.stopper.requested = True
    train(Trained(), watcher, None)
    watcher.stopper.requested, watcher.stopping = False, True
    with pytest.raises(StopRequested):
        train(Trained(), watcher, None)


def test_alone_a_stop_after_the_last_step_ends_the_run(watcher):
    watcher.world, watcher.stopper.requested = 1, True
    with pytest.raises(StopRequested):
        train(Trained(), watcher, None)
