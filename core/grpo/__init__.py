"""Difficulty-aware GRPO: rewards, response resampling, advantage reweighting, and passes that share a group's prompt."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.grpo.rewards import accuracy_reward, cosine_length_reward, format_reward, repetition_reward

if TYPE_CHECKING:
    from core.grpo.difficulty import difficulty_weight as difficulty_weight
    from core.grpo.trainer import DifficultyAwareGRPOTrainer as DifficultyAwareGRPOTrainer

__all__ = [
    "DifficultyAwareGRPOTrainer", "accuracy_reward", "cosine_length_reward", "difficulty_weight", "format_reward",
    "repetition_reward",
]  # fmt: skip

_LAZY = {"difficulty_weight": "core.grpo.difficulty", "DifficultyAwareGRPOTrainer": "core.grpo.trainer"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
