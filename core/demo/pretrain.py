"""Pretraining of the tiny base: `python -m core.demo pretrain`. Normal products only, from random weights to a checkpoint.

Four stages: *seeing* (dense targets teach the vision tower what lies where), *reading* (a curriculum on text alone teaches
the language model to choose among lettered options), *answering* (chats about pictures join the two; dense targets and
reading go on beside it), *marking* (the same with neutral marks drawn on: lines, dots, blobs, and where they are).
Everything of a step derives from the seed and what was learned before it, so that a run that was killed continues from its
last checkpoint as if nothing had happened.

On a CPU, 16-bit matrix products and plain attention make a step of this size three times faster than 32 bit and torch's
fused attention.
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

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.demo.bars import bar
from core.demo.dense import DenseHeads, part_targets
from core.demo.education import Education
from core.demo.lessons import PICTURE, Passage, picture_lesson, seeing_lesson
from core.demo.lookback import look_back
from core.demo.marks import Mark, asked_of_mark, draw, mark_targets, told_of
from core.demo.pool import Pool, load_pool
from core.demo.reading import LEVELS, passage, vocabulary
from core.errors import UserError
from core.files import write_atomic, write_json

NOTES = """Pretrained by `python -m core.demo pretrain` on procedural pictures of normal products alone: {pictures} pictures,
{seeing} steps of dense targets (which part lies under a patch, its colours, its detail), {reading} steps of reading lessons
on text alone, then {answering} steps of chats about products, parts, materials, colours, counts and places, and {marking}
more with neutral marks drawn on (lines, dots, blobs: what they look like, where they lie), in {minutes:.0f} minutes on 2 CPU
cores. No picture of a defect is in its training; of defects it has only read, in texts that no picture goes
with. It is the starting point of the demo, not an inspector."""

GRADES = 30  # steps over which the mastery of a level is judged
LETTERS = "ABCD"


class Pretraining:
    """Carries an education out; its folder holds `state.pt`, `log.jsonl` and at last the checkpoint."""

    def __init__(self, folder: Path, education: Education, *, device: str = "cpu", **tiny: Any) -> None:
        from core.model.tiny import build_tiny

        self.folder, self.education, self.device = folder, education, torch.device(device)
        self.model, self.processor = build_tiny(seed=education.seed, texts=vocabulary(), **tiny)
        self._move(self.device)
        vision = self.model.config.vision_config
        self.size = _first(vision.image_size)
        self.grid = self.size // _first(vision.patch_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(education.seed)
            self.heads = DenseHeads(vision.hidden_size).to(self.device)
        look_back(self.model.model.language_model)
        for part in (self.model.model.vision_tower, self.model.model.language_model):
            part.set_attn_implementation("eager")
        decayed = [p for p in self._parameters() if p.dim() > 1]
        plain = [p for p in self._parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
        self.step, self.seconds = 0, 0.0
        self.level, self.grades = 0, [0.0] * GRADES  # of the reading curriculum

    def _move(self, to: Any) -> None:
        self.model.to(to)  # type: ignore[call-arg]

    def _parameters(self) -> list[torch.nn.Parameter]:
        own = set(self.model.emit_parameters())  # soft prompt and projector are EMIT's to learn
        base = [p for name, p in self.model.named_parameters() if name not in own]
        return [*base, *self.heads.parameters()]

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
        if state["education"] != asdict(self.education):
            raise UserError(f"{self.folder} holds another pretraining: choose another folder or delete it.")
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.level, self.grades = state["level"], state["grades"]
        return True

    def checkpoint(self) -> None:
        state = {
            "education": asdict(self.education), "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds,
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
        while self.step < total:
            stage, done = self.education.stage(self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate(stage, done)
            teach = {"seeing": self._see, "reading": self._read, "answering": self._answer, "marking": self._mark}
            with torch.autocast(self.device.type, torch.bfloat16):
                loss, figures = teach[stage](pool)
            loss.backward()
            if stage == "reading":
                self._grade(figures["letters"])
            torch.nn.utils.clip_grad_norm_(self._parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            report: dict[str, Any] = {"stage": stage, "step": self.step, "loss": round(loss.item(), 4), **figures}
            self.seconds = time.monotonic() - began
            report["seconds"] = round(self.seconds, 1)
            if not math.isfinite(report["loss"]):
                raise UserError("The loss is no longer a number: lower the learning rate and start again.")
            if progress:
                progress(self.step, total, report)
            if self.step % 10 == 0:
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(report) + "\n")
            if self.step % every == 0 or self.step == total:
                self.checkpoint()
        self.model.eval()

    def save(self) -> None:
        """Write the checkpoint with 16-bit weights and its card."""
        from core.model.export import model_card, save

        self._move(torch.bfloat16)
        save(self.model, self.processor, self.folder / "checkpoint")
        target = self.folder / "checkpoint"
        notes = NOTES.format(minutes=self.seconds / 60, **asdict(self.education))
        card = model_card(self.model, title="EMIT tiny", folder="emit-tiny", base="", notes=notes, licence="apache-2.0")
        write_atomic(target / "README.md", card)
        write_json(target / "education.json", asdict(self.education))

    def _rate(self, stage: str, done: int) -> float:
        length = getattr(self.education, stage)
        warm, cooled = min(1.0, (done + 1) / 50), 0.5 * (1 + math.cos(math.pi * done / length))
        # The curriculum ends when it ends, not on a schedule: its rate stays up until the last third.
        if stage == "reading":
            cooled = min(1.0, 3 * (1 - done / length))
        return self.education.rate[stage] * warm * (0.1 + 0.9 * cooled)

    def _rng(self) -> random.Random:
        stage, done = self.education.stage(self.step)
        return random.Random(f"{self.education.seed}/{stage.removesuffix('ing')}/{done}")

    def _see(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = self._rng()
        chosen = rng.sample(range(len(pool)), self.education.batch_seeing)
        pixels = self._pixels(pool, chosen, rng)
        features = self.model.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        loss, right = self._dense_loss(features, pixels, pool, chosen)
        return loss, {"parts": round(right.item(), 4)}

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

    def _answer(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        education, rng = self.education, self._rng()
        if self.step % 4 == 3:  # reading goes on, or it is forgotten
            return self._read(pool)
        rows = [seeing_lesson(pool.metas, rng, turns=education.turns) for _ in range(education.batch_answering)]
        shown = [index for row in rows for index in row.pictures]
        loss, figures, _ = self._chats(rows, shown, self._pixels(pool, shown, rng), pool)
        return loss, figures

    def _mark(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        """Chats about pictures of which most bear a mark; the reference of a pair never does."""
        education, rng = self.education, self._rng()
        if self.step % 4 == 3:
            return self._read(pool)
        rows: list[Passage] = []
        shown: list[int] = []
        images: list[np.ndarray] = []
        marks: list[Mark | None] = []
        for _ in range(education.batch_answering):
            index = rng.randrange(len(pool))
            parts = pool.parts[index]
            image, mark = (
                draw(pool.images[index], parts > 0, rng) if rng.random() < 0.65 else (pool.images[index], None)
            )
            paired = rng.random() < 0.5 and index ^ 1 < len(pool)
            rows.append(picture_lesson(
                index, pool.metas[index], rng, turns=education.turns, reference=index ^ 1 if paired else None,
                asked=asked_of_mark(mark, rng), told=told_of(mark, rng),
            ))  # fmt: skip
            shown += rows[-1].pictures
            images += [pool.images[index ^ 1], image] if paired else [image]
            marks += [None, mark] if paired else [mark]
        loss, figures, features = self._chats(rows, shown, self._pixels_of(images, rng), pool)
        targets = np.stack([mark_targets(mark, self.grid, self.size) for mark in marks])
        dense = self.heads.mark_loss(features[:, 1:].float(), torch.as_tensor(targets, device=self.device))
        return loss + education.dense * dense, {**figures, "marks": round(dense.item(), 4)}

    def _chats(
        self, rows: list[Passage], shown: list[int], pixels: Tensor, pool: Pool
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        features = self.model.model.vision_tower(pixel_values=pixels).last_hidden_state
        dense, right = self._dense_loss(features[:, 1:], pixels, pool, shown)
        loss, figures = self._language_loss(*self._padded([self._row(row) for row in rows]), features)
        return loss + self.education.dense * dense, {**figures, "parts": round(right.item(), 4)}, features

    def _language_loss(
        self, input_ids: Tensor, mask: Tensor, labels: Tensor, features: Tensor | None
    ) -> tuple[Tensor, dict[str, float]]:
        """Letters weigh as much as all other words together.

        Args:
            features: last hidden state of the vision tower for the pictures in `input_ids`, class token first.
        """
        from core.model.internvl import tile_tokens

        inner = self.model.model
        embedded = inner.language_model.embed_tokens(input_ids)
        if features is not None:
            places = (input_ids == self.model.config.image_token_id).unsqueeze(-1)
            embedded = embedded.masked_scatter(places, tile_tokens(inner, features).to(embedded.dtype))
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

    def _letters(self) -> Tensor:
        return torch.tensor([self._ids(letter)[0] for letter in LETTERS], device=self.device)

    def _dense_loss(self, features: Tensor, pixels: Tensor, pool: Pool, chosen: list[int]) -> tuple[Tensor, Tensor]:
        targets = [part_targets(pool.parts[i], pool.metas[i]["product"], self.grid) for i in chosen]
        parts = torch.as_tensor(np.stack(targets), device=self.device)
        return self.heads.loss(features.float(), parts, pixels, self.grid)

    def _pixels(self, pool: Pool, chosen: list[int], rng: random.Random) -> Tensor:
        return self._pixels_of([pool.images[index] for index in chosen], rng)

    def _pixels_of(self, images: list[np.ndarray], rng: random.Random) -> Tensor:
        """Pixel values as the processor makes them, under another light each time."""
        pictures = []
        for image in images:
            light = image.astype("float32") * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12)
            pictures.append(Image.fromarray(light.clip(0, 255).astype("uint8")))
        batch = self.processor.image_processor(images=pictures, crop_to_patches=False, return_tensors="pt")
        return batch["pixel_values"].to(self.device)

    def _batch(self, write: Callable[[], Passage]) -> tuple[Tensor, Tensor, Tensor]:
        """As many passages as `batch_tokens` holds with their padding."""
        rows: list[tuple[list[int], list[int]]] = []
        length = 0
        while True:
            row = self._row(write())
            length = max(length, len(row[0]))
            if rows and length * (len(rows) + 1) > self.education.batch_tokens:
                return self._padded(rows)
            rows.append(row)

    def _padded(self, rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
        """`input_ids`, `attention_mask`, `labels` [B, T], padded on the right; -100 where nothing is learned."""
        length = max(len(ids) for ids, _ in rows)
        pad = self.processor.tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (length - len(row)) for row, _ in rows])
        labels = torch.tensor([row + [-100] * (length - len(row)) for _, row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row, _ in rows])
        return ids.to(self.device), mask.to(self.device), labels.to(self.device)

    def _row(self, passage: Passage) -> tuple[list[int], list[int]]:
        """Token ids and labels of a passage; pictures stand as the processor writes them."""
        picture = f"<img>{'<IMG_CONTEXT>' * self.processor.image_seq_length}</img>\n"
        ids: list[int] = []
        labels: list[int] = []
        for part in passage.parts:
            piece = self._ids(part.text.replace(PICTURE, picture))
            ids += piece
            labels += piece if part.learned else [-100] * len(piece)
        return ids, labels

    def _ids(self, text: str) -> list[int]:
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


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
    return folder / "checkpoint"
