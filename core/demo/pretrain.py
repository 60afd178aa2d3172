"""Pretraining of the tiny base: `python -m core.demo pretrain`. Normal products only, from random weights to a checkpoint.

Two stages, one optimizer: *seeing* (dense targets teach the vision tower what lies where), then *answering* (chats about
pictures and texts teach the language model to read, to choose among lettered options and to think aloud; the dense
targets go on beside it). Everything of a step derives from the seed and the step's number, so that a run that was killed
continues from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.demo.bars import bar
from core.demo.dense import DenseHeads, colour_targets, part_targets
from core.demo.education import Education
from core.demo.lessons import Lesson, lessons
from core.demo.pool import Pool, load_pool
from core.errors import UserError
from core.files import write_atomic, write_json

NOTES = """Pretrained by `python -m core.demo pretrain` on procedural pictures of normal products alone: {pictures} pictures,
{seeing} steps of dense targets (which part lies under a patch, its colours), then {answering} steps of chats about products,
parts, materials, colours, counts and places ({batch_answering} chats of {turns} questions a step), in {minutes:.0f} minutes on 2
CPU cores. No defect and no label of one is in its training. It is the starting point of the demo, not an inspector."""


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
        decayed = [p for p in self._parameters() if p.dim() > 1]
        plain = [p for p in self._parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=education.rate, betas=(0.9, 0.95))
        self.step, self.seconds = 0, 0.0

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
        return True

    def checkpoint(self) -> None:
        state = {
            "education": asdict(self.education), "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        write_atomic(self.folder / "state.pt", lambda path: torch.save(state, path))

    def run(
        self, pool: Pool, *, every: int = 100, progress: Callable[[int, int, dict[str, float]], None] | None = None
    ) -> None:
        """Carry out the steps that are left; checkpoint every `every` steps."""
        total = self.education.seeing + self.education.answering
        began = time.monotonic() - self.seconds
        self.model.train()
        while self.step < total:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            seeing = self.step < self.education.seeing
            loss, figures = self._see(pool) if seeing else self._answer(pool)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            figures = {"step": self.step, "loss": round(loss.item(), 4), **figures}
            self.seconds = time.monotonic() - began
            figures["seconds"] = round(self.seconds, 1)
            if not math.isfinite(figures["loss"]):
                raise UserError("The loss is no longer a number: lower the learning rate and start again.")
            if progress:
                progress(self.step, total, figures)
            if self.step % 10 == 0:
                with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(figures) + "\n")
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

    def _rate(self) -> float:
        seeing = self.education.seeing
        step, length = (self.step, seeing) if self.step < seeing else (self.step - seeing, self.education.answering)
        peak = self.education.rate if self.step >= seeing else 1.5 * self.education.rate
        warm = min(1.0, (step + 1) / 50)
        return peak * warm * (0.1 + 0.45 * (1 + math.cos(math.pi * step / max(1, length))))

    def _see(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(f"{self.education.seed}/see/{self.step}")
        chosen = rng.sample(range(len(pool)), self.education.batch_seeing)
        pixels = self._pixels(pool, chosen, rng)
        features = self.model.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        loss, right = self._dense_loss(features, pixels, pool, chosen)
        return loss, {"parts": round(right.item(), 4)}

    def _answer(self, pool: Pool) -> tuple[Tensor, dict[str, float]]:
        education, done = self.education, (self.step - self.education.seeing) / self.education.answering
        # Reading alone comes first: it is cheap, and choosing a letter is learned there.
        reading = 0.9 if done < 0.35 else 0.25
        source = lessons(pool.metas, education.seed * 1_000_003 + self.step, reading=reading, turns=education.turns)
        batch = list(islice(source, education.batch_answering))
        rng = random.Random(f"{education.seed}/light/{self.step}")
        shown = [index for lesson in batch for index in lesson.pictures]
        input_ids, mask, labels = self._tokens(batch)
        # A batch of texts alone still looks at some pictures: the dense targets never stop.
        looked = shown or rng.sample(range(len(pool)), 4)
        pixels = self._pixels(pool, looked, rng)
        features = self.model.model.vision_tower(pixel_values=pixels).last_hidden_state
        dense, right = self._dense_loss(features[:, 1:], pixels, pool, looked)
        loss, figures = self._language_loss(input_ids, mask, labels, pixels if shown else None)
        return loss + education.dense * dense, {**figures, "parts": round(right.item(), 4)}

    def _language_loss(
        self, input_ids: Tensor, mask: Tensor, labels: Tensor, pixels: Tensor | None
    ) -> tuple[Tensor, dict[str, float]]:
        logits = self.model(input_ids=input_ids, attention_mask=mask, pixel_values=pixels).logits[:, :-1]
        target = labels[:, 1:]
        learned = target != -100
        loss = torch.nn.functional.cross_entropy(logits[learned], target[learned])
        letters = learned & torch.isin(target, self._letters())
        right = (logits.argmax(-1) == target)[letters].float().mean()
        return loss, {"words": round(loss.item(), 4), "letters": round(right.item(), 4)}

    def _letters(self) -> Tensor:
        ids = [self.processor.tokenizer.convert_tokens_to_ids(letter) for letter in "ABCD"]
        return torch.tensor(ids, device=self.device)

    def _dense_loss(self, features: Tensor, pixels: Tensor, pool: Pool, chosen: list[int]) -> tuple[Tensor, Tensor]:
        targets = [part_targets(pool.parts[i], pool.metas[i]["product"], self.grid) for i in chosen]
        parts = torch.as_tensor(np.stack(targets), device=self.device)
        return self.heads.loss(features, parts, colour_targets(pixels, self.grid))

    def _pixels(self, pool: Pool, chosen: list[int], rng: random.Random) -> Tensor:
        """Pixel values as the processor makes them, under another light each time."""
        pictures = []
        for index in chosen:
            light = pool.images[index].astype("float32") * rng.uniform(0.85, 1.15) + rng.uniform(-12, 12)
            pictures.append(Image.fromarray(light.clip(0, 255).astype("uint8")))
        images = self.processor.image_processor(images=pictures, crop_to_patches=False, return_tensors="pt")
        return images["pixel_values"].to(self.device)

    def _tokens(self, batch: list[Lesson]) -> tuple[Tensor, Tensor, Tensor]:
        """`input_ids`, `attention_mask`, `labels` [B, T], padded on the left; only replies carry labels."""
        rows = [self._row(lesson) for lesson in batch]
        length = max(len(ids) for ids, _ in rows)
        pad = self.processor.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (length - len(row)) + row for row, _ in rows])
        labels = torch.tensor([[-100] * (length - len(row)) + row for _, row in rows])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row, _ in rows])
        return ids.to(self.device), mask.to(self.device), labels.to(self.device)

    def _row(self, lesson: Lesson) -> tuple[list[int], list[int]]:
        """Token ids and labels of a chat: replies and the token that ends them are learned."""
        tokenizer: Any = self.processor.tokenizer
        picture = f"<img>{'<IMG_CONTEXT>' * self.processor.image_seq_length}</img>"
        text = self.processor.apply_chat_template(lesson.messages(), tokenize=False).replace("<IMG_CONTEXT>", picture)
        opening, *rest = text.split("<|im_start|>assistant\n")
        ids = tokenizer(opening, add_special_tokens=False)["input_ids"]
        labels = [-100] * len(ids)
        for part in rest:
            reply, after = part.split("<|im_end|>", 1)
            for piece, learned in (("<|im_start|>assistant\n", False), (reply + "<|im_end|>", True), (after, False)):
                piece_ids = tokenizer(piece, add_special_tokens=False)["input_ids"]
                ids += piece_ids
                labels += piece_ids if learned else [-100] * len(piece_ids)
        return ids, labels


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


def vocabulary() -> list[str]:
    """Texts whose words shall be single tokens: all that the factory and its questions say."""
    from core.synthesis.factory import DEFECTS, PRODUCTS
    from core.synthesis.questions import TEXTS
    from core.synthesis.regions import WORDINGS

    texts = [
        *TEXTS.values(),
        *(w for wordings in WORDINGS for w in wordings),
        *(d.words for d in DEFECTS.values()),
        *DEFECTS,
    ]
    for product in PRODUCTS.values():
        texts += [product.name.replace("_", " "), product.words, product.good, product.purpose]
        texts += [*product.looks.values(), *product.effects.values(), *(part.name for part in product.parts)]
    return texts


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
