"""Presets by name: only what differs from the defaults, which are the paper's settings.

The demo presets train the tiny model on 2 CPU cores; the others train published InternVL3 checkpoints (hub names of the
`-hf` files). `core.training.memory` estimates what each needs.
"""

from __future__ import annotations

from typing import Any

# The tiny model: without descriptions in the prompt, which its language model has never read; grounded first, since its tower
# has seen nothing of the world; taught to say its reason, because GRPO can only reward reasoning that is there. Its language
# model learns fast while its tower is nearly held, or it would unlearn to read what tokens say (docs/experiments.md, entry 68).
_TINY: dict[str, Any] = {
    "base": "data/models/emit-tiny",
    "dtype": "mixed",
    "threads": 2,
    "lora": {"rank": 16, "alpha": 32, "vision_rank": 32},
    "prompt": {"thinking": True, "knowledge": False},
    "save": {"every": 10, "disk_gb": 2.0, "dtype": "bfloat16"},
}
_BEFORE: dict[str, Any] = {
    "enabled": True,
    "batch_size": 16,
    "train": ("mlp", "vision"),
    "comparing": 1.0,
    "keeping": 8.0,
    "strange": True,
}
_FIRST: dict[str, Any] = {
    "batch_size": 24,
    "micro_batch": 24,
    "learning_rate": 3e-3,
    "tower_rate": 0.03,
    "tasks": "all",
    "train": ("projector", "soft_prompt", "mlp"),
    "adapters": True,
    "replies": "both",
    "together": True,
}
_SHORT: dict[str, Any] = {
    "groups": 4,
    "micro_batch": 32,
    "max_new_tokens": 40,
    "learning_rate": 5e-4,
    "tower_rate": 0.1,
    "train": ("projector", "soft_prompt", "mlp"),
}
_GPU: dict[str, Any] = {"dtype": "bfloat16", "device": "cuda"}

PRESETS: dict[str, dict[str, Any]] = {
    # Correct plumbing in under three minutes on two busy cores, evaluation included.
    "smoke": {
        **_TINY,
        "grounding": {**_BEFORE, "max_steps": 10, "batch_size": 8},
        "sft": {**_FIRST, "max_steps": 8, "batch_size": 8, "micro_batch": 8},
        "grpo": {**_SHORT, "max_steps": 6, "micro_batch": 16, "group_size": 4, "resampling": 1},
        "evaluate": {"every": 6, "questions": 12, "final_questions": 210},
        "save": {**_TINY["save"], "every": 5},
    },
    # At most five minutes on 2 cores that multiply 16 bits.
    "demo": {
        **_TINY,
        "grounding": {**_BEFORE, "max_steps": 620},
        "sft": {**_FIRST, "max_steps": 130},
        "grpo": {**_SHORT, "max_steps": 60},
        # So few questions show whether it goes well, not which state is best: choosing by them cost four points (entry 70).
        "evaluate": {"every": 50, "questions": 48, "keep": "last", "final_questions": 240},
    },
    # At most half an hour on 2 cores that multiply 16 bits (27 minutes).
    "full": {
        **_TINY,
        "grounding": {**_BEFORE, "max_steps": 4200},
        "sft": {**_FIRST, "max_steps": 600},
        "grpo": {**_SHORT, "max_steps": 60},
        "evaluate": {"every": 100, "questions": 250, "patience": 5, "final_questions": 600},
        "save": {**_TINY["save"], "every": 25, "disk_gb": 4.0},
    },
    # One GPU of 24 GB.
    "internvl3-1b": {
        **_GPU,
        "base": "OpenGVLab/InternVL3-1B-hf",
        "sft": {"micro_batch": 2},
        "grpo": {"micro_batch": 8, "checkpoint_vision": True},
    },
    "internvl3-2b": {
        **_GPU,
        "base": "OpenGVLab/InternVL3-2B-hf",
        "sft": {"micro_batch": 1},
        "grpo": {"micro_batch": 2, "checkpoint_vision": True},
    },
    # One GPU of 80 GB.
    "internvl3-8b": {
        **_GPU,
        "base": "OpenGVLab/InternVL3-8B-hf",
        "sft": {"micro_batch": 2},
        "grpo": {"micro_batch": 8, "checkpoint_vision": True},
        "save": {"every": 50, "disk_gb": 100.0},
    },
    # Eight GPUs of 80 GB: the paper's settings.
    "internvl3-8b-8gpu": {
        **_GPU,
        "base": "OpenGVLab/InternVL3-8B-hf",
        "processes": 8,
        "sft": {"micro_batch": 2},
        "grpo": {"micro_batch": 8, "checkpoint_vision": True},
        "save": {"every": 50, "disk_gb": 100.0},
    },
}
