"""Checkpoints that hold exactly what learns, appear in one step, and load completely or not at all.

transformers writes a model under the key names of older files and renames them on `from_pretrained`, but not on a trainer's
resume, which then loads nothing and only warns. So a checkpoint here holds the learning parameters and the batch norm's
statistics under the names they have in memory; a name that does not arrive is an error. It also is far smaller.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.errors import UserError
from core.files import write_atomic
from core.model.adapters import inner_model
from core.model.layouts import note_base

WEIGHTS = "trained.safetensors"
BEST = "best.safetensors"
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: learning parameters, and statistics of batch norms, by their names in memory."""
    state = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    state |= {name: b for name, b in model.named_buffers() if name.rpartition(".")[2] in _STATISTICS}
    return state


def save_trained(model: nn.Module, path: Path, facts: dict[str, Any] | None = None, *, statistics: bool = True) -> None:
    """Write the state, in one step, with `facts` about it.

    Args:
        statistics: of batch norms, too; not for a stage that leaves them alone.
    """
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    state = {
        name: value.cpu().contiguous() for name, value in trained_state(model).items() if statistics or name in learning
    }
    metadata = {name: str(value) for name, value in (facts or {}).items()}
    write_atomic(path, lambda temporary: save_file(state, temporary, metadata=metadata))


def best_of(folder: Path) -> tuple[int, float] | None:
    """(step, share of right answers) of a stage's best state; None while there is none that can be read."""
    try:
        with safe_open(folder / BEST, "pt") as file:
            facts = file.metadata()
        return int(facts["step"]), float(facts["accuracy"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def load_trained(model: nn.Module, path: Path, *, partly: bool = False) -> None:
    """Put a saved state back.

    Args:
        partly: the file may hold other parts than those that learn now (the result of a former stage).

    Raises:
        UserError: the file is cut off, or does not fit the model: then nothing is loaded.
    """
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is missing or cut off ({error}): remove this checkpoint and resume.") from error
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    expected = set(saved) if partly else set(trained_state(model))
    missing, strange = sorted(expected - set(saved)), sorted(set(saved) - set(own))
    wrong = [name for name, value in saved.items() if name in own and own[name].shape != value.shape]
    if missing or strange or wrong:
        raise UserError(
            f"{path} does not fit the model: {len(missing)} weights did not arrive, {len(strange)} are unknown, "
            f"{len(wrong)} have another shape (first: {(missing + strange + wrong)[0]}). "
            "It is of a run with other settings: make a new run."
        )
    with torch.no_grad():
        for name, value in saved.items():
            own[name].copy_(value)


def save_final(model: Any, processor: Any, target: Path, dtype: str) -> None:
    """What `load_model` takes, in `target`, which appears in one step.

    Args:
        dtype: of the weights as they are written; "auto" leaves them as they are.
    """
    staging = target.with_name(f".{target.name}")
    shutil.rmtree(staging, ignore_errors=True)
    # TRL keeps a copy of the adapters as its reference: it is of no use afterwards.
    only = {"selected_adapters": ["default"]} if inner_model(model) is not model else {}
    model.save_pretrained(staging, **only)
    (staging / "README.md").unlink(
        missing_ok=True
    )  # peft's form, not filled in: `python -m core.model export` writes a card
    # An adapter does not hold the settings of the comparison, nor of which weights it is.
    model.config.save_pretrained(staging)
    if inner_model(model) is not model:
        note_base(staging, model.peft_config["default"].base_model_name_or_path)
    processor.save_pretrained(staging)
    if dtype != "auto":
        cast_weights(staging, getattr(torch, dtype))
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def cast_weights(folder: Path, dtype: torch.dtype) -> None:
    """Round all floating-point weights in a saved model's folder to `dtype`."""
    for path in folder.glob("*.safetensors"):
        weights = {name: v.to(dtype) if v.is_floating_point() else v for name, v in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a stage, newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(found, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    return int(path.name.split("-")[1])


def newest_usable(folder: Path) -> Path | None:
    """The newest checkpoint that can be read; a broken one is set aside, and the one before it is taken."""
    for path in checkpoints(folder):
        try:
            load_file(path / WEIGHTS)
            for name in ("optimizer.pt", "scheduler.pt"):
                torch.load(path / name, map_location="cpu", weights_only=True)
            if (path / "trainer_state.json").stat().st_size:
                return path
        except Exception as error:  # noqa: BLE001 - whatever is broken about it, the one before may do
            print(
                f"{path} cannot be read ({type(error).__name__}): going back to the checkpoint before it.", flush=True
            )
            path.rename(path.with_name(f"broken-{path.name}"))
    return None


def folder_size(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


class RandomState:
    """The state of all random numbers at one moment; `restore` goes back to it."""

    def __init__(self) -> None:
        self.python, self.numpy, self.torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)


class ExactCheckpoints:
    """For a transformers `Trainer`: checkpoints as described above.

    Attributes:
        run_path: the run folder, whose size is capped; None leaves it unbounded.
        disk_gb: the cap.
        keep: checkpoints that stay.
    """

    run_path: Path | None = None
    disk_gb: float = float("inf")
    keep: int = 1
    _staging: str | None = None

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card in every checkpoint."""

    def _get_output_dir(self, trial: Any = None) -> str:
        return self._staging or super()._get_output_dir(trial)  # type: ignore[misc]

    @property
    def _sharded(self) -> bool:
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)  # type: ignore[attr-defined]

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if self._sharded:
            super()._save(output_dir, state_dict)  # type: ignore[misc]
        elif self.args.should_save:  # type: ignore[attr-defined]
            save_trained(self.model, Path(output_dir or self.args.output_dir) / WEIGHTS)  # type: ignore[attr-defined]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self._sharded:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        else:
            load_trained(model or self.model, Path(resume_from_checkpoint) / WEIGHTS)  # type: ignore[attr-defined]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)  # type: ignore[attr-defined]
        target = folder / f"checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        if target.is_dir():
            return
        main = self.args.should_save  # type: ignore[attr-defined]
        if main:
            # Weights, and two moments for each of them in 32 bits.
            self.make_room(folder, 12)
        # Written aside and renamed: a kill in between leaves no half checkpoint.
        staging = folder / ".saving"
        if main:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
        self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]
        self._staging = str(staging)
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
        finally:
            self._staging = None
        self.accelerator.wait_for_everyone()  # type: ignore[attr-defined]
        if main:
            (staging / target.name).rename(target)
            shutil.rmtree(staging, ignore_errors=True)
            for old in checkpoints(folder)[self.keep :]:
                shutil.rmtree(old, ignore_errors=True)

    def save_best(self, accuracy: float) -> None:
        """Keep the state as it is now as the stage's best, if no earlier one was better; the last stays beside it.

        The file says how good it is, so that a resumed run goes on from what is there.
        """
        folder = Path(self.args.output_dir)  # type: ignore[attr-defined]
        best = best_of(folder)
        if self.args.should_save and not self._sharded and (best is None or accuracy >= best[1]):  # type: ignore[attr-defined]
            self.make_room(folder, 4)
            facts = {"step": self.state.global_step, "accuracy": accuracy}  # type: ignore[attr-defined]
            save_trained(self.model, folder / BEST, facts)  # type: ignore[attr-defined]

    def make_room(self, folder: Path, width: int) -> None:
        """Keep the run folder below its cap when `width` bytes are going to be written for each learning value: older sample
        completions go first.

        Raises:
            UserError: it does not fit, or the disk is full; earlier checkpoints stay.
        """
        model: Any = self.model  # type: ignore[attr-defined]
        values = sum(value.numel() for value in trained_state(model).values())
        needed = width * values + 2**20
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise UserError(
                f"The disk has {free / 2**20:.0f} MB left, a checkpoint needs {needed / 2**20:.0f} MB: free some space and "
                "resume; earlier checkpoints are kept."
            )
        if self.run_path is None:
            return
        cap = self.disk_gb * 2**30
        samples = sorted((self.run_path / "grpo" / "completions").glob("*.parquet"))
        while samples and folder_size(self.run_path) + needed > cap:
            samples.pop(0).unlink(missing_ok=True)
        size = folder_size(self.run_path)
        if size + needed > cap:
            raise UserError(
                f"The run folder would grow to {(size + needed) / 2**30:.2f} GB, above save.disk_gb = {self.disk_gb:g}: "
                "raise it or lower save.keep, and resume."
            )
