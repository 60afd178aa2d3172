"""Pretraining of the tiny base: `python -m core.demo pretrain`. Normal products only, from random weights to a checkpoint.

Four stages: *seeing* (dense targets teach the vision tower what lies where: parts, colours, detail, and neutral marks drawn
on, and to let every patch know what any of them knows), *reading* (a curriculum on text alone teaches the language model to
choose among lettered options, and how defects look), *telling* (what pictures show, said in plain words, joins the two),
*answering* (chats with lettered options about products, marks and imagined defects). In the last two the tower stays as it is,
and reading goes on beside them.
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
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.demo.bars import bar
from core.demo.dense import DenseHeads, part_targets
from core.demo.education import COMPARING, NOTES, Education
from core.demo.imagining import imagine, imagined_lesson, speak_heat
from core.demo.lessons import Passage
from core.demo.lookaround import look_around
from core.demo.lookback import look_back
from core.demo.marks import gist_targets, mark_targets
from core.demo.optimizing import SCALES, optimizers_of
from core.demo.pool import Pool, load_pool
from core.demo.reading import LEVELS, passage, vocabulary
from core.demo.rows import Row, ids_of, padded, row
from core.demo.seeing import seeing_lesson, telling_lesson
from core.demo.views import View
from core.demo.wording import word_ids, wording_targets
from core.errors import UserError
from core.files import write_atomic
from core.training.grounding import wording_loss
from core.training.settings import multiplies_half

GRADES = 30  # steps over which the mastery of a level is judged
LETTERS = "ABCD"
Heat = Sequence[Sequence[float] | None]
SHOWN = 3  # of so many steps of telling one shows pictures
ANSWERING = ("imagine", "chat", "chat", "read")  # steps of the last stage, in turn
TELLING = 0.3  # share of chats in plain words while answering
LOGGED = 7  # of so many steps one is noted; lessons come in threes or fours, so all kinds are
START = 256  # pictures that the tower's start is fitted to
MARKS = (0, 0, 0, 1, 1, 1, 2, 3, 4, 5)  # how many lie on a picture whose patches are labelled


class Pretraining:
    """Carries an education out; its folder holds `state.pt`, `log.jsonl` and at last the checkpoint."""

    def __init__(self, folder: Path, education: Education, *, device: str = "cpu", **tiny: Any) -> None:
        from core.model.tiny import build_tiny, seeded

        self.folder, self.education, self.device = folder, education, torch.device(device)
        self.model, self.processor = build_tiny(seed=education.seed, texts=vocabulary(), **(COMPARING | tiny))
        with seeded(education.seed):
            look_back(self.model.model.language_model)
        self._move(self.device)
        vision = self.model.config.vision_config
        self.size = int(vision.image_size[0])
        self.grid = self.size // int(vision.patch_size[0])
        with seeded(education.seed):
            self.heads = DenseHeads(vision.hidden_size).to(self.device)
        self.words = word_ids(lambda text: ids_of(text, self.processor)).to(self.device)
        self.half = self.device.type == "cuda" or multiplies_half()
        for part in (self.model.model.vision_tower, self.model.model.language_model):
            part.set_attn_implementation("eager" if self.half else "sdpa")
        self.optimizers = optimizers_of(self.model.model, self._parameters())
        self.step, self.seconds = 0, 0.0
        self.level, self.grades = 0, [0.0] * GRADES  # of the reading curriculum

    def _move(self, *to: Any) -> None:
        self.model.to(*to)  # type: ignore[call-arg]

    def _parameters(self) -> list[torch.nn.Parameter]:
        own = set(self.model.emit_parameters())  # soft prompt and projector are EMIT's to learn
        base = [p for name, p in self.model.named_parameters() if name not in own]
        return [*base, *self.heads.parameters()]

    def _lessons(self) -> dict[str, Any]:
        """What has to be the same for a pretraining to go on."""
        return {
            **asdict(self.education),
            "levels": [level.name for level in LEVELS],
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
        return True

    def checkpoint(self) -> None:
        state = {
            "education": self._lessons(), "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step, "seconds": self.seconds,
            "level": self.level, "grades": self.grades,
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
            if stage == "reading":
                self._grade(figures["letters"])
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
                    log.write(json.dumps(report) + "\n")
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
        views = [View.of(pool, index).marked(rng, rng.choice(MARKS)).turned(rng) for index in chosen]
        pixels = self._pixels(views, rng)
        features = self.model.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        return self._dense_loss(features, pixels, views)

    def _read(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        loss, figures = self._language_loss(*self._batch(lambda: passage(self.level, rng)), None)
        return loss, {**figures, "level": self.level}

    def _grade(self, letters: float) -> None:
        """Up a level when the last lessons were mastered; NaN (no letter in the batch) counts for nothing."""
        if not math.isnan(letters):
            self.grades = [*self.grades[1:], letters]
        if sum(self.grades) / GRADES >= LEVELS[self.level].mastered:
            self.level, self.grades = self.level + 1, [0.0] * GRADES

    def _tell(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        if self.step % SHOWN:
            return self._read(pool)
        return self._chat(rng, [telling_lesson(pool, rng) for _ in range(self.education.batch_chats)])

    def _answer(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        """In turn: chats with options (some in plain words, or these are forgotten), imagined defects, reading."""
        rng = self._rng()
        lesson = ANSWERING[self.step % len(ANSWERING)]
        if lesson == "read":
            return self._read(pool)
        if lesson == "imagine":
            return self._imagined(pool, rng)
        plainly = [rng.random() < TELLING for _ in range(self.education.batch_chats)]
        turns = self.education.turns
        return self._chat(
            rng, [telling_lesson(pool, rng) if p else seeing_lesson(pool, rng, turns=turns) for p in plainly]
        )

    def _chat(self, rng: random.Random, chats: list[tuple[Passage, list[View]]]) -> tuple[Tensor, dict[str, float]]:
        """A batch of chats about pictures. The tower is not taught by them: what it sees is settled."""
        views = [view for _, shown in chats for view in shown]
        features = self._seen(views, rng)
        said, known = self._wording_loss(features, views)
        tokens = self._tokens(features)
        loss, figures = self._language_loss(*self._padded([row(told, self.processor) for told, _ in chats]), tokens)
        return loss + self.education.wording * said, {**figures, "wording": round(known.item(), 4)}

    def _imagined(self, pool: Pool, rng: random.Random) -> tuple[Tensor, dict[str, float]]:
        side = self.grid // 2
        lessons = [imagined_lesson(pool, rng, side=side) for _ in range(self.education.batch_imagined)]
        tokens = self._tokens(self._seen([view for lesson in lessons for view in lesson.shown], rng))
        last = [end - 1 for end in accumulate(len(lesson.shown) for lesson in lessons)]
        generator = torch.Generator().manual_seed(self.step)
        tokens = imagine(tokens, last, [lesson.said for lesson in lessons], self._embedding, generator)
        heat = [lesson.heat for lesson in lessons if lesson.compared]
        rows = self._padded([row(lesson.passage, self.processor) for lesson in lessons])
        loss, figures = self._language_loss(*rows, tokens, heat)
        return loss, {f"imagined_{name}": value for name, value in figures.items()}

    def _embedding(self, word: str) -> Tensor:
        """Of a word that is one token, [width]."""
        (token,) = ids_of(word, self.processor)
        return self.model.model.language_model.embed_tokens.weight[token]

    def _seen(self, views: list[View], rng: random.Random) -> Tensor:
        with torch.no_grad():
            return self.model.model.vision_tower(pixel_values=self._pixels(views, rng)).last_hidden_state

    def _tokens(self, features: Tensor) -> Tensor:
        """What the language model gets of each picture: [N, T, width]."""
        from core.model.internvl import tile_tokens

        tokens = tile_tokens(self.model.model, features).float()
        return tokens.reshape(len(features), -1, tokens.shape[-1])

    def _wording_loss(self, features: Tensor, views: list[View]) -> tuple[Tensor, Tensor]:
        targets = [wording_targets(view.marks, view.meta["product"], self.grid // 2) for view in views]
        wanted = torch.as_tensor(np.stack(targets), device=self.device)
        embeddings = self.model.model.language_model.embed_tokens.weight[self.words].float()
        return wording_loss(self._tokens(features), embeddings, wanted)

    def _language_loss(
        self, input_ids: Tensor, mask: Tensor, labels: Tensor, tokens: Tensor | None, heat: Heat = ()
    ) -> tuple[Tensor, dict[str, float]]:
        """Letters weigh as much as all other words together.

        Args:
            tokens: of the pictures in `input_ids`, [N, T, width].
            heat: what the comparisons in `input_ids` say, see `imagining.Imagined`; nothing by default.
        """
        inner = self.model.model
        embedded = inner.language_model.embed_tokens(input_ids)
        if tokens is not None:
            places = (input_ids == self.model.config.image_token_id).unsqueeze(-1)
            embedded = embedded.masked_scatter(places, tokens.to(embedded.dtype))
        embedded = self._compared(input_ids, embedded, heat)
        hidden = inner.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state[:, :-1]
        target = labels[:, 1:]
        learned = target != -100
        logits, target = self.model.lm_head(hidden[learned]).float(), target[learned]
        losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        letters = torch.isin(target, self._letters())
        loss = sum((losses[kind].mean() for kind in (letters, ~letters) if kind.any()), torch.zeros(()))
        hits = (logits.argmax(-1) == target).float()
        figures = {"words": hits[~letters].mean().item(), "letters": hits[letters].mean().item()}
        if not letters.any():  # the first levels have none
            figures["letters"] = figures["words"]
        return loss, {name: round(value, 4) for name, value in figures.items()}

    def _compared(self, input_ids: Tensor, embedded: Tensor, heat: Heat) -> Tensor:
        """With what EMIT's untrained parts make of some map, to be read past, and the words for what is hot, to be read."""
        places = input_ids == self.model.config.comparison_token_id
        if not places.any():
            return embedded
        grid = self.model.config.comparison_grid
        length = self.processor.comparison_length
        generator = torch.Generator().manual_seed(self.step)
        maps = torch.rand(int(places.sum()) // length, 1, *grid, generator=generator).to(self.device)
        with torch.no_grad():
            tokens = self.model.model.contrastive(maps * maps).tokens
            if heat:
                tokens = speak_heat(tokens, heat, self._embedding)
        return embedded.masked_scatter(places.unsqueeze(-1), tokens.to(embedded.dtype))

    def _letters(self) -> Tensor:
        return torch.tensor([ids_of(letter, self.processor)[0] for letter in LETTERS], device=self.device)

    def _dense_loss(self, features: Tensor, pixels: Tensor, views: list[View]) -> tuple[Tensor, dict[str, float]]:
        """What lies under each patch: parts, colours, detail, place, marks."""
        parts = np.stack([part_targets(view.parts, view.meta["product"], self.grid) for view in views])
        marks = np.stack([mark_targets(view.marks, self.grid, self.size) for view in views])
        on = partial(torch.as_tensor, device=self.device)
        loss, right = self.heads.loss(features.float(), on(parts), pixels, self.grid)
        marked, found = self.heads.mark_loss(features.float(), on(marks))
        told, known = self.heads.gist_loss(features.float(), on(np.stack([gist_targets(view.marks) for view in views])))
        figures = dict(
            parts=right.item(), marks=found.item(), mark_loss=marked.item(), gist=known.item(), gist_loss=told.item()
        )
        return loss + marked + told, {name: round(value, 4) for name, value in figures.items()}

    def _pixels(self, views: list[View], rng: random.Random) -> Tensor:
        """Pixel values as the processor makes them, under another light each time."""
        pictures = []
        for view in views:
            light = view.image.astype("float32") * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12)
            pictures.append(Image.fromarray(light.clip(0, 255).astype("uint8")))
        batch = self.processor.image_processor(images=pictures, crop_to_patches=False, return_tensors="pt")
        return batch["pixel_values"].to(self.device)

    def _batch(self, write: Callable[[], Passage]) -> tuple[Tensor, Tensor, Tensor]:
        """As many passages as `batch_tokens` holds with their padding."""
        rows: list[Row] = []
        length = 0
        while True:
            made = row(write(), self.processor)
            length = max(length, len(made[0]))
            if rows and length * (len(rows) + 1) > self.education.batch_tokens:
                return self._padded(rows)
            rows.append(made)

    def _padded(self, rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
        ids, mask, labels = (part.to(self.device) for part in padded(rows, self.processor.tokenizer.pad_token_id))
        return ids, mask, labels


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
