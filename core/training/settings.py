"""What transformers' trainers are told, from the config of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from core.training.config import RunConfig


def trainer_settings(
    config: RunConfig, section: Any, place: Path, *, steps: int, rows: int, accumulation: int
) -> dict[str, Any]:
    """Arguments of `TrainingArguments`.

    Args:
        section: of the stage in the config.
        place: the stage's folder.
        rows: examples in one pass on a device; `accumulation` passes make a step.
    """
    import torch

    cuda = config.device != "cpu" and torch.cuda.is_available()
    # Without such instructions 16 bits are slower on a CPU. GRPO generates outside of autocast: it keeps to its weights.
    mixed = config.dtype == "mixed" and section is not config.grpo
    halves = (
        mixed and (cuda or torch.cpu._is_avx512_bf16_supported()) or (cuda and config.dtype in ("auto", "bfloat16"))
    )
    return {
        "output_dir": str(place), "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": accumulation, "max_steps": steps, "num_train_epochs": 1,
        "learning_rate": section.learning_rate, "weight_decay": section.weight_decay,
        "warmup_steps": math.ceil(section.warmup * steps), "logging_steps": 1, "save_strategy": "steps",
        "save_steps": config.save.every, "report_to": [], "disable_tqdm": True, "seed": config.seed,
        "use_cpu": not cuda, "bf16": halves, "remove_unused_columns": False,
        "gradient_checkpointing": getattr(section, "gradient_checkpointing", False), "logging_nan_inf_filter": False,
        "dataloader_pin_memory": cuda, "save_only_model": False,
    }  # fmt: skip


def multiplies_half() -> bool:
    """Whether this CPU has instructions for 16 bits (AVX512-BF16 or AMX), as torch's own check of it says."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def weights_of(config: RunConfig) -> Any:
    """torch's type of a run's weights; None: `load_model` decides."""
    import torch

    name = {"auto": None, "mixed": "float32"}.get(config.dtype, config.dtype)
    return None if name is None else getattr(torch, name)
