"""A run from start to end: grounding (for small models), SFT, difficulty-aware GRPO, evaluation. Each stage is taken up where
it was left.

grounding/checkpoint-*, /trained.safetensors   what the tower has learned before the first stage
sft/checkpoint-*, sft/best.safetensors      the first stage's last state, and its best by validation
sft/trained.safetensors                     what it hands on: one of the two (evaluate.keep)
grpo/checkpoint-*, grpo/best.safetensors    the second stage; grpo/completions/ holds sample answers
final/                                      what `load_model` takes
"""

from __future__ import annotations

import logging
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed
from trl import GRPOConfig

from core.errors import UserError
from core.evaluation.guarding import refuse_trained
from core.files import write_json
from core.mmad import Benchmark, Snapshot
from core.model import load_model
from core.model.adapters import inner_model
from core.runs import Journal, RunFolder
from core.training.answering_stage import answer_both, validation_accuracy
from core.training.checkpoints import BEST, best_of, load_trained, newest_usable, save_final, save_trained, step_of
from core.training.claiming import claim
from core.training.compressing import free_tower, into_adapters
from core.training.config import RunConfig
from core.training.explaining import environment, explain_failure
from core.training.grounding_stage import GroundingStage
from core.training.grpo_stage import GRPOStage, Recorder, rows_of, running_of
from core.training.lean import lean_language
from core.training.optimizers import slower_tower
from core.training.parts import checkpoint_vision, grounded_parts, learning_parts, made_ready, say_places, size_of
from core.training.pictures import keep_pictures
from core.training.priorities import pool_of, prioritised
from core.training.questions import (
    Course,
    check_pictures,
    choose_questions,
    first_questions,
    judging_of,
    lay_out,
    protocol_of,
)
from core.training.rules import check_world
from core.training.settings import trainer_settings, weights_of
from core.training.sft_stage import SFTStage
from core.training.stopping import StopRequested, stopper
from core.training.watching import Watcher, train

log = logging.getLogger(__name__)
PROJECT = Path(__file__).resolve().parents[2]


def run(config: RunConfig, folder: str | Path, *, journal: Journal | None = None) -> RunFolder:
    """Carry a run out in `folder` (made if it is new), or take it up where it was left.

    Args:
        journal: of a folder that is already claimed.

    Returns when the run is finished or, asked to stop, after a checkpoint; the state file says which.

    Raises:
        UserError: something the user can put right; the state is then `failed` and holds the sentence.
    """
    place = RunFolder(Path(folder).resolve())
    if journal is None and place.state().status == "finished":
        return place
    journal = journal or claim(config, place.path)
    work = Work(config, place, journal)
    # Several processes wait for each other while they load: they end together, between two steps.
    stopper.interruptible = work.world == 1
    try:
        stopper.check()
        work.all_stages()
    except StopRequested:
        _close(journal, "stopped", f"Stopped at step {work.step()}: it can be resumed.")
    except BaseException as error:
        sentence = explain_failure(error, config, work.stage)
        if not isinstance(error, UserError):
            traceback.print_exc()
        _close(journal, "failed", sentence)
        if isinstance(error, UserError | KeyboardInterrupt | SystemExit):
            raise
        raise UserError(sentence) from error
    else:
        _close(journal, "finished", work.verdict)
    return place


def _close(journal: Journal | None, status: str, message: str) -> None:
    if journal:
        journal.close(status, message)


class Work:
    """The stages of one run."""

    def __init__(self, config: RunConfig, run: RunFolder, journal: Journal | None) -> None:
        self.config, self.run, self.journal = config, run, journal
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        self.done = run.state().done
        self.stage = "preparing"
        self.verdict = "Finished."
        self.kept = ""  # which state of the last stage became final/

    def step(self) -> str:
        state = self.journal.state if self.journal else self.run.state()
        return f"{state.step} of {state.steps} ({state.stage})" if state.stage else "0"

    # Preparing -------------------------------------------------------------------------------------------------------

    def all_stages(self) -> None:
        config = self.config
        if config.threads:
            torch.set_num_threads(config.threads)
        check_world(config, self.world)
        self.snapshot = self._snapshot()
        if self.journal:
            write_json(self.run.path / "environment.json", environment(PROJECT, self.snapshot.digest))
        self.snapshot.refuse_leaks()
        self._refuse_trained_base()
        train_bench = self.snapshot.benchmark.split("train")
        self.validation = first_questions(self.snapshot.benchmark.split("val"), config.evaluate.questions, config.seed)
        if config.grounding.enabled and "grounding" not in self.done:
            self.grounding(train_bench)
        if config.sft.enabled and "sft" not in self.done:
            self.sft(train_bench)
        if config.grpo.enabled and "grpo" not in self.done:
            self.grpo(train_bench)
        if config.evaluate.final and "evaluation" not in self.done:
            self.evaluation()

    def _snapshot(self) -> Snapshot:
        """The run's own copy of the snapshot: the original may move, what it holds may not change."""
        own = self.run.path / "snapshot.json"
        if not own.is_file():
            if not self.config.snapshot:
                raise UserError("The run config names no snapshot: set snapshot to a file of core.mmad.Snapshot.")
            snapshot = Snapshot.load(self.config.snapshot)
            if self.journal:
                snapshot.save(own)
            return snapshot
        return Snapshot.load(own)

    def base(self) -> str:
        path = self.config.base
        for place in (Path(path), PROJECT / path):
            if place.exists():
                return str(place)
        return path

    def _refuse_trained_base(self) -> None:
        """What the run is judged on must be new to the base, too; else base and tuned are both praised for remembering."""
        judged = self.snapshot.benchmark.split(self.config.evaluate.final)
        if self.config.evaluate.final in ("val", "test"):
            refuse_trained(self.base(), judged.select(replace(sample, split="test") for sample in judged))

    def load_base(self, *, learning: bool = True) -> tuple[Any, Any]:
        config = self.config
        device: str | None = None if config.device == "auto" else config.device
        if self.world > 1 and device != "cpu" and torch.cuda.is_available():
            device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        model, processor = load_model(
            self.base(), device=device, dtype=weights_of(config), quantize=config.quantize, merge=True
        )
        made_ready(model, processor, config, learning=learning)
        return model, processor

    def course(
        self, bench: Benchmark, section: Any, batch: int, *, thinking: bool, tasks: str, together: bool = False
    ) -> Course:
        config = self.config
        asked = choose_questions(
            bench, tasks=tasks, text_samples=config.prompt.text_samples, limit=section.samples, seed=config.seed
        )
        protocol = protocol_of(config.prompt, thinking=thinking, seed=config.seed)
        course = lay_out(
            bench, protocol, asked, batch=batch, epochs=section.epochs, max_steps=section.max_steps, seed=config.seed,
            together=together,
        )  # fmt: skip
        check_pictures(course)
        return course

    def arguments(self, section: Any, stage: str, steps: int, rows: int, accumulation: int) -> dict[str, Any]:
        place = self.run.path / stage
        return trainer_settings(self.config, section, place, steps=steps, rows=rows, accumulation=accumulation)

    def watcher(self, stage: str, trainer: Any, processor: Any, **kwargs: Any) -> Watcher:
        """Without a processor nothing is asked between steps."""
        config = self.config
        protocol, best = judging_of(config, seed=config.seed), config.evaluate.keep == "best"

        def validate() -> float:
            model = trainer.accelerator.unwrap_model(trainer.model)
            return validation_accuracy(
                model, processor, self.validation, protocol, batch_size=config.evaluate.batch_size, check=stopper.check
            )

        watcher = Watcher(
            stage, self.journal, stopper, config.evaluate,
            validate=validate if processor and len(self.validation) and config.evaluate.every else None,
            judged=trainer.save_best if best else None, start=best and stage == "grpo" and config.sft.enabled, **kwargs,
        )  # fmt: skip
        watcher.remembered(self.run.metric_rows())
        trainer.run_path, trainer.disk_gb, trainer.keep = self.run.path, config.save.disk_gb, config.save.keep
        return watcher

    def resume_point(self, stage: str) -> str | None:
        """The newest checkpoint of a stage; what was written after it is forgotten."""
        found = newest_usable(self.run.path / stage)
        if self.journal:
            self.journal.forget_after(stage, step_of(found) if found else 0)
            if found:
                print(f"Going on from {found.name} of {stage}.", flush=True)
        return str(found) if found else None

    def say(self, model: Any, what: str, steps: int) -> None:
        learning, all_of_it = size_of(model)
        text = f"{what}, {steps} steps; {learning:,} of {all_of_it:,} parameters learn."
        if self.journal:
            print(text, flush=True)
            self.journal.progress(0, steps, text)

    # Stages ------------------------------------------------------------------------------------------------------------

    def grounding(self, bench: Benchmark) -> None:
        section, self.stage = self.config.grounding, "grounding"
        if self.journal:
            self.journal.stage("grounding", 0, message="Loading the model.")
        set_seed(self.config.seed)
        model, processor = self.load_base()
        model = grounded_parts(model, processor, self.config)
        before = free_tower(model) if "vision" in section.train else {}
        rows = section.batch_size // self.world
        args = TrainingArguments(**self.arguments(section, "grounding", section.max_steps, rows, 1))
        weights = {"wording": section.wording, "comparing": self.config.comparing, "keeping": section.keeping}
        similar = self.config.prompt.template == "similar"
        trainer = GroundingStage.on(bench, model, processor, args, strange=section.strange, similar=similar, **weights)
        self.say(model, f"Grounding: {trainer.about}", section.max_steps)
        train(trainer, self.watcher("grounding", trainer, None), self.resume_point("grounding"))
        if self.journal:
            if before:
                kept = into_adapters(model, before, trainer.some_pictures())
                print(f"The adapters hold {kept:.1%} of what the tower has learned.", flush=True)
            save_trained(
                model, self.run.path / "grounding" / "trained.safetensors", statistics=bool(self.config.comparing)
            )
            self.journal.stage_done("grounding")
        self._barrier(trainer)

    def take_up(self, model: Any, *stages: str) -> None:
        """Load what the latest of the stages has learned, if any was carried out."""
        for stage in stages:
            learned = self.run.path / stage / "trained.safetensors"
            if learned.is_file():
                load_trained(model, learned, partly=True)
                return

    def sft(self, bench: Benchmark) -> None:
        section, self.stage = self.config.sft, "sft"
        if self.journal:
            self.journal.stage("sft", 0, message="Loading the model.")
        set_seed(self.config.seed)
        model, processor = self.load_base()
        if "projector" in section.train:
            say_places(model, processor.tokenizer)
        model = learning_parts(model, self.config, section.train, adapters=section.adapters)
        self.take_up(model, "grounding")
        inner = inner_model(model)
        inner.collect_statistics(True)
        if self.config.dtype == "mixed":
            lean_language(inner)
        micro = min(section.micro_batch, section.batch_size // self.world)
        course = self.course(
            bench, section, section.batch_size, thinking=False, tasks=section.tasks, together=section.together
        )
        accumulation = section.batch_size // (micro * self.world)
        args = TrainingArguments(**self.arguments(section, "sft", course.steps, micro, accumulation))
        self.say(model, f"SFT: {len(course.asked)} questions", course.steps)
        trainer = SFTStage(
            model, processor, course, args, style=section.replies, optimizers=(slower_tower(model, section), None)
        )
        train(trainer, self.watcher("sft", trainer, processor), self.resume_point("sft"))
        inner.collect_statistics(False)
        if self.journal:
            self.choose("sft", model)
            save_trained(model, self.run.path / "sft" / "trained.safetensors")
            if not self.config.grpo.enabled:
                save_final(model, processor, self.run.final, self.config.save.dtype)
            self.journal.stage_done("sft")
        self._barrier(trainer)

    def grpo(self, bench: Benchmark) -> None:
        section, self.stage = self.config.grpo, "grpo"
        if self.journal:
            self.journal.stage("grpo", 0, message="Loading the model.")
        set_seed(self.config.seed)
        model, processor = self.load_base()
        adapted = self.config.grounding.enabled or (self.config.sft.enabled and self.config.sft.adapters)
        if not adapted:
            self.take_up(model, "sft")
        model = learning_parts(model, self.config, section.train, adapters=self.config.lora is not None)
        if adapted:
            self.take_up(model, "sft", "grounding")
        if section.checkpoint_vision:
            checkpoint_vision(model)
        course = self.course(bench, pool_of(section), section.groups, thinking=self.config.prompt.thinking, tasks="all")
        if section.sampling == "prioritised":
            main = self.journal is not None
            course = prioritised(course, self.config, model, processor, self.run.path, main=main, check=stopper.check)
        rows = section.micro_batch
        accumulation = section.groups * section.group_size // (rows * self.world)
        args = GRPOConfig(
            **self.arguments(section, "grpo", course.steps, rows, accumulation),
            num_generations=section.group_size, max_completion_length=section.max_new_tokens,
            temperature=section.temperature, beta=section.beta, loss_type="grpo", scale_rewards="group",
            reward_weights=list(section.rewards), shuffle_dataset=False,
        )  # fmt: skip
        self.say(model, f"GRPO: {len(course.asked)} questions", course.steps)
        recorder = Recorder(self.run.path)
        cutting, pictures = keep_pictures(processor)
        trainer = GRPOStage(
            model, None, args, rows_of(course, pictures), processing_class=cutting, resampling=section.resampling,
            reweighting=section.reweighting, shared_prefix=section.shared_prefix, record=recorder,
            optimizers=(slower_tower(model, section), None),
        )  # fmt: skip
        watcher = self.watcher("grpo", trainer, processor, flush=recorder.flush)
        checkpoint = self.resume_point("grpo")
        if section.difficulty == "running":
            trainer.accelerator.wait_for_everyone()  # the main process forgets what is done again, all others read what is left
            trainer.running = running_of(self.run)
        train(trainer, watcher, checkpoint)
        recorder.flush()
        if self.journal:
            tuned = trainer.accelerator.unwrap_model(trainer.model)
            self.choose("grpo", tuned)
            save_final(tuned, processor, self.run.final, self.config.save.dtype)
            self.journal.stage_done("grpo")
        self._barrier(trainer)

    def choose(self, stage: str, model: Any) -> None:
        """Put the stage's best state back, if that is what it hands on."""
        best = best_of(self.run.path / stage)
        if best is None or self.config.evaluate.keep != "best":
            return
        load_trained(model, self.run.path / stage / BEST)
        state = f"that of step {best[0]}" if best[0] else "the one it began with"
        self.kept = f" The best state of {stage} was kept, {state} ({best[1]:.1%} of the validation)."
        print(self.kept.strip(), flush=True)

    def evaluation(self) -> None:
        config, self.stage = self.config, "evaluation"
        bench = first_questions(
            self.snapshot.benchmark.split(config.evaluate.final), config.evaluate.final_questions, config.seed
        )
        total = 2 * sum(len(sample.questions) for sample in bench)
        if self.journal:
            self.journal.stage("evaluation", total, message="Asking base and tuned model.")
        protocol = judging_of(config, seed=config.seed)
        stopper.interruptible = self.journal is not None

        def load(name: str) -> tuple[Any, Any]:
            if name == "base":
                return self.load_base(learning=False)
            device = None if config.device == "auto" else config.device
            return load_model(self.run.final, device=device, dtype=weights_of(config))

        def progress(done: int, total: int) -> None:
            if self.journal:
                stopper.check()
                self.journal.progress(done, total)
            elif self.run.state().is_over:  # the first process was asked, and has left
                raise StopRequested

        table = answer_both(
            load, bench, protocol, self.run.path, labels=self.snapshot.labels,
            batch_size=config.evaluate.batch_size, progress=progress, main=self.journal is not None,
        )  # fmt: skip
        if self.journal and table:
            base, tuned = (table[name]["Average"]["Average"] for name in ("base", "tuned"))
            self.verdict = (
                f"Finished: {base:.1f} % before, {tuned:.1f} % after, on {table['questions']} questions.{self.kept}"
            )
            self.journal.stage_done("evaluation")

    def _barrier(self, trainer: Any) -> None:
        trainer.accelerator.wait_for_everyone()
        trainer.accelerator.free_memory()
