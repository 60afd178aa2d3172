"""What an EMIT checkpoint says about itself: an InternVL configuration and the comparison's settings."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, InternVLConfig

PHRASE = "The difference between the query and the normal reference:"


@strict
class EmitConfig(InternVLConfig):
    """Configuration of `EmitForConditionalGeneration`.

    Attributes:
        comparison_token_id: id of the placeholder the comparison's tokens replace. It may lie beyond the vocabulary: it
            is never looked up, so a base model keeps its embedding matrix as it is.
        comparison_window: how far apart, in patches, patches of query and reference may lie to be compared. The paper's
            6 of 32 suits rotated parts; aligned products want less.
        comparison_rotations: turns of the reference that are compared too, in degrees, out of 0, 90, 180, 270. Every one
            but 0 costs a pass of the vision tower.
        comparison_layers: hidden states of the vision tower that are compared (0 is the embedding's output); None takes
            the paper's 4, 8, 16, 20 of 24, at the same share of another depth.
        soft_tokens: length of the soft prompt; 0 switches it off.
        heatmap: False switches the anomaly map off (soft prompt only).
        comparison_places: every place of the map has a vector, by which it guides the tokens of the query's thumbnail
            (ContrastiveEmbedder).
    """

    model_type = "emit"
    # TRL asks for it when it builds the reference model of an architecture that is not in transformers itself.
    auto_map: ClassVar[dict[str, str]] = {}

    comparison_token_id: int = 151674
    comparison_window: int = 6
    comparison_rotations: list[int] | tuple[int, ...] = (0, 90, 180, 270)
    comparison_layers: list[int] | tuple[int, ...] | None = None
    soft_tokens: int = 9
    heatmap: bool = True
    comparison_places: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        vision: Any = self.vision_config
        depth = vision.num_hidden_layers
        if self.comparison_layers is None:
            # A very shallow tower merges some of the four.
            self.comparison_layers = tuple(sorted({max(1, round(depth * part / 24)) for part in (4, 8, 16, 20)}))
        self.comparison_layers = tuple(self.comparison_layers)
        self.comparison_rotations = tuple(self.comparison_rotations)
        if not all(0 <= layer <= depth for layer in self.comparison_layers) or not self.comparison_layers:
            raise ValueError(f"comparison_layers {self.comparison_layers} must lie in 0..{depth}")
        if not self.comparison_rotations or set(self.comparison_rotations) - {0, 90, 180, 270}:
            raise ValueError(f"comparison_rotations {self.comparison_rotations} must be out of 0, 90, 180, 270")
        if self.comparison_window < 0 or self.soft_tokens < 0:
            raise ValueError("comparison_window and soft_tokens must be 0 or more")

    @property
    def comparison_grid(self) -> tuple[int, int]:
        """Patches (H, W) of a thumbnail."""
        vision: Any = self.vision_config
        return vision.image_size[0] // vision.patch_size[0], vision.image_size[1] // vision.patch_size[1]

    @property
    def comparison_length(self) -> int:
        """Placeholder tokens a comparison takes; 0 if both its halves are switched off."""
        return self.soft_tokens + (self.map_length if self.heatmap else 0)

    @property
    def map_length(self) -> int:
        """Tokens of an anomaly map."""
        height, width = self.comparison_grid
        return (height // 2) * (width // 2)

    @classmethod
    def from_internvl(cls, base: InternVLConfig, **settings: Any) -> EmitConfig:
        """The configuration of a base model with the comparison's settings added."""
        values = base.to_dict()
        for key in ("model_type", "architectures", "transformers_version", "_name_or_path"):
            values.pop(key, None)
        return cls(**{**values, **settings})


AutoConfig.register("emit", EmitConfig)
