"""How much device memory a run is going to need, from shapes and settings alone; shown before it starts. No torch.

Counted per device: weights, gradients, the optimizer's two moments, the reference's copies, what a forward pass keeps for its
backward pass (activations), the key-value cache of generation, and the logits. What kernels and the allocator take besides is
a flat share.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.training.config import Lora, RunConfig

PROJECT = Path(__file__).resolve().parents[2]
GIB = 2**30
OVERHEAD = 1.10  # fragmentation, workspaces, CUDA context
# Two pictures of seven tiles, a description and a question.
PROMPT_TOKENS, TILES = 3500, 14
REASON_TOKENS = 32  # of a reply that gives its reason in a sentence


@dataclass(frozen=True)
class Shape:
    """Sizes of an InternVL model; `of` reads them from a checkpoint's config."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    tied: bool
    vision_width: int = 1024
    vision_layers: int = 24
    vision_inner: int = 4096
    patch: int = 14
    image: int = 448
    soft_tokens: int = 9
    places: bool = False  # every place of the map has a vector
    products: int = 16  # matrices of cosines behind a map: one for each layer and rotation

    @classmethod
    def of(cls, config: dict[str, Any]) -> Shape:
        """From the content of a `config.json`."""
        text, vision = config["text_config"], config["vision_config"]
        size, patch = (
            value[0] if isinstance(value, list) else value for value in (vision["image_size"], vision["patch_size"])
        )
        tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
        return cls(
            text["hidden_size"], text["num_hidden_layers"], text["num_attention_heads"], text["num_key_value_heads"],
            text["intermediate_size"], text["vocab_size"], bool(tied), vision["hidden_size"],
            vision["num_hidden_layers"], vision["intermediate_size"], patch, size, config.get("soft_tokens", 9),
            config.get("comparison_places", False),
            len(config.get("comparison_layers") or range(4)) * len(config.get("comparison_rotations") or range(4)),
        )  # fmt: skip

    @property
    def kv_width(self) -> int:
        return self.width // self.heads * self.kv_heads

    @property
    def patches(self) -> int:
        return (self.image // self.patch) ** 2

    def parameters(self) -> dict[str, int]:
        """Parameters of each part (`core.training.parts`)."""
        w, inner, v = self.width, self.inner, self.vision_width
        layer = 2 * w * w + 2 * w * self.kv_width + w + 2 * self.kv_width + 3 * w * inner + 2 * w
        vision_layer = 4 * v * v + 4 * v + 2 * v * self.vision_inner + v + self.vision_inner + 6 * v
        vision = self.vision_layers * vision_layer + v * (3 * self.patch**2 + 1) + v + (self.patches + 1) * v
        return {
            "llm": self.layers * layer + w + self.vocabulary * w * (1 if self.tied else 2),
            "vision": vision,
            "mlp": 8 * v + 4 * v * w + w + w * w + w,
            "projector": 16 * w + w + 2 + (self.patches // 4 * w if self.places else 0),
            "soft_prompt": self.soft_tokens * w,
        }

    def lora(self, lora: Lora, on: tuple[str, ...]) -> int:
        """Parameters of these adapters on the parts `on`."""
        w, v = self.width, self.vision_width
        layer = lora.rank * (2 * (w + w) + 2 * (w + self.kv_width) + 3 * (w + self.inner))
        vision = (lora.vision_rank or lora.rank) * (4 * (v + v) + 2 * (v + self.vision_inner))
        return (self.layers * layer if "llm" in on else 0) + (self.vision_layers * vision if "vision" in on else 0)

    def kept(self, tokens: int, *, tiles: int = 0, lora: bool = False) -> int:
        """Values a forward pass keeps for the backward pass: `tokens` through the LLM, `tiles` through the ViT."""
        # Norms keep their input in 32 bits (counted double) and output; attention its queries, keys, values and result;
        # the gated unit four products.
        each = 9 * self.width + 3 * self.kv_width + 4 * self.inner + (2 * self.width if lora else 0)
        seen = 10 * self.vision_width + 2 * self.vision_inner
        return tokens * self.layers * each + tiles * (self.patches + 1) * self.vision_layers * seen


# Checkpoints on the hub, so that nothing need be downloaded for an estimate.
KNOWN = {
    "OpenGVLab/InternVL3-1B-hf": Shape(896, 24, 14, 2, 4864, 151674, False),
    "OpenGVLab/InternVL3-2B-hf": Shape(1536, 28, 12, 2, 8960, 151674, False),
    "OpenGVLab/InternVL3-8B-hf": Shape(3584, 28, 28, 4, 18944, 151674, False),
}


@dataclass(frozen=True)
class Estimate:
    """Bytes per device, by stage and purpose."""

    stages: dict[str, dict[str, int]]

    def total(self, stage: str) -> int:
        return int(OVERHEAD * sum(self.stages[stage].values()))

    @property
    def peak(self) -> int:
        return max(map(self.total, self.stages))

    def __str__(self) -> str:
        lines = []
        for stage, parts in self.stages.items():
            detail = ", ".join(f"{name} {_size(value)}" for name, value in parts.items() if value)
            lines.append(f"{stage}: about {_size(self.total(stage))} per device ({detail})")
        return "\n".join(lines)


def _size(value: float) -> str:
    return f"{value / GIB:.1f} GB" if value >= GIB / 10 else f"{value / 2**20:.0f} MB"


def shape_of(base: str) -> Shape | None:
    """The base's shape, None when it is not known without loading it."""
    for folder in (Path(base), PROJECT / base):
        path = folder / "config.json"
        if path.is_file():
            value = json.loads(path.read_text(encoding="utf-8"))
            return Shape.of(value) if "text_config" in value else None
    return KNOWN.get(base)


def estimate(config: RunConfig, *, prompt_tokens: int = PROMPT_TOKENS, tiles: int = TILES) -> Estimate | None:
    """The memory a run needs, None when the base's shape is not known.

    Args:
        prompt_tokens, tiles: of one question; a small model with few pixels has fewer.
    """
    shape = shape_of(config.base)
    if shape is None:
        return None
    if shape.image < 448:  # a tiny model: one tile a picture
        prompt_tokens, tiles = 250 + 2 * (shape.patches // 4), 2
    sizes = shape.parameters()
    width = 4 if config.dtype in ("float32", "mixed") or (config.dtype == "auto" and config.device == "cpu") else 2
    total = sum(sizes.values())
    weights = int(0.55 * sizes["llm"] + width * (total - sizes["llm"])) if config.quantize else width * total
    stages = {}
    if config.grounding.enabled and config.lora:
        ground = config.grounding
        learning = sum(sizes[part] for part in (*ground.train, *(["projector"] if config.comparing else []))) + (
            0 if "vision" in ground.train else shape.lora(config.lora, ("vision",))
        )
        rows = ground.batch_size // config.processes
        # A map that is taught keeps its cosines, in 32 bits; references pass the tower without leaving anything.
        cosines = 4 * shape.products * shape.patches**2 * -(-rows // 2) if config.comparing else 0
        seen = rows + (rows // 4 if ground.strange else 0)  # one to four of them: `STRANGE` of the targets
        stages["grounding"] = {
            "weights": weights + 4 * learning,
            "reference": width * (sizes["vision"] + sizes["mlp"]) if ground.keeping else 0,
            "gradients": 4 * learning,
            "optimizer": 8 * learning,
            "activations": _activations(shape, 0, seen, width, False, True) + cosines,
        }
    if config.sft.enabled:
        learning = sum(sizes[part] for part in config.sft.train)
        rows = min(config.sft.micro_batch, config.sft.batch_size // config.processes)
        sees = bool({"vision", "mlp"} & set(config.sft.train))
        wide, extra, reply = width, 0, 3  # a letter, the end, and what stands before them
        if config.sft.adapters and config.lora:
            # Adapters and parts beside them learn in 32 bits, beside the parts as they were.
            adapters = shape.lora(config.lora, config.lora.on)
            wide, learning, extra = 4, learning + adapters, 4 * (learning + adapters)
            sees = sees or "vision" in config.lora.on
        if config.sft.replies != "letters":
            reply = REASON_TOKENS
        stages["sft"] = {
            "weights": weights + extra,
            "gradients": wide * learning,
            "optimizer": 2 * wide * learning,
            "activations": _activations(
                shape,
                rows * (prompt_tokens + reply),
                rows * tiles if sees else 0,
                width,
                config.sft.gradient_checkpointing,
                config.sft.adapters,
            ),
            "logits": 3 * 4 * rows * reply * shape.vocabulary,
        }
    if config.grpo.enabled:
        grpo, lora = config.grpo, config.lora
        adapters = shape.lora(lora, lora.on) if lora else 0
        learning = sum(sizes[part] for part in grpo.train)
        shared = grpo.shared_prefix and not grpo.gradient_checkpointing
        rows = grpo.micro_batch
        prompts = -(-rows // grpo.group_size) if shared else rows
        tokens = prompts * prompt_tokens + rows * grpo.max_new_tokens
        trains_vision = "vision" in grpo.train or (lora is not None and "vision" in lora.on)
        # Adapters and parts beside them learn in 32 bits.
        wide = 4 if lora else width
        groups = max(1, grpo.groups // config.processes)
        cache = 2 * shape.layers * shape.kv_width * width
        activations = _activations(
            shape,
            tokens,
            prompts * tiles if trains_vision and not grpo.checkpoint_vision else 0,
            width,
            grpo.gradient_checkpointing,
            lora is not None,
        )
        # The prompts' cache and its copy with the responses behind it are kept for the backward pass; where responses are
        # longer than their prompt it is repeated for each of them (`core.grpo.prefix`).
        repeated = grpo.group_size * grpo.max_new_tokens > prompt_tokens
        if shared:
            activations += 2 * cache * ((rows if repeated else prompts) * prompt_tokens + rows * grpo.max_new_tokens)
        copies = 1 if shared else grpo.group_size  # of a prompt's cache while its responses are sampled
        stages["grpo"] = {
            "weights": weights + wide * (adapters + (learning if lora else 0)),
            "reference": 0 if lora or not grpo.beta else width * learning,
            "gradients": wide * (learning + adapters),
            "optimizer": 2 * wide * (learning + adapters),
            # Generation and learning take turns.
            "activations": max(
                activations,
                cache * groups * (copies * prompt_tokens + grpo.group_size * grpo.max_new_tokens),
            ),
            "logits": 4 * 32768 * 3 * min(rows * grpo.max_new_tokens, 1024),
        }
    return Estimate(stages)


def _activations(shape: Shape, tokens: int, tiles: int, width: int, checkpointing: bool, lora: bool = False) -> int:
    if not checkpointing:
        return width * shape.kept(tokens, tiles=tiles, lora=lora)
    # Only every layer's input stays, and one layer is worked on.
    inputs = (
        tokens * shape.layers * shape.width + tiles * (shape.patches + 1) * shape.vision_layers * shape.vision_width
    )
    return width * (inputs + shape.kept(tokens, tiles=tiles, lora=lora) // max(shape.layers, 1))
