"""All that is particular to InternVL: where a sample's tiles are, which tile is a picture's thumbnail, and what the
language model is shown of a tile. Another image-text model needs its own version of this file.

A picture stands in the text as a run of image tokens, a whole multiple of `image_seq_length`: its tiles, the last of which
is the thumbnail of the whole picture (the only one, if the picture is not tiled).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError


@dataclass(frozen=True, slots=True)
class Layout:
    """Where pictures and comparisons stand in a batch.

    Attributes:
        image_mask: bool [B, T], tokens that stand for tiles.
        comparison_mask: bool [B, T], tokens that stand for a comparison.
        tiles: tiles of each sample, in batch order.
        pairs: (row of the reference's thumbnail, row of the query's) in `pixel_values`, one for each comparison.
    """

    image_mask: Tensor
    comparison_mask: Tensor
    tiles: list[int]
    pairs: list[tuple[int, int]]


def find_layout(
    input_ids: Tensor, *, image_token: int, tile_length: int, comparison_token: int, comparison_length: int
) -> Layout:
    """Read the layout off the tokens alone, so that nobody has to pass more than `input_ids` and `pixel_values`.

    Runs of any other length are left as plain tokens: a sampled completion may hold a stray placeholder.

    Raises:
        UserError: a comparison in a sample with fewer than two pictures, or two comparisons in one.
    """
    image_mask = torch.zeros_like(input_ids, dtype=torch.bool)
    comparison_mask = torch.zeros_like(image_mask)
    tiles: list[int] = []
    pairs: list[tuple[int, int]] = []
    # One copy to the host for the whole batch; the loops below see runs, not tokens.
    for row, ids in enumerate(input_ids.cpu()):
        first_tile, images = sum(tiles), []
        for start, length in _runs(ids == image_token):
            if length % tile_length == 0:
                image_mask[row, start : start + length] = True
                images.append(length // tile_length)
        tiles.append(sum(images))
        runs = _runs(ids == comparison_token)
        found = [start for start, length in runs if length == comparison_length]
        if not found:
            if wrong := [length for _, length in runs if length >= 8]:
                raise UserError(
                    f"A comparison has {wrong[0]} placeholders where this model takes {comparison_length}: "
                    "match the processor to the model, `processor.match(model.config)`."
                )
            continue
        if len(found) > 1:
            raise UserError(
                "A question holds two comparisons: keep one comparison part, at the end of the user's turn."
            )
        if len(images) < 2:
            raise UserError(
                f"A comparison needs a reference and a query picture, but the question has {len(images)}: "
                "add the reference, or leave the comparison part out."
            )
        comparison_mask[row, found[0] : found[0] + comparison_length] = True
        pairs.append((first_tile + images[0] - 1, first_tile + tiles[-1] - 1))
    return Layout(image_mask, comparison_mask, tiles, pairs)


def _runs(mask: Tensor) -> list[tuple[int, int]]:
    """(start, length) of every run of True in a bool vector."""
    edges = torch.diff(
        mask.to(torch.int8), prepend=mask.new_zeros(1, dtype=torch.int8), append=mask.new_zeros(1, dtype=torch.int8)
    )
    starts = (edges == 1).nonzero().flatten().tolist()
    ends = (edges == -1).nonzero().flatten().tolist()
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def tile_tokens(model: Any, last_hidden_state: Tensor) -> Tensor:
    """What the language model sees of each tile: [N, 1 + patches, D] -> [N, tile_length, width].

    The steps of `InternVLModel.get_image_features` after the vision tower, so that kept features can take them too.
    """
    features = (
        last_hidden_state[:, 1:] if model.config.vision_feature_select_strategy == "default" else last_hidden_state
    )
    side = int(features.shape[1] ** 0.5)
    features = features.reshape(len(features), side, side, -1)
    features = model.pixel_shuffle(features, scale_factor=model.config.downsample_ratio)
    return model.multi_modal_projector(features.reshape(len(features), -1, features.shape[-1]))


def put_tokens(embeds: Tensor, mask: Tensor, values: Tensor) -> Tensor:
    """`embeds` [..., width] with the rows of `values` [..., width], in their order, where `mask` [...] is true.

    By rows and not by `masked_scatter`, whose gradient looks every single value up.
    """
    return embeds.index_put((mask.to(embeds.device),), values.to(embeds.device, embeds.dtype).flatten(0, -2))


class LayerTap:
    """Collects chosen hidden states of an InternVL vision tower during a pass: [N, patches, D], without class token.

    `output_hidden_states=True` would keep all of them for all tiles; this keeps the chosen layers of the chosen rows,
    detached unless `learning`. Use as a context manager; afterwards `states` holds a list over layers.
    """

    def __init__(
        self, tower: Any, layers: tuple[int, ...], rows: Tensor | slice = slice(None), *, learning: bool = False
    ) -> None:
        self.tower, self.layers, self.rows, self.learning = tower, layers, rows, learning
        self._found: dict[int, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> LayerTap:
        for layer in self.layers:
            # Hidden state 0 is the embeddings' output, k the k-th block's.
            module = self.tower.embeddings if layer == 0 else self.tower.encoder.layer[layer - 1]
            self._handles.append(module.register_forward_hook(self._keep(layer)))
        return self

    def _keep(self, layer: int):  # noqa: ANN202
        def hook(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            state = output[0] if isinstance(output, tuple) else output
            self._found[layer] = (state if self.learning else state.detach())[self.rows, 1:]

        return hook

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def states(self) -> list[Tensor]:
        return [self._found[layer] for layer in self.layers]
