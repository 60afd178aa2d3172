"""The tiny base as a pupil: what a lesson costs it. `core.demo.pretrain` says which lessons there are, and when.

What a pass takes at once fits the processor's cache (`CHUNK`, `ROWS`): beyond it, attention takes up to twice as long for
the same pictures, and up to three times as long for the same chats (one thread; docs/experiments.md, entry 82).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.demo.dense import DenseHeads, part_targets
from core.demo.education import COMPARING, Education
from core.demo.imagining import Imagined, imagine
from core.demo.lessons import LETTERS, Passage
from core.demo.lookback import look_back
from core.demo.marks import gist_targets, mark_targets
from core.demo.reading import vocabulary
from core.demo.rows import Row, ids_of, padded, row
from core.demo.views import View
from core.demo.wording import word_ids, wording_targets
from core.heatmap.comparison import anomaly_map
from core.model.internvl import put_tokens, tile_tokens
from core.model.words import WORDS
from core.training.grounding import map_loss, wording_loss
from core.training.settings import multiplies_half

CHUNK, ROWS = 16, 8  # pictures, chats


class Pupil:
    """Model and processor from random weights, the readouts of its tower, and the words that it has met."""

    def __init__(self, education: Education, *, device: str = "cpu", **tiny: Any) -> None:
        from core.model.tiny import build_tiny, seeded

        self.education, self.device = education, torch.device(device)
        self.step = 0
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
        # Which tokens a lesson has held; and words that may be among the others.
        self.met = torch.zeros(self.model.config.text_config.vocab_size, dtype=torch.bool, device=self.device)
        self.met[self.words] = True
        self.listed = [(word, ids[0]) for word in WORDS if len(ids := ids_of(word, self.processor)) == 1]
        self.half = self.device.type == "cuda" or multiplies_half()
        for part in (self.model.model.vision_tower, self.model.model.language_model):
            part.set_attn_implementation("eager" if self.half else "sdpa")

    def _move(self, *to: Any) -> None:
        self.model.to(*to)  # type: ignore[call-arg]

    def _parameters(self) -> list[torch.nn.Parameter]:
        own = set(self.model.emit_parameters())  # soft prompt and projector are EMIT's to learn
        base = [p for name, p in self.model.named_parameters() if name not in own]
        return [*base, *self.heads.parameters()]

    def _look(self, pixels: Tensor) -> Tensor:
        """Last hidden states of the tower, class token first: [N, 1 + patches, D]."""
        parts = pixels.split(CHUNK) if self.device.type == "cpu" else [pixels]
        return torch.cat([self.model.model.vision_tower(pixel_values=part).last_hidden_state for part in parts])

    def _seen(self, views: list[View], rng: random.Random) -> Tensor:
        with torch.no_grad():
            return self._look(self._pixels(views, rng))

    def _tokens(self, features: Tensor) -> Tensor:
        """What the language model gets of each picture: [N, T, width]."""
        tokens = tile_tokens(self.model.model, features).float()
        return tokens.reshape(len(features), -1, tokens.shape[-1])

    def _embedding(self, word: str) -> Tensor:
        """Of a word, the mean of its tokens' vectors: [width]."""
        return self.model.model.language_model.embed_tokens.weight[ids_of(word, self.processor)].mean(0)

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

    def _chat(self, rng: random.Random, chats: list[tuple[Passage, list[View]]]) -> tuple[Tensor, dict[str, float]]:
        """A batch of chats about pictures. The tower is not taught by them: what it sees is settled."""
        views = [view for _, shown in chats for view in shown]
        features = self._seen(views, rng)
        tokens = self._tokens(features)
        said, known = self._wording_loss(tokens, views)
        loss, figures = self._language_loss(*self._padded([row(told, self.processor) for told, _ in chats]), tokens)
        return loss + self.education.wording * said, {**figures, "wording": round(known.item(), 4)}

    def _imagined(
        self, lessons: list[Imagined], rng: random.Random, *, strange: bool = False
    ) -> tuple[Tensor, dict[str, float]]:
        tokens = self._tokens(self._seen([view for lesson in lessons for view in lesson.shown], rng))
        last = [end - 1 for end in accumulate(len(lesson.shown) for lesson in lessons)]
        said = [lesson.said for lesson in lessons]
        tokens = imagine(tokens, last, said, self._embedding, self._generator("loudness"))
        rows = self._padded([row(lesson.passage, self.processor) for lesson in lessons])
        loss, figures = self._language_loss(*rows, tokens, strange=strange)
        return loss, {f"{'strange' if strange else 'imagined'}_{name}": value for name, value in figures.items()}

    def _dense_loss(self, features: Tensor, pixels: Tensor, views: list[View]) -> tuple[Tensor, dict[str, float]]:
        """What lies under each patch: parts, colours, detail, place, marks; and of all patches alike, which marks there are."""
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

    def _map_loss(self, states: list[Tensor], references: Tensor, views: list[View]) -> tuple[Tensor, Tensor]:
        """A patch with a mark resembles nothing in another piece without marks, all others something."""
        inner = self.model.model
        maps = anomaly_map(states, inner.patch_features(references), window=inner.config.comparison_window)
        marks = np.stack([mark_targets(view.marks, self.grid, self.size) for view in views])
        return map_loss(maps.flatten(1), torch.as_tensor(marks, device=self.device))

    def _wording_loss(self, tokens: Tensor, views: list[View]) -> tuple[Tensor, Tensor]:
        targets = [wording_targets(view.meta["product"], self.grid // 2) for view in views]
        wanted = torch.as_tensor(np.stack(targets), device=self.device)
        embeddings = self.model.model.language_model.embed_tokens.weight[self.words].float()
        return wording_loss(tokens, embeddings, wanted)

    def _language_loss(
        self,
        input_ids: Tensor,
        mask: Tensor,
        labels: Tensor,
        tokens: Tensor | None,
        *,
        strange: bool = False,
    ) -> tuple[Tensor, dict[str, float]]:
        """Letters weigh as much as all other words together.

        Args:
            tokens: of the pictures in `input_ids`, [N, T, width].
            strange: it holds words that are to stay unknown.
        """
        if not strange:
            self.met[input_ids] = True
        inner = self.model.model
        embedded = inner.language_model.embed_tokens(input_ids)
        if tokens is not None:
            embedded = put_tokens(embedded, input_ids == self.model.config.image_token_id, tokens)
        embedded = self._compared(input_ids, embedded)
        hidden, target = self._read_rows(embedded, mask, labels)
        logits = self.model.lm_head(hidden).float()
        losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        letters = torch.isin(target, self._letters())
        loss = sum((losses[kind].mean() for kind in (letters, ~letters) if kind.any()), torch.zeros(()))
        hits = (logits.argmax(-1) == target).float()
        figures = {"words": hits[~letters].mean().item(), "letters": hits[letters].mean().item()}
        return loss, {name: round(value, 4) for name, value in figures.items()}

    def _read_rows(self, embedded: Tensor, mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states, labels) of what is learned: [learned, width], [learned]; rows of like length together."""
        order = mask.sum(1).argsort(stable=True)
        hidden, target = [], []
        for rows in order.split(ROWS if self.device.type == "cpu" else len(order)):
            end = int(mask[rows].sum(1).max())
            states = self.model.model.language_model(
                inputs_embeds=embedded[rows, :end], attention_mask=mask[rows, :end]
            ).last_hidden_state[:, :-1]
            wanted = labels[rows, 1:end]
            hidden.append(states[wanted != -100])
            target.append(wanted[wanted != -100])
        return torch.cat(hidden), torch.cat(target)

    def _compared(self, input_ids: Tensor, embedded: Tensor) -> Tensor:
        """With what EMIT's untrained parts make of some map, to be read past."""
        places = input_ids == self.model.config.comparison_token_id
        if not places.any():
            return embedded
        grid = self.model.config.comparison_grid
        length = self.processor.comparison_length
        maps = torch.rand(int(places.sum()) // length, 1, *grid, generator=self._generator("maps")).to(self.device)
        with torch.no_grad():
            tokens = self.model.model.contrastive(maps * maps).tokens
        return put_tokens(embedded, places, tokens)

    def _letters(self) -> Tensor:
        return torch.tensor([ids_of(letter, self.processor)[0] for letter in LETTERS], device=self.device)

    def _redraw(self) -> None:
        """What tells words apart that no lesson holds is drawn anew, as far apart as the others are.

        What is read and what is said are one table here, and these words are hardly ever said: they were all pushed one way until
        half of the vocabulary was one vector (docs/experiments.md, entry 77). Drawn anew, none is learned by heart.
        """
        rows = self.model.model.language_model.embed_tokens.weight
        drawn = torch.randn(int((~self.met).sum()), rows.shape[1], generator=self._generator("words"))
        with torch.no_grad():
            spread = rows[self.met].float().std(0) * drawn.to(rows)
            rows[~self.met] = rows[~self.met].mean(0) + spread - spread.mean(0)

    def _generator(self, purpose: str) -> torch.Generator:
        """Of random numbers for one purpose in this step."""
        seed = random.Random(f"{self.education.seed}/{purpose}/{self.step}").getrandbits(63)
        return torch.Generator().manual_seed(seed)
