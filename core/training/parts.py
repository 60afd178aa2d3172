"""Which parts of the model learn: in full, or through LoRA adapters."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from core.errors import UserError
from core.model.adapters import inner_model
from core.synthesis.regions import REGIONS, cells_of
from core.training.config import Lora, Prompting, RunConfig
from core.training.grounding import LOUD, word_embeddings
from core.training.grounding_targets import NOTHING
from core.training.lean import fold_adapters, lean_tower

# part -> what the names of its parameters contain
NAMES = {
    "projector": ("contrastive.projector.", "contrastive.modules_to_save.default.projector."),
    "soft_prompt": ("contrastive.soft_prompt.", "contrastive.modules_to_save.default.soft_prompt."),
    "mlp": ("multi_modal_projector.",),
    "vision": ("vision_tower.",),
    "llm": ("language_model.", "lm_head."),
}
GUIDED = 0.5  # how loudly, in LOUD, the words of a place are said that is hot, and how much of "no" is taken back
VISION = r".*vision_tower\..*"
LAYERS = {
    "llm": r"language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    "vision": r"vision_tower\..*\.(q_proj|k_proj|v_proj|projection_layer|fc1|fc2)",
}


def part_of(name: str) -> str | None:
    """The part a parameter belongs to."""
    return next((part for part, marks in NAMES.items() if any(mark in name for mark in marks)), None)


def train_in_full(model: Any, parts: Iterable[str]) -> list[str]:
    """Let exactly the named parts learn; returns the names of their parameters.

    Raises:
        UserError: the model has none of them (a switched-off soft prompt, for example).
    """
    wanted = set(parts)
    learning = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in wanted)
        if parameter.requires_grad:
            learning.append(name)
    if not learning:
        raise UserError(
            f"This model has no {' or '.join(sorted(wanted))} to train: switch the part on, or name others."
        )
    return learning


def add_lora(model: Any, lora: Lora, parts: Iterable[str]) -> Any:
    """Adapters on LLM and ViT, the named parts in full; with the adapters switched off it is the model it was.

    Returns:
        A `PeftModel`.
    """
    from peft import LoraConfig, get_peft_model

    wanted = set(parts)
    full = ["multi_modal_projector"] if "mlp" in wanted else []
    if wanted & {"projector", "soft_prompt"} and model.model.contrastive is not None:
        full.append("contrastive")
    tuned = get_peft_model(
        model,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=rf".*({'|'.join(LAYERS[part] for part in lora.on)})",
            rank_pattern={VISION: lora.vision_rank} if lora.vision_rank else {},
            alpha_pattern={VISION: lora.alpha * lora.vision_rank / lora.rank} if lora.vision_rank else {},
            modules_to_save=full or None,
        ),
    )
    for name, parameter in tuned.named_parameters():
        if ".modules_to_save." in name:
            parameter.requires_grad_(part_of(name.replace(".modules_to_save.default", "")) in wanted)
    return tuned


def checkpoint_vision(model: Any) -> None:
    """Compute the ViT's activations again in the backward pass, layer by layer, instead of keeping them.

    transformers' own switch is for the whole model, and a language model under it keeps no key-value cache.
    """
    from torch import is_grad_enabled
    from torch.utils.checkpoint import checkpoint

    def again(forward: Any) -> Any:
        @functools.wraps(forward)
        def run(*args: Any, **kwargs: Any) -> Any:
            return (
                checkpoint(forward, *args, use_reentrant=False, **kwargs)
                if is_grad_enabled()
                else forward(*args, **kwargs)
            )

        return run

    base = inner_model(model)
    for layer in base.model.vision_tower.encoder.layer:
        layer.forward = again(layer.forward)


def made_ready(model: Any, processor: Any, config: RunConfig, *, learning: bool) -> None:
    """A loaded base as the run wants it: to be asked, or to learn."""
    switch_comparison(model, processor, config.prompt)
    if learning and config.dtype == "mixed":
        lean_tower(model)


def switch_comparison(model: Any, processor: Any, prompt: Prompting) -> None:
    """Take out the halves of the comparison that the run does without (ablations)."""
    contrastive = model.model.contrastive
    if contrastive is None:
        return
    if not prompt.contrast:
        model.config.heatmap, contrastive.projector = False, None
    if not prompt.soft_prompt:
        model.config.soft_tokens, contrastive.soft_tokens, contrastive.soft_prompt = 0, 0, None
    processor.match(model.config)


def learning_parts(model: Any, config: RunConfig, parts: Iterable[str], *, adapters: bool) -> Any:
    """The model with what learns in a stage: parts in full, and the config's adapters if they do."""
    if not adapters:
        train_in_full(model, parts)
        return model
    assert config.lora is not None  # the config is checked
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    tuned = add_lora(model, config.lora, parts)
    fold_adapters(tuned)
    return tuned


def grounded_parts(model: Any, processor: Any, config: RunConfig) -> Any:
    """The base with what grounding teaches: adapters on the ViT alone, since the language model is not asked anything, and the
    named parts in full; the map's projector with them if the tower learns to compare. A `PeftModel`."""
    assert config.lora is not None  # the config is checked
    compares = bool(config.comparing)
    if compares and (model.model.contrastive is None or model.model.contrastive.projector is None):
        raise UserError("This base has no anomaly map to teach: set grounding.comparing to 0.")
    if compares:
        say_places(model, processor.tokenizer)
    parts = (*config.grounding.train, *(["projector"] if compares else []))
    model = add_lora(model, replace(config.lora, on=("vision",)), parts)
    inner_model(model).collect_statistics(compares)
    return model


def say_places(model: Any, tokenizer: Any) -> None:
    """Let each place of the map, where it has a vector that learned nothing yet, begin as the words for it, less "no".

    For a stage that teaches the projector and collects the map's statistics; elsewhere it would be neither kept nor in scale.
    """
    places = None if model.model.contrastive is None else model.model.contrastive.places
    if places is None or places.any():
        return
    ninths = cells_of(math.isqrt(len(places)))
    words = torch.stack([word_embeddings(model, tokenizer, REGIONS[cell].split()).sum(0) for cell in ninths])
    with torch.no_grad():
        places.copy_(GUIDED * LOUD * (words - word_embeddings(model, tokenizer, [NOTHING])))


def size_of(model: Any) -> tuple[int, int]:
    """(parameters that learn, parameters in all)."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, learns in sizes if learns), sum(n for n, _ in sizes)
