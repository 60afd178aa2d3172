"""Pretraining of the tiny base: `python -m core.demo pretrain`. Normal products only, from random weights to a checkpoint.

Four stages: *seeing* (dense targets teach the vision tower what lies where: parts, colours, detail, and neutral marks drawn
on, to let every patch know what any of them knows, and to tell a mark from another piece without it), *reading* (a curriculum
on text alone teaches the language model to choose among lettered options, and how defects look), *telling* (what pictures
show, said in plain words, joins the two), *answering* (chats with lettered options about products and imagined defects,
some of these with names invented for the lesson). In the last two the tower stays as it is, and reading goes on beside them.
Everything of a step derives from the seed and what was learned before it, so that a run that was killed continues from its
last checkpoint as if nothing had happened.

On a CPU with instructions for 16 bits, 16-bit products and plain attention make a step of this size two to three times faster
than 32 bit and torch's fused attention; on one without them half as fast. So the machine decides.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.demo.bars import bar
from core.demo.education import COMPARING, NOTES, Education
from core.demo.imagining import imagined_lesson
from core.demo.lookaround import look_around
from core.demo.marks import DRAWN, FLAT
from core.demo.naming import strange_lesson
from core.demo.optimizing import SCALES, optimizers_of
from core.demo.pool import Pool, load_pool
from core.demo.pupil import Pupil
from core.demo.reading import LEVELS, passage
from core.demo.seeing import seeing_lesson, telling_lesson
from core.demo.views import View
from core.errors import UserError
from core.files import write_atomic
from core.model.internvl import LayerTap

GRADES = 30  # steps over which the mastery of a level is judged
SHOWN = 3  # of so many steps of telling one shows pictures
# Steps of the last stage, in turn.
ANSWERING = ("imagine", "chat", "imagine", "strange", "imagine", "chat", "imagine", "strange", "read")
TELLING = 0.3  # share of chats in plain words while answering
LOGGED = 5  # of so many steps one is noted; lessons come in threes or nines, so all kinds are
START = 256  # pictures that the tower's start is fitted to
MARKS = (0, 0, 0, 1, 1, 1, 2, 3, 4, 5)  # how many lie on a picture whose patches are labelled


class Pretraining(Pupil):
    """Carries an education out; its folder holds `state.pt`, `log.jsonl` and at last the checkpoint."""

    def __init__(self, folder: Path, education: Education, *, device: str = "cpu", **tiny: Any) -> None:
        super().__init__(education, device=device, **tiny)
        self.folder = folder
        self.optimizers = optimizers_of(self.model.model, self._parameters())
        self.seconds = 0.0
        self.level, self.grades = 0, [0.0] * GRADES  # of the reading curriculum

    def _lessons(self) -> dict[str, Any]:
        """What has to be the same for a pretraining to go on."""
        return {
            **asdict(self.education),
            "levels": [(level.name, level.mastered, level.letters) for level in LEVELS],
            "answers": ANSWERING,
            "marks": (FLAT, DRAWN),
            "optimizers": len(SCALES),
            **COMPARING,
        }

    def resume(self) -> bool:
        """Continue from `state.pt` when there is one.

        Raises:
            UserError: the folder holds the state of another education, or a damaged one.
        """
        path = self.folder / "state.pt"
        if not path.is_file():
            return False
        try:
            state = torch.load(path, weights_only=True, map_location=self.device)
        except Exception as error:
            raise UserError(f"{path} is damaged: delete it to start again.") from error
        if state["education"] != self._lessons():
            raise UserError(f"{self.folder} holds another pretraining: choose another folder or delete it.")
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]
        self.level, self.grades = state["level"], state["grades"]
        self.met = state["met"]
        return True

    def checkpoint(self) -> None:
        state = {
            "education": self._lessons(), "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step, "seconds": self.seconds,
            "level": self.level, "grades": self.grades, "met": self.met,
        }  # fmt: skip
        write_atomic(self.folder / "state.pt", lambda path: torch.save(state, path))

    def run(
        self, pool: Pool, *, every: int = 100, progress: Callable[[int, int, dict[str, Any]], None] | None = None
    ) -> None:
        """Carry out the steps that are left; checkpoint every `every` steps."""
        total = self.education.steps
        began = time.monotonic() - self.seconds
        self.model.train()
        if self.step == 0:
            self._start(pool)
        while self.step < total:
            stage, done = self.education.stage(self.step)
            rate = self._rate(stage, done)
            for optimizer, scale in zip(self.optimizers, SCALES, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = scale * rate
            teach = {"seeing": self._see, "reading": self._read, "telling": self._tell, "answering": self._answer}
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                loss, figures = teach[stage](pool)
            loss.backward()
            if "level" in figures:  # reading, whichever the stage
                self._grade(figures["letters" if LEVELS[self.level].letters else "words"])
            torch.nn.utils.clip_grad_norm_(self._parameters(), 1.0)
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.step += 1
            report: dict[str, Any] = {"stage": stage, "step": self.step, "loss": round(loss.item(), 4), **figures}
            self.seconds = time.monotonic() - began
            report["seconds"] = round(self.seconds, 1)
            if not math.isfinite(report["loss"]):
                raise UserError("The loss is no longer a number: lower the learning rate and start again.")
            if progress:
                progress(self.step, total, report)
            if self.step % LOGGED == 0:
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    known = {name: value for name, value in report.items() if value == value}  # no letters: NaN
                    log.write(json.dumps(known) + "\n")
            if self.step % every == 0 or self.step == total:
                self.checkpoint()
        self.model.eval()

    def save(self) -> None:
        """Write the checkpoint with 16-bit weights and its card."""
        from core.model.export import model_card, save

        self._move("cpu", torch.bfloat16)
        target = self.folder / "checkpoint"
        save(self.model, self.processor, target)
        machine = "a GPU" if self.device.type == "cuda" else f"{torch.get_num_threads()} CPU cores"
        notes = NOTES.format(minutes=self.seconds / 60, machine=machine, **asdict(self.education))
        card = model_card(self.model, title="EMIT tiny", folder="emit-tiny", base="", notes=notes, licence="apache-2.0")
        write_atomic(target / "README.md", card)

    def _rate(self, stage: str, done: int) -> float:
        length = getattr(self.education, stage)
        warm, cooled = min(1.0, (done + 1) / 50), 0.5 * (1 + math.cos(math.pi * done / length))
        # What breaks through late needs its rate until then: it stays up until the last third.
        if stage in ("reading", "telling"):
            cooled = min(1.0, 3 * (1 - done / length))
        return self.education.rate[stage] * warm * (0.1 + 0.9 * cooled)

    def _rng(self) -> random.Random:
        stage, done = self.education.stage(self.step)
        return random.Random(f"{self.education.seed}/{stage.removesuffix('ing')}/{done}")

    def _start(self, pool: Pool) -> None:
        """Filters, places and heads of the tower, fitted to the pool."""
        from core.model.tiny import seeded

        rng = random.Random(f"{self.education.seed}/start")
        chosen = rng.sample(range(len(pool)), min(START, len(pool)))
        pixels = self._pixels([View.of(pool, index) for index in chosen], rng)
        self._move("cpu")  # the same start on every device
        with seeded(self.education.seed):
            look_around(self.model.model.vision_tower, pixels.cpu())
        self._move(self.device)

    def _see(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        chosen = rng.sample(range(len(pool)), self.education.batch_seeing)
        comparing = self.step >= self.education.seeing * (1 - self.education.comparing)
        turns = [(rng.randrange(4), rng.random() < 0.5) for _ in chosen]
        views = [
            View.of(pool, index).marked(rng, rng.choice(MARKS), DRAWN if comparing else FLAT).turned(*turn)
            for index, turn in zip(chosen, turns, strict=True)
        ]
        pixels = self._pixels(views, rng)
        if not comparing:
            return self._dense_loss(self._look(pixels)[:, 1:], pixels, views)
        count, inner = self.education.batch_compared, self.model.model
        with LayerTap(inner.vision_tower, inner.config.comparison_layers, learning=True) as tap:
            compared = inner.vision_tower(pixel_values=pixels[:count]).last_hidden_state
        features = torch.cat([compared, self._look(pixels[count:])])[:, 1:]
        loss, figures = self._dense_loss(features, pixels, views)
        # The other piece of the lot, as it lies by itself, turned as its picture is.
        others = [View.of(pool, pool.fellow(index)) for index in chosen[:count]]
        turned = [other.turned(*turn) for other, turn in zip(others, turns, strict=False)]
        unlike, found = self._map_loss(tap.states, self._pixels(turned, rng), views[:count])
        return loss + unlike, {**figures, "map": round(found.item(), 4), "map_loss": round(unlike.item(), 4)}

    def _read(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        loss, figures = self._language_loss(*self._batch(lambda: passage(self.level, rng)), None)
        return loss, {**figures, "level": self.level}

    def _grade(self, right: float) -> None:
        """Up a level when the last lessons were mastered; NaN (no letter in the batch) counts for nothing."""
        if not math.isnan(right):
            self.grades = [*self.grades[1:], right]
        if sum(self.grades) / GRADES >= LEVELS[self.level].mastered:
            self.level, self.grades = self.level + 1, [0.0] * GRADES

    def _tell(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        if self.step % SHOWN:
            return self._read(pool)
        return self._chat(rng, [telling_lesson(pool, rng) for _ in range(self.education.batch_chats)])

    def _answer(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        """In turn: chats with options (some in plain words, or these are forgotten), imagined defects, with names known and
        invented, reading."""
        rng, count = self._rng(), self.education.batch_imagined
        lesson = ANSWERING[self.step % len(ANSWERING)]
        if lesson == "read":
            return self._read(pool)
        if lesson == "imagine":
            return self._imagined([imagined_lesson(pool, rng) for _ in range(count)], rng)
        if lesson == "strange":
            self._redraw()
            met = self.met.tolist()
            spare = [word for word, token in self.listed if not met[token]]
            return self._imagined([strange_lesson(pool, rng, spare) for _ in range(count)], rng, strange=True)
        plainly = [rng.random() < TELLING for _ in range(self.education.batch_chats)]
        turns = self.education.turns
        return self._chat(
            rng, [telling_lesson(pool, rng) if p else seeing_lesson(pool, rng, turns=turns) for p in plainly]
        )


def pretrain(
    folder: str | Path, education: Education, *, cache: Path | None = None, device: str = "cpu", **tiny: Any
) -> Path:
    """Pretrain into `folder` (continuing what is there) and return the checkpoint's folder.

    Raises:
        UserError: the folder holds another pretraining, no permission, disk full.
    """
    folder = Path(folder)
    pupil = Pretraining(folder, education, device=device, **tiny)
    with bar("pictures") as rendered:
        pool = load_pool(education.pictures, pupil.size, cache or folder, progress=rendered)
    pupil.resume()
    with bar("steps") as stepped:
        pupil.run(pool, progress=lambda step, total, _: stepped(step, total))
    pupil.save()
    print(f"Reading reached the level {LEVELS[pupil.level].name!r} of {', '.join(level.name for level in LEVELS)}.")
    return folder / "checkpoint"
