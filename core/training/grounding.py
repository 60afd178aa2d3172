"""Grounding: the vision tower learns what the training pictures show, before any question is asked.

A large tower has seen the world and needs none of this; the paper trains its own through the answers alone. A small one
learns from a letter a picture next to nothing, and from a label a patch within minutes. So before the first stage it can be
told the following about the training part's pictures, all of which their labels and masks say anyway:

    patches   the defect that covers each patch (read off by a linear layer that is thrown away afterwards)
    gist      whether the picture bears a defect, in which cell of the 3 x 3 grid and of which kind, asked of every patch alike
              (another such layer): a small language model reads what all tokens of a picture say
    wording   each token, as the language model gets it, shall hold the embeddings of the words for it ("scratch", "top", "left"),
              so that what the tower knows is said in a language the language model knows
    map       patches that bear a defect resemble nothing in the picture's normal reference, all others do: the tower learns to
              compare; and what its anomaly map makes the query's tokens say (core.heatmap.embedder) is part of their wording
    keeping   beside these words, tokens stay what they are in the base, or products would be forgotten for defects
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, pad

from core.heatmap.comparison import anomaly_map
from core.heatmap.embedder import guided
from core.model.adapters import inner_model
from core.model.internvl import LayerTap, tile_tokens
from core.training.grounding_targets import Kinds

LOUD = 3.0  # times a word's embedding that stand for "said"
COMMON, STEEP = 0.2, 25.0  # heat of a patch that may bear a defect or not, and logits for each unit of heat above it
SURE = 4.0  # logit of a word that is said so, and of one that is not at all with the other sign


def patch_loss(logits: Tensor, target: Tensor, habit: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(loss, share of covered patches whose kind is read off rightly).

    Args:
        logits: [N, patches, 1 + kinds].
        target: int64 [N, patches], 0 for none and -1 for unknown; few are covered, so both halves count.
        habit: log odds of the kinds before the picture is looked at, [N, kinds]; none by default.
    """
    expected = logits if habit is None else logits + pad(habit, (1, 0)).unsqueeze(1)
    logits, expected, target = logits.flatten(0, 1), expected.flatten(0, 1), target.flatten()
    losses = cross_entropy(expected, target.clamp(min=0), reduction="none")
    free, covered = target == 0, target > 0
    loss = losses.new_zeros(())
    right = losses.new_zeros(())
    if free.any():
        loss = loss + 2 * losses[free].mean()
    if covered.any():
        loss = loss + losses[covered].mean()
        right = (logits[covered].argmax(-1) == target[covered]).float().mean()
    return loss, right


def gist_loss(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, share of patches that say rightly whether the picture bears anything at all).

    Args:
        logits: [N, patches, 1 + rest].
        wanted: [N, 1 + rest]; the same is asked of all patches.
    """
    wanted = wanted.unsqueeze(1).expand_as(logits)
    losses = _known_losses(logits, wanted).mean((0, 1))
    right = ((logits[..., 0] > 0) == (wanted[..., 0] > 0.5)).float().mean()
    return losses[0] + losses[1:].sum() / 2, right


def wording_loss(
    tokens: Tensor, embeddings: Tensor, wanted: Tensor, habit: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(loss, share of the words to be said that are said, over all tokens).

    Args:
        tokens: of the pictures, as the language model gets them, [N, T, width].
        embeddings: of the words, [words, width]; no gradient goes to them.
        wanted: [N, words], the same of all tokens, or [N, T, words].
        habit: log odds of the words before the picture is looked at, [N, words]; none by default.
    """
    embeddings = embeddings.detach()
    amount = tokens @ embeddings.T / embeddings.square().sum(1)
    said = 2 * SURE / LOUD * amount - SURE
    wanted = (wanted if wanted.ndim == 3 else wanted.unsqueeze(1)).expand_as(said)
    logits = said if habit is None else said + habit.unsqueeze(1)
    return _known_losses(logits, wanted).mean(), (said[wanted > 0.5] > 0).float().mean()


def map_loss(maps: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, share of defective pictures whose hottest patch bears the defect).

    Args:
        maps: anomaly maps of pictures, [P, patches].
        target: as `patch_loss` takes it, [P, patches]. Few patches bear a defect, so both halves count; and whether the picture
            bears one is asked of its hottest patch.
    """
    logits, covered, free = STEEP * (maps - COMMON), target > 0, target == 0
    losses = binary_cross_entropy_with_logits(logits, covered.to(logits), reduction="none")
    loss = sum((losses[half].mean() for half in (covered, free) if half.any()), losses.new_zeros(()))
    known, defective = (target >= 0).any(1), covered.any(1)
    if known.any():
        highest = logits.amax(1)[known]
        loss = loss + binary_cross_entropy_with_logits(highest, defective[known].to(highest)) / 2
    found = covered.gather(1, maps.argmax(1, keepdim=True))[defective].float()
    return loss, found.mean() if len(found) else losses.new_zeros(())


def _known_losses(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross entropy, 0 where the target is UNKNOWN."""
    losses = binary_cross_entropy_with_logits(logits, wanted.clamp(min=0), reduction="none")
    return losses.masked_fill(wanted < 0, 0.0)


def basis_of(embeddings: Tensor) -> Tensor:
    """Columns at right angles that span the words' embeddings [words, width]: [width, at most words]."""
    return torch.linalg.qr(embeddings.T).Q


def keeping_loss(tokens: Tensor, before: Tensor, basis: Tensor) -> Tensor:
    """How far the tokens have moved from what they were, but for the words: the squared distance as a share of the squares.

    What a tower knew of products would else be forgotten for defects, and nobody asks for products here.

    Args:
        tokens, before: [N, T, width], as they are and as the base makes them; no gradient goes to the latter.
        basis: of the words, see `basis_of`.
    """

    def rest(values: Tensor) -> Tensor:
        return values - values @ basis @ basis.T

    other = rest(before.detach())
    return (rest(tokens) - other).square().sum() / other.square().sum().clamp(min=1e-6)


def word_embeddings(model: Any, tokenizer: Any, words: Sequence[str]) -> Tensor:
    """The language model's embedding of each word, [words, width]: the mean of its tokens'."""
    weight = model.get_input_embeddings().weight
    ids = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    return torch.stack([weight[torch.tensor(i, device=weight.device)].mean(0) for i in ids]).detach().float()


class Grounding(nn.Module):
    """A model beside the two readouts that are thrown away, as one module: `forward` gives the loss.

    Args:
        model: EMIT, with or without adapters.
        kinds: of the training part.
        wording, comparing, keeping: weights of words, map and keeping in the loss; the last takes a pass of the base.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        kinds: Kinds,
        *,
        wording: float,
        comparing: float = 0.0,
        keeping: float = 0.0,
    ) -> None:
        super().__init__()
        self.said: Tensor
        self.basis: Tensor
        self.model, self.wording, self.comparing, self.keeping = model, wording, comparing, keeping
        inner = inner_model(model)
        width = inner.config.vision_config.hidden_size
        self.patch, self.gist = nn.Linear(width, 1 + len(kinds.names)), nn.Linear(width, 10 + len(kinds.names))
        for readout, prior in ((self.patch, 0.0), (self.gist, -2.0)):
            # From nothing, and what is rare expected rarely: a start by chance costs the first fifty steps.
            nn.init.zeros_(readout.weight)
            nn.init.constant_(readout.bias, prior)
        self.register_buffer("said", word_embeddings(inner, tokenizer, kinds.words), persistent=False)
        self.register_buffer("basis", basis_of(self.said), persistent=False)
        self.to(next(inner.parameters()).device)
        self.figures: dict[str, float] = {}
        # The base beside it, without its language model; in a list, since it is no part of what learns.
        language = inner.model.language_model
        self._before = [copy.deepcopy(inner.model, {id(language): language})] if keeping else []

    def forward(
        self,
        pixel_values: Tensor,
        patches: Tensor,
        gist: Tensor,
        wording: Tensor,
        habit: Tensor,
        strangers: Tensor | None = None,
        paired: Tensor | None = None,
        references: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """`{"loss"}`; what share was right is left in `figures`.

        Args:
            pixel_values: thumbnails [N, 3, h, w].
            habit: of each picture's product, [N, kinds + words], see `Kinds.habit`.
            strangers: thumbnails [M, 3, h, w] on which tokens are kept as they were; by default every second picture.
            paired, references: int64 [P], pictures that are compared, and thumbnails [P, 3, h, w] of their normal references.
            patches, gist, wording: as the functions above take them.
        """
        kinds, words = habit.split([self.patch.out_features - 1, len(self.said)], dim=1)
        inner = inner_model(self.model).model
        count = len(pixel_values)
        # On a CPU one pass of all is quicker than two.
        seen = pixel_values if strangers is None else torch.cat([pixel_values, strangers])
        with LayerTap(inner.vision_tower, inner.config.comparison_layers, slice(count), learning=True) as tap:
            states, tokens = _look(inner, seen)
        features, (tokens, kept) = states[:count, 1:].float(), (tokens[:count], tokens[count:])
        first, covered = patch_loss(self.patch(features), patches, kinds)
        second, known = gist_loss(self.gist(features) + pad(kinds, (10, 0)).unsqueeze(1), gist)
        self.figures = {"patches": covered.item(), "gist": known.item()}
        loss, spoken = first + second, tokens
        if paired is not None and references is not None:
            # Both pictures pass the same tower; the gradient of one of them tells it as much as that of both, for half the time.
            maps = anomaly_map(
                [state[paired] for state in tap.states],
                inner.turned_features(references),
                window=inner.config.comparison_window,
                grid=inner.config.comparison_grid,
            )
            different, found = map_loss(maps.flatten(1), patches[paired])
            loss = loss + self.comparing * different
            self.figures["map"] = found.item()
            if (guide := inner.contrastive(maps).guide) is not None:
                spoken = guided(tokens, paired, guide)
        third, said = wording_loss(spoken, self.said, wording, words)
        loss = loss + self.wording * third
        self.figures["wording"] = said.item()
        if self.keeping:
            now, shown = (tokens[::2], pixel_values[::2]) if strangers is None else (kept, strangers)
            with torch.no_grad():
                before = _look(self._before[0], shown)[1]
            moved = keeping_loss(now, before, self.basis)
            loss = loss + self.keeping * moved
            self.figures["moved"] = moved.item()
        return {"loss": loss}


def _look(model: Any, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
    """(last hidden state of the tower, class token first; tokens [N, T, width] as the language model gets them)."""
    tower = model.vision_tower
    states = tower(pixel_values=pixel_values.to(next(tower.parameters()).dtype)).last_hidden_state
    tokens = tile_tokens(model, states).float()
    return states, tokens.reshape(len(states), -1, tokens.shape[-1])
