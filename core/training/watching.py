"""What happens between two steps: progress, metrics, validation, early stopping, and ending when asked to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.runs import Journal
from core.training.checkpoints import RandomState, trained_state
from core.training.config import Evaluation
from core.training.stopping import Stopper, StopRequested

# What a page plots, under short names; everything else keeps TRL's.
SHORT = {
    "difficulty/hard_groups": "hard_groups",
    "difficulty/unsolved_groups": "unsolved_groups",
    "difficulty/resamplings": "resamplings",
    "difficulty/weight": "weight",
    "difficulty/wrong": "wrong",
    "completions/mean_length": "length",
    "tokens/generated": "generated_tokens",
}
SKIPPED = {"epoch", "total_flos", "train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss"}


class Watcher(TrainerCallback):
    """Sees every step of one stage.

    Args:
        journal: of the run; None on all processes but the first.
        validate: asks the validation questions and returns the share of right answers; None asks none.
        judged: told that share, while the model still is what was asked.
        start: validate before the first step, too: what an earlier stage has learned is a state like the others.
        flush: writes tables that are still in memory; called before every checkpoint.
    """

    def __init__(
        self,
        stage: str,
        journal: Journal | None,
        stopper: Stopper,
        evaluation: Evaluation,
        *,
        validate: Callable[[], float] | None = None,
        judged: Callable[[float], None] | None = None,
        start: bool = False,
        flush: Callable[[], None] | None = None,
    ) -> None:
        self.stage, self.journal, self.stopper, self.evaluation = stage, journal, stopper, evaluation
        self.validate, self.judged, self.start, self.flush = validate, judged, start, flush
        self.best, self.without_gain = -1.0, 0
        self.validated: set[int] = set()
        self.before: RandomState | None = None
        self.statistics: dict[str, torch.Tensor] = {}
        self.world = 1
        self.stopping = False  # several processes have agreed to end

    # A resumed run knows how good it was.
    def remembered(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row.get("stage") == self.stage and row.get("val_accuracy") is not None:
                self.validated.add(row["step"])
                self._judge(row["val_accuracy"])

    def _judge(self, accuracy: float) -> bool:
        better = accuracy > self.best
        self.best, self.without_gain = (accuracy, 0) if better else (self.best, self.without_gain + 1)
        return better

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.world = args.world_size
        if self.journal:
            self.journal.stage(self.stage, state.max_steps, step=state.global_step, message=f"Training ({self.stage}).")
        # Broken off while it was validated: the step is done, its validation is not.
        if self._due(state) and state.global_step not in self.validated:
            self._validate(state, control)

    def _due(self, state: TrainerState) -> bool:
        step, every = state.global_step, self.evaluation.every
        due = self.start if not step else every and (step % every == 0 or step == state.max_steps)
        return bool(self.validate and due)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Breaking off within a step goes back to here.
        self.before = RandomState()
        self.statistics = {
            name: value.clone() for name, value in trained_state(kwargs["model"]).items() if not value.requires_grad
            and name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")
        }  # fmt: skip
        # Several processes wait for each other within a step, so they only end between two.
        self.stopper.interruptible = self.world == 1
        self.stopper.check()

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.stopper.interruptible = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.stopper.interruptible = False
        if self.journal:
            self.journal.progress(state.global_step)
        if self._due(state):
            self._validate(state, control)
        if self._asked_to_stop():
            control.should_save = control.should_training_stop = True
        if control.should_save or state.global_step % args.save_steps == 0 or state.global_step == state.max_steps:
            control.should_save = True
            if self.flush:
                self.flush()
        return control

    def _validate(self, state: TrainerState, control: TrainerControl) -> None:
        assert self.validate is not None
        self.stopper.interruptible = self.world == 1
        try:
            accuracy = self.validate()
        except StopRequested:
            return  # the step is complete: save it and end
        finally:
            self.stopper.interruptible = False
        if self.journal:
            self.journal.metrics(stage=self.stage, step=state.global_step, val_accuracy=accuracy)
        if self.judged:
            self.judged(accuracy)
        gained = self._judge(accuracy)
        if not gained and self.evaluation.patience and self.without_gain >= self.evaluation.patience:
            print(
                f"No gain for {self.without_gain} validations: the stage ends at step {state.global_step}.", flush=True
            )
            control.should_training_stop = True

    def _asked_to_stop(self) -> bool:
        if self.world == 1:
            return self.stopper.requested
        from accelerate import PartialState

        flag = torch.tensor([float(self.stopper.requested)], device=PartialState().device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        # Who is asked while the processes agree stops with them after the next step: alone it would leave them waiting.
        self.stopping = bool(flag.item())
        return self.stopping

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        row = {SHORT.get(key, key): value for key, value in kwargs["logs"].items() if key not in SKIPPED}
        if self.journal and row:
            self.journal.metrics(stage=self.stage, step=state.global_step, **row)


def train(trainer: Trainer, watcher: Watcher, resume_from: str | None) -> None:
    """Train from `resume_from` (or the start) to the end, or until someone asks to stop.

    Raises:
        StopRequested: after a checkpoint was saved as if the broken-off step had never begun.
    """
    trainer.add_callback(watcher)
    try:
        trainer.train(resume_from_checkpoint=resume_from)
    except StopRequested:
        watcher.stopper.interruptible = False
        if watcher.before is not None and trainer.state.global_step:
            watcher.before.restore()
            buffers = dict(trainer.model.named_buffers())  # type: ignore[union-attr]
            with torch.no_grad():
                for name, value in watcher.statistics.items():
                    buffers[name].copy_(value)
            if watcher.flush:
                watcher.flush()
            trainer._save_checkpoint(trainer.model, trial=None)  # type: ignore[arg-type]
        raise
    watcher.stopper.interruptible = False
    if watcher.stopping or (watcher.world == 1 and watcher.stopper.requested):
        raise StopRequested
