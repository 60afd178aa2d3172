"""The authors' release (EMIT-8B) and its kind -> an EMIT checkpoint.

The release has InternVL's original remote-code layout: one `qkv` matrix in the vision tower, `mlp1.*` for the vision MLP,
`language_model.*` as its model was named there, and beside them `projector.0/1.*` and `soft_prompt.weight`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoTokenizer, GotOcr2ImageProcessorPil
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

from core.errors import UserError
from core.files import read_json
from core.model.configuration import EmitConfig
from core.model.layouts import find_checkpoint, readable_errors
from core.model.modeling import EmitForConditionalGeneration
from core.model.processing import COMPARISON, IMAGE, MEAN, STD, EmitProcessor

# Their name -> ours, in order; a name that no rule fits is an error.
RENAMES = [
    (r"^vision_model\.embeddings\.class_embedding$", "model.vision_tower.embeddings.cls_token"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "model.vision_tower.embeddings.patch_embeddings.projection."),
    (r"^vision_model\.embeddings\.position_embedding$", "model.vision_tower.embeddings.position_embeddings"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.attn\.proj\.", r"model.vision_tower.encoder.layer.\1.attention.projection_layer."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.attn\.", r"model.vision_tower.encoder.layer.\1.attention."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.ls([12])$", r"model.vision_tower.encoder.layer.\1.lambda_\2"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.norm1\.", r"model.vision_tower.encoder.layer.\1.layernorm_before."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.norm2\.", r"model.vision_tower.encoder.layer.\1.layernorm_after."),
    (r"^vision_model\.encoder\.layers\.(\d+)\.mlp\.", r"model.vision_tower.encoder.layer.\1.mlp."),
    (r"^mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "model.multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "model.multi_modal_projector.linear_2."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^projector\.([01])\.", r"model.contrastive.projector.\1."),
    (r"^soft_prompt\.weight$", "model.contrastive.soft_prompt.weight"),
]  # fmt: skip


def convert_release(source: str | Path, target: str | Path) -> Path:
    """Convert a checkpoint in the authors' layout to an EMIT checkpoint that `load_model` takes.

    Raises:
        UserError: another layout, a weight without a place, or one that is missing.
    """
    found = find_checkpoint(source)
    if found.kind != "release":
        raise UserError(f"{source} is no checkpoint in InternVL's original layout (it is: {found.kind}).")
    source, target = Path(found.path), Path(target)
    with readable_errors(source):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    if COMPARISON not in tokenizer.get_vocab():
        tokenizer.add_tokens([COMPARISON], special_tokens=True)
    original = read_json(source / "config.json")
    config = convert_config(original, tokenizer)
    weights: dict[str, Tensor] = {}
    for name, value in _weights(source):
        weights.update(convert_weight(name, value))
    with torch.device("meta"):
        model = EmitForConditionalGeneration(config)
    _check(source, model, weights)
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    size = original.get("force_image_size") or original["vision_config"]["image_size"]
    images = GotOcr2ImageProcessorPil(
        size={"height": size, "width": size},
        image_mean=MEAN,
        image_std=STD,
        min_patches=original.get("min_dynamic_patch", 1),
        max_patches=original.get("max_dynamic_patch", 12),
    )
    model.save_pretrained(target)
    EmitProcessor(images, tokenizer).match(config).save_pretrained(target)
    return target


def convert_config(original: dict[str, Any], tokenizer: Any) -> EmitConfig:
    """The release's config.json as an `EmitConfig`."""
    vision, text = dict(original["vision_config"]), dict(original["llm_config"])
    kind = text.pop("model_type", "")
    if kind not in {"qwen2", "qwen3"}:
        raise UserError(
            f"Its language model is {kind or 'unknown'}: only Qwen2 and Qwen3 (InternVL3, 3.5) are converted."
        )
    if original.get("ps_version", "v2") != "v2":
        raise UserError("Its pixel shuffle is of version 1, which InternVL3 does not use: only version 2 is converted.")
    for key in ("architectures", "auto_map", "_name_or_path", "transformers_version", "torch_dtype"):
        text.pop(key, None)
    size, patch = original.get("force_image_size") or vision["image_size"], vision["patch_size"]
    ratio = original.get("downsample_ratio", 0.5)
    return EmitConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=vision["hidden_size"],
            num_hidden_layers=vision["num_hidden_layers"],
            num_attention_heads=vision["num_attention_heads"],
            intermediate_size=vision["intermediate_size"],
            image_size=size,
            patch_size=patch,
            attention_bias=vision.get("qkv_bias", True),
            use_qk_norm=vision.get("qk_normalization", False),
            norm_type=vision.get("norm_type", "layer_norm"),
            layer_norm_eps=vision.get("layer_norm_eps", 1e-6),
            hidden_act=vision.get("hidden_act", "gelu"),
        ),
        text_config=CONFIG_MAPPING[kind](**text),
        tie_word_embeddings=bool(original.get("tie_word_embeddings") or text.get("tie_word_embeddings")),
        downsample_ratio=ratio,
        image_seq_length=int((size // patch * ratio) ** 2),
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        comparison_token_id=tokenizer.convert_tokens_to_ids(COMPARISON),
    )


def convert_weight(name: str, value: Tensor) -> dict[str, Tensor]:
    """One weight of theirs as one or three of ours (`qkv` is split)."""
    for pattern, place in RENAMES:
        renamed, hits = re.subn(pattern, place, name)
        if hits:
            if ".attention.qkv." not in renamed:
                return {renamed: value}
            parts = value.chunk(3)
            return {
                renamed.replace("qkv", f"{side}_proj"): part.clone() for side, part in zip("qkv", parts, strict=True)
            }
    raise UserError(f"The weight {name} has no place in EMIT: this is a checkpoint of another model.")


def _weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise UserError(f"{folder} holds no weights (*.safetensors or pytorch_model*.bin): fetch them.")
    with readable_errors(folder):
        for file in files:
            if file.suffix == ".bin":
                yield from torch.load(file, map_location="cpu", weights_only=True).items()
            else:
                from safetensors import safe_open

                with safe_open(file, "pt") as opened:
                    for name in opened.keys():  # noqa: SIM118 (a safetensors file is no dict)
                        yield name, opened.get_tensor(name)


def _check(source: Path, model: EmitForConditionalGeneration, weights: dict[str, Tensor]) -> None:
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    missing = sorted(set(shapes) - set(weights) - tied)
    if missing:
        raise UserError(f"{source} lacks {len(missing)} weights ({missing[0]}, ...): the files are incomplete.")
    for name, value in weights.items():
        if name not in shapes:
            raise UserError(f"The weight {name} has no place in EMIT: this is a checkpoint of another model.")
        if tuple(value.shape) != shapes[name]:
            raise UserError(
                f"{name} has shape {tuple(value.shape)}, {shapes[name]} is needed: config and weights differ."
            )
