"""The fast way: what an image's questions share is computed once, and each question goes on from its cache.

MMAD asks about 4.7 questions a picture; pictures, chat head and domain knowledge are the same in all that show the same
pictures (`core.mmad.prompts` puts them first), and only the question, its options and the comparison differ. So:

    group     questions whose prompt begins the same: same pictures, same text up to the last picture; and where the comparison
              guides the query's own tokens (`EmitConfig.comparison_places`), all with a comparison or all without one
    prefix    [P, Lp]  one row a group: pictures through the vision tower once, then the language model, with cache
    suffix    [Q, Ls]  one row a question, on its group's rows of the cache

The comparison's own vectors stand in the suffix but depend on the pictures alone, so they are computed once a group too.
Both parts are padded on the left; positions count real tokens only, so a row's result does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from core.errors import UserError
from core.evaluation.asking import Asked
from core.mmad import Benchmark
from core.model.internvl import put_tokens
from core.pictures import open_image


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that show the same pictures.

    Attributes:
        text: rendered prompt of one of them, one with a comparison if there is one.
        speaker: which of `asked` that is.
        tails: for each question, the token ids of what follows the last picture.
    """

    asked: tuple[Asked, ...]
    text: str
    speaker: int
    tails: tuple[list[int], ...]

    @property
    def shared(self) -> int:
        """How many tokens all tails begin with."""
        return common_length(self.tails)

    def length(self, picture: int) -> int:
        """About how many tokens the prefix has, a picture taking `picture`."""
        return picture * len(self.asked[0].prompt.images) + self.shared


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups ready for the model.

    Attributes:
        inputs: of one question a group (one with a comparison, if there is one): input_ids, attention_mask, pixel_values.
        prefixes: for each group, how many of those tokens all its questions share.
        suffixes: for each question, its remaining token ids.
        owner: for each question, the row of its group.
    """

    groups: tuple[Group, ...]
    inputs: Any
    prefixes: tuple[int, ...]
    suffixes: tuple[list[int], ...]
    owner: tuple[int, ...]

    @property
    def asked(self) -> list[Asked]:
        return [one for group in self.groups for one in group.asked]


def group_questions(
    asked: Sequence[Asked], texts: Sequence[str], processor: Any, *, guided: bool = False
) -> list[Group]:
    """Questions with the same pictures and the same text up to the last of them, in order of first appearance.

    Args:
        guided: a comparison changes the pictures' tokens, so a question with one shares them with none without.
    """
    found: dict[tuple[tuple[str, ...], str, bool], list[int]] = {}
    cuts = []
    for place, (one, text) in enumerate(zip(asked, texts, strict=True)):
        end = text.rfind(processor.image_token)
        cuts.append(end + len(processor.image_token) if end >= 0 else 0)
        # Without pictures only the questions of one sample are worth sharing a prefix.
        key = (one.prompt.images or (one.sample.image,), text[: cuts[-1]], guided and one.prompt.compares)
        found.setdefault(key, []).append(place)
    groups = []
    for places in found.values():
        members = tuple(asked[place] for place in places)
        speaker = next((i for i, one in enumerate(members) if one.prompt.compares), 0)
        tails = tuple(tail_tokens(texts[place][cuts[place] :], processor) for place in places)
        groups.append(Group(members, texts[places[speaker]], speaker, tails))
    return groups


def fill_batches(groups: Sequence[Group], size: int, picture: int) -> list[list[Group]]:
    """Batches of about `size` questions, groups of like length together, the longest first (memory fails early).

    A batch also ends where a prefix is a fifth shorter than its longest one: what is padded is computed in vain.
    """
    batches: list[list[Group]] = []
    count, longest = size, 0
    for length, _, group in sorted(((g.length(picture), i, g) for i, g in enumerate(groups)), reverse=True):
        if count + len(group.asked) > size or length < 0.8 * longest:
            batches.append([])
            count, longest = 0, length
        batches[-1].append(group)
        count += len(group.asked)
    return batches


def prepare(groups: Sequence[Group], bench: Benchmark, processor: Any) -> Batch:
    """Open the pictures, once each, and tokenise."""
    paths = dict.fromkeys(path for group in groups for path in group.asked[0].prompt.images)
    opened = {path: open_image(bench.path(path)) for path in paths}
    shown = [[opened[path] for path in group.asked[0].prompt.images] for group in groups]
    inputs = processor(
        text=[group.text for group in groups],
        images=shown if any(shown) else None,
        padding=True,
        return_tensors="pt",
    )
    prefixes, suffixes, owner = [], [], []
    for row, group in enumerate(groups):
        whole = inputs["input_ids"][row][inputs["attention_mask"][row].bool()].tolist()
        tail = group.tails[group.speaker]
        head = len(whole) - len(tail)
        if whole[head:] != tail:
            raise RuntimeError("the tail of a prompt is tokenised differently on its own: prefixes cannot be shared")
        prefixes.append(head + group.shared)
        suffixes += [tail[group.shared :] for tail in group.tails]
        owner += [row] * len(group.tails)
    return Batch(tuple(groups), inputs, tuple(prefixes), tuple(suffixes), tuple(owner))


def tail_tokens(tail: str, processor: Any) -> list[int]:
    """Token ids of what follows the last picture; a special token ends there, so it can be tokenised by itself."""
    mark = processor.tokenizer.convert_ids_to_tokens(processor.comparison_token_id)
    whole = tail.replace(mark, mark * processor.comparison_length)
    return processor.tokenizer(whole, add_special_tokens=False)["input_ids"]


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the common beginning, leaving every sequence at least one token of its own."""
    limit = min(map(len, sequences)) - 1
    first = sequences[0]
    return next((i for i in range(limit) if any(other[i] != first[i] for other in sequences[1:])), limit)


def prepared_ahead(batches: Sequence[list[Group]], bench: Benchmark, processor: Any) -> Iterator[Batch]:
    """Each batch, while the next one's pictures are opened in the background."""
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(prepare, groups, bench, processor) for groups in batches[:1]]
        for following in range(1, len(batches) + 1):
            batch = coming.pop().result()
            if following < len(batches):
                coming.append(pool.submit(prepare, batches[following], bench, processor))
            yield batch


class Continuation:
    """The cache of a batch after its prompts, one row a question, and the logits [Q, vocabulary] of the next token."""

    def __init__(self, model: Any, batch: Batch) -> None:
        self.model = model
        backbone = model.model
        device = next(model.parameters()).device
        ids = batch.inputs["input_ids"].to(device)
        mask = batch.inputs["attention_mask"].to(device)
        pixels = batch.inputs.get("pixel_values")
        embedding = backbone.get_input_embeddings()
        whole = backbone.embed(ids, pixels.to(device)) if pixels is not None else embedding(ids)
        starts = (ids.shape[1] - mask.sum(1)).tolist()

        prefix, prefix_mask = _left_padded(
            [
                whole[row, start : start + length]
                for row, (start, length) in enumerate(zip(starts, batch.prefixes, strict=True))
            ]
        )
        self.cache = roomy_cache(model.config.get_text_config())
        self._forward(prefix, prefix_mask)

        comparison = model.config.comparison_token_id
        compared = [whole[row][ids[row] == comparison] for row in range(len(ids))]
        suffix, suffix_mask = _left_padded(
            [
                self._suffix(torch.tensor(tokens, device=device), compared[row], comparison, embedding)
                for tokens, row in zip(batch.suffixes, batch.owner, strict=True)
            ]
        )
        owner = torch.tensor(batch.owner, device=device)
        # As batch_repeat_interleave, with as many copies as the group has questions.
        self.cache.batch_select_indices(owner)
        self.mask = torch.cat([prefix_mask[owner], suffix_mask], 1)
        self.logits = self._head(self._forward(suffix, self.mask))

    def _suffix(self, tokens: Tensor, compared: Tensor, comparison: int, embedding: Any) -> Tensor:
        is_comparison = tokens == comparison
        embeds = embedding(tokens.masked_fill(is_comparison, 0))
        if is_comparison.any():
            embeds = put_tokens(embeds, is_comparison, compared)
        return embeds

    def _forward(self, embeds: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states [N, L, width] of `embeds`, which `mask` [N, past + L] ends with."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
        return self.model.model.language_model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state

    def _head(self, hidden: Tensor) -> Tensor:
        return self.model.lm_head(hidden[:, -1])

    def generate(self, limit: int, stop: Sequence[int]) -> list[list[int]]:
        """Greedy continuation of every question: at most `limit` tokens, up to and with the first stop token."""
        replies: list[list[int]] = [[] for _ in range(len(self.logits))]
        rows = list(range(len(replies)))
        embedding = self.model.model.get_input_embeddings()
        logits = self.logits
        for step in range(limit):
            tokens = logits.argmax(-1)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                # A row that has stopped is carried along until enough have.
                if not replies[row] or replies[row][-1] not in stop:
                    replies[row].append(token)
            alive = [place for place, row in enumerate(rows) if replies[row][-1] not in stop]
            if not alive or step == limit - 1:
                break
            if 2 * len(alive) <= len(rows):
                kept = torch.tensor(alive, device=tokens.device)
                self.cache.batch_select_indices(kept)
                tokens, self.mask, rows = tokens[kept], self.mask[kept], [rows[place] for place in alive]
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), 1)], 1)
            logits = self._head(self._forward(embedding(tokens)[:, None], self.mask))
        return replies


def roomy_cache(config: Any) -> DynamicCache:
    """A cache whose plain layers grow by rooms; sliding and other layers stay as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [_Roomy() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class _Roomy(DynamicLayer):
    """Keys and values [N, heads, L, width] as the beginning of larger tensors.

    transformers' layer copies its whole past for every new token. Here a token is written beside it, and the past is copied
    once in `ROOM` tokens and when rows are chosen.
    """

    ROOM = 32

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._held: tuple[Any, Any] = (self.keys, self.values)
        past = self.get_seq_length()
        end = past + key_states.shape[-2]
        before: tuple[Any, Any] = (self.keys, self.values)
        held = []
        for whole, old, new in zip(self._held, before, (key_states, value_states), strict=True):
            if whole.ndim < 4 or whole.shape[-2] < end:
                whole = new.new_empty(*new.shape[:-2], end + self.ROOM, new.shape[-1])
                if past:
                    whole[..., :past, :] = old
            whole[..., past:end, :] = new
            held.append(whole)
        self._held = (held[0], held[1])
        self.keys, self.values = held[0][..., :end, :], held[1][..., :end, :]
        return held[0][..., :end, :], held[1][..., :end, :]

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._held = (self.keys, self.values)


def _left_padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Embeddings [L_i, width] -> padded [N, L, width] and mask [N, L]."""
    if not rows:
        raise UserError("There is no question to answer.")
    length = max(map(len, rows))
    embeds = rows[0].new_zeros(len(rows), length, rows[0].shape[-1])
    mask = torch.zeros(len(rows), length, dtype=torch.long, device=embeds.device)
    for place, row in enumerate(rows):
        embeds[place, length - len(row) :] = row
        mask[place, length - len(row) :] = 1
    return embeds, mask
