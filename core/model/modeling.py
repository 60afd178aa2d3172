"""EMIT as a Hugging Face model: InternVL that is shown, where the prompt says so, how query and reference differ.

The logic sits in `EmitModel`, the backbone, because TRL's scoring and loss call the backbone and not the top-level forward.
It needs nothing but `input_ids` and `pixel_values`, so `generate`, PEFT and stock trainers use it unmodified.
Without a comparison placeholder, and no tile twice, the computation is InternVL's own, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    InternVLForConditionalGeneration,
    InternVLModel,
)
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)

from core.errors import UserError
from core.heatmap.comparison import anomaly_map
from core.heatmap.embedder import ContrastiveEmbedder, guided
from core.model.configuration import PHRASE, EmitConfig
from core.model.internvl import LayerTap, Layout, find_layout, put_tokens, tile_tokens
from core.model.sharing import FeatureCache, fingerprints, has_active_dropout, weights_stamp

# Rotated references are encoded in passes of this many tiles, so that their memory does not grow with the batch.
TILES_PER_PASS = 16


class EmitModel(InternVLModel):
    """InternVL's backbone with a comparison of the first reference with the last image of a sample.

    Attributes:
        features: what is kept of the vision tower between calls, bounded by `features.limit` bytes. Used while the tower
            is frozen, or evaluated without gradients.
    """

    config_class = EmitConfig
    config: Any  # sub-configurations are typed as possibly missing in transformers

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.contrastive: Any = (
            ContrastiveEmbedder(
                config.text_config.hidden_size,
                soft_tokens=config.soft_tokens,
                heatmap=config.heatmap,
                places=config.map_length if config.comparison_places else 0,
            )
            if config.comparison_length
            else None
        )
        self.features = FeatureCache()
        self.post_init()

    def layout(self, input_ids: Tensor) -> Layout:
        """Where tiles and comparisons stand in `input_ids` [B, T]."""
        config = self.config
        return find_layout(
            input_ids,
            image_token=config.image_token_id,
            tile_length=config.image_seq_length,
            comparison_token=config.comparison_token_id,
            comparison_length=config.comparison_length,
        )

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if kwargs.get("mm_encoder_outputs"):
            raise ValueError("EMIT compares pictures itself: pass pixel_values, not mm_encoder_outputs.")
        if input_ids is not None and pixel_values is not None and inputs_embeds is None:
            inputs_embeds = self.embed(input_ids, pixel_values)
            input_ids = pixel_values = None
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )

    def embed(self, input_ids: Tensor, pixel_values: Tensor) -> Tensor:
        """Token embeddings [B, T, width] with pictures and comparisons in their places.

        Args:
            pixel_values: [all tiles, 3, h, w] in the order of the batch's placeholders.
        """
        layout = self.layout(input_ids)
        if sum(layout.tiles) != len(pixel_values):
            raise UserError(
                f"The prompt has room for {sum(layout.tiles)} picture tiles, but {len(pixel_values)} were given: "
                "give as many pictures as the prompt has image parts, and do not truncate it."
            )
        tokens, maps = self._encode(pixel_values.to(self.dtype), layout.pairs)
        compared, guide = self.contrastive(maps) if layout.pairs else (None, None)
        if guide is not None:
            queries = torch.tensor([query for _, query in layout.pairs], device=tokens.device)
            tokens = guided(tokens, queries, guide)
        # The comparison's placeholder may lie beyond the vocabulary; it is never looked up.
        embeds = self.get_input_embeddings()(input_ids.masked_fill(layout.comparison_mask, 0))
        embeds = put_tokens(embeds, layout.image_mask, tokens)
        return embeds if compared is None else put_tokens(embeds, layout.comparison_mask, compared)

    def _encode(self, pixels: Tensor, pairs: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor | None]:
        """Image tokens of all tiles [N, tile_length, width], and the map of each pair [len(pairs), 1, H, W].

        One pass of the vision tower over tiles that are neither the same as another nor known already; it also yields
        the layers to compare, so that only turned references need further passes.
        """
        keys = fingerprints(pixels)
        place = {key: index for index, key in enumerate(dict.fromkeys(keys))}  # of each distinct tile
        first = {key: index for index, key in reversed(list(enumerate(keys)))}
        wanted = list(dict.fromkeys((keys[reference], keys[query]) for reference, query in pairs))
        settings = (self.config.comparison_layers, self.config.comparison_window, self.config.comparison_rotations)

        cache, frozen = self._usable_cache()
        known: dict[Any, Any] = {key: cache.get(key) for key in place} if cache is not None else dict.fromkeys(place)
        maps: dict[Any, Any] = {pair: cache.get((*pair, settings)) if cache is not None else None for pair in wanted}
        new_pairs = [pair for pair in wanted if maps[pair] is None] if self.config.heatmap else []
        compared = dict.fromkeys(key for pair in new_pairs for key in pair)
        todo = [key for key in place if known[key] is None or key in compared]

        states: list[Tensor] = []
        if todo:
            whole = len(todo) == len(pixels)  # the stock call, without a copy
            batch = pixels if whole else pixels[[first[key] for key in todo]]
            rows = torch.tensor([todo.index(key) for key in compared], dtype=torch.long, device=pixels.device)
            layers = self.config.comparison_layers if compared else ()
            with torch.no_grad() if frozen else nullcontext(), LayerTap(self.vision_tower, layers, rows) as tap:
                hidden = self.vision_tower(pixel_values=batch).last_hidden_state
            states = tap.states
            if cache is not None:
                for key, state in zip(todo, hidden, strict=True):
                    cache.put(key, state)
        if len(todo) < len(place):
            found = dict(zip(todo, hidden, strict=True)) if todo else {}
            hidden = torch.stack([found[key] if key in found else known[key] for key in place])
        tokens = tile_tokens(self, hidden)
        if len(place) < len(keys):
            tokens = tokens[[place[key] for key in keys]]

        if new_pairs:
            row = {key: index for index, key in enumerate(compared)}
            queries = [row[query] for _, query in new_pairs]
            references = list(dict.fromkeys(reference for reference, _ in new_pairs))
            turned = self.turned_features(
                pixels[[first[key] for key in references]],
                [state[[row[key] for key in references]] for state in states],
            )
            chosen = [references.index(reference) for reference, _ in new_pairs]
            new = anomaly_map(
                [state[queries] for state in states],
                [state[chosen] for state in turned],
                window=self.config.comparison_window,
                grid=self.config.comparison_grid,
            )
            for pair, found_map in zip(new_pairs, new, strict=True):
                maps[pair] = found_map
                if cache is not None:
                    cache.put((*pair, settings), found_map)
        if not pairs:
            return tokens, None
        blank = torch.zeros(1, *self.config.comparison_grid, device=pixels.device)  # without heatmap: its size alone
        return tokens, torch.stack(
            [maps[keys[reference], keys[query]] if self.config.heatmap else blank for reference, query in pairs]
        )

    def _usable_cache(self) -> tuple[FeatureCache | None, bool]:
        """(the cache if kept features may be used now, whether the vision tower is frozen)."""
        frozen = not any(value.requires_grad for value in self.vision_tower.parameters())
        usable = frozen or (not torch.is_grad_enabled() and not self.training)
        if not usable or not self.features.limit or has_active_dropout(self.vision_tower):
            return None, frozen
        return self.features.valid_for((str(self.device), self.dtype, weights_stamp(self.vision_tower))), frozen

    @torch.no_grad()
    def turned_features(
        self, pixels: Tensor, upright: Sequence[Tensor] | None = None, rotations: Sequence[int] | None = None
    ) -> list[Tensor]:
        """Over layers, patch features of all rotations of thumbnails [N, 3, h, w]: [N, R * patches, D]; no gradient.

        Args:
            upright: the features of the thumbnails as they are, if known.
        """
        rotations = self.config.comparison_rotations if rotations is None else rotations
        found = {0: list(upright)} if upright is not None else {}
        todo = [degrees for degrees in rotations if degrees not in found]
        if todo:
            # Counter-clockwise like Pillow's `rotate`; a square stays a square.
            tiles = torch.cat([torch.rot90(pixels, degrees // 90, dims=(-2, -1)) for degrees in todo])
            states = self.patch_features(tiles)
            for index, degrees in enumerate(todo):
                found[degrees] = [state[index * len(pixels) : (index + 1) * len(pixels)] for state in states]
        return [torch.cat(turns, dim=1) for turns in zip(*(found[degrees] for degrees in rotations), strict=True)]

    @torch.no_grad()
    def patch_features(self, pixels: Tensor) -> list[Tensor]:
        """Over the compared layers, patch features [N, patches, D] of tiles [N, 3, h, w]; no gradient."""
        chunks = []
        for part in pixels.to(self.device, self.dtype).split(TILES_PER_PASS):
            with LayerTap(self.vision_tower, self.config.comparison_layers) as tap:
                self.vision_tower(pixel_values=part)
            chunks.append(tap.states)
        return [torch.cat(states) for states in zip(*chunks, strict=True)]

    @torch.no_grad()
    def anomaly_maps(
        self,
        query: Tensor,
        reference: Tensor,
        *,
        window: int | None = None,
        rotations: Sequence[int] | None = None,
    ) -> Tensor:
        """Maps [N, 1, H, W] of thumbnails against thumbnails [N, 3, h, w]; None takes the configuration's settings."""
        rotations = self.config.comparison_rotations if rotations is None else tuple(rotations)
        if not rotations or set(rotations) - {0, 90, 180, 270}:
            raise UserError(f"Rotations must be out of 0, 90, 180 and 270 degrees, not {rotations}.")
        return anomaly_map(
            self.patch_features(query),
            self.turned_features(reference.to(self.device, self.dtype), None, rotations),
            window=self.config.comparison_window if window is None else window,
            grid=self.config.comparison_grid,
        )


class EmitForConditionalGeneration(InternVLForConditionalGeneration):
    """EMIT with a language model head; see `EmitModel` for the comparison."""

    config_class = EmitConfig
    config: Any  # sub-configurations are typed as possibly missing in transformers

    def __init__(self, config: Any) -> None:
        # Past InternVL's own constructor, which would build a second backbone.
        super(InternVLForConditionalGeneration, self).__init__(config)
        self.model = EmitModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def emit_parameters(self) -> dict[str, nn.Parameter]:
        """Names and parameters of the soft prompt and the map's projector (all that the supervised stage trains)."""
        return {name: value for name, value in self.named_parameters() if name.startswith("model.contrastive.")}

    def collect_statistics(self, mode: bool = True) -> None:
        """Let the projector's batch norm learn its statistics in train mode; for grounding and the supervised stage only."""
        for part in self.modules():  # adapters keep a copy that learns in a wrapper of its name
            if isinstance(part, ContrastiveEmbedder):
                part.collect_statistics = mode
                part.train(self.training)

    def anomaly_maps(self, query: Tensor, reference: Tensor, **settings: Any) -> Tensor:
        """See `EmitModel.anomaly_maps`."""
        return self.model.anomaly_maps(query, reference, **settings)

    def start_soft_prompt(self, tokenizer: Any, phrase: str = PHRASE) -> None:
        """Initialise the soft prompt from the token embeddings of `phrase`."""
        if self.model.contrastive is not None:
            ids = tokenizer(phrase, add_special_tokens=False, return_tensors="pt")["input_ids"][0]
            weight: Any = self.get_input_embeddings().weight
            self.model.contrastive.start_from(weight[ids.to(weight.device)])

    # `generate` and trainers read the names of its arguments.
    @wraps(InternVLForConditionalGeneration.forward)
    def forward(  # type: ignore[override]
        self, input_ids: Tensor | None = None, *args: Any, labels: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """As InternVL's; placeholders of a comparison are never a label, as they may lie beyond the vocabulary."""
        if labels is not None and input_ids is not None:
            labels = labels.masked_fill(input_ids == self.config.comparison_token_id, -100)
        return super().forward(input_ids, *args, labels=labels, **kwargs)

    def _supports_mm_encoder_outputs(self) -> bool:
        """`generate` must not encode the pictures by itself beforehand: it would skip the comparison, silently."""
        return False

    def _expand_inputs_for_generation(  # type: ignore[misc]
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Any = None, **model_kwargs: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Several answers to one prompt: a sample's tiles are repeated as a block, not each for itself."""
        pixels = model_kwargs.pop("pixel_values", None)
        blocks = pixels.split(self.model.layout(input_ids).tiles) if expand_size > 1 and pixels is not None else ()
        plain: Any = InternVLForConditionalGeneration._expand_inputs_for_generation
        input_ids, model_kwargs = plain(
            self, expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **model_kwargs
        )
        if blocks:
            pixels = torch.cat([block for block in blocks for _ in range(expand_size)])
        return input_ids, model_kwargs if pixels is None else {**model_kwargs, "pixel_values": pixels}


# transformers renames the keys of older InternVL files by registered model type and by class name; ours are InternVL's.
for _ours, _theirs in (("emit", "internvl"), ("EmitModel", "InternVLModel")):
    register_checkpoint_conversion_mapping(_ours, get_checkpoint_conversion_mapping(_theirs) or [], overwrite=True)

AutoModel.register(EmitConfig, EmitModel)
AutoModelForImageTextToText.register(EmitConfig, EmitForConditionalGeneration)
# TRL builds its reference model with this class when it does not find the architecture's name in transformers.
AutoModelForCausalLM.register(EmitConfig, EmitForConditionalGeneration)
