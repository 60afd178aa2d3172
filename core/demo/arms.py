"""The arms of the experiment: what is compared with what, each as a small change of the preset.

`emit` is the preset itself. Every other arm says in one sentence what it leaves out, and is refused where the preset leaves
it out already, because such a row would only repeat `emit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.training import RunConfig

BASE = "base"


@dataclass(frozen=True)
class Arm:
    """One row of the table: a sentence, and what differs from `emit`.

    Attributes:
        changes: settings.
        texts: samples that are described in words are added to the training part.
    """

    about: str
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: bool = False


ARMS: dict[str, Arm] = {
    BASE: Arm("The base model as it is shipped, without any training."),
    "sft": Arm("SFT alone; for the tiny base, with the grounding before it.", {"grpo": {"enabled": False}}),
    "grpo": Arm(
        "SFT, then plain GRPO: no resampling and no reweighting.", {"grpo": {"resampling": 0, "reweighting": False}}
    ),
    "emit": Arm("SFT, then difficulty-aware GRPO: the preset as it is."),
    "no_resampling": Arm("EMIT without answering all-wrong groups again.", {"grpo": {"resampling": 0}}),
    "no_reweighting": Arm("EMIT without weighting advantages by difficulty.", {"grpo": {"reweighting": False}}),
    "running": Arm(
        "EMIT, its weights from all groups of the same kind of question so far.", {"grpo": {"difficulty": "running"}}
    ),
    "prioritised": Arm(
        "EMIT on questions that the model is unsure of when GRPO begins.", {"grpo": {"sampling": "prioritised"}}
    ),
    "no_heatmap": Arm("EMIT without the tokens of the anomaly map; the soft prompt stays.", {"prompt": {"contrast": False}}),
    "no_soft_prompt": Arm(
        "EMIT without the learned soft prompt; the anomaly map stays.", {"prompt": {"soft_prompt": False}}
    ),
    "no_comparison": Arm("EMIT without anomaly map and soft prompt.", {"prompt": {"heatmap": False}}),
    "no_text_samples": Arm("EMIT without samples that are described in words.", {"prompt": {"text_samples": False}}),
    "with_text_samples": Arm(
        "EMIT with samples besides that are described in words: each defect of each training product at three places.", texts=True
    ),
    "no_knowledge": Arm("EMIT without the product's descriptions in the prompt.", {"prompt": {"knowledge": False}}),
    "with_knowledge": Arm("EMIT with the product's descriptions in the prompt.", {"prompt": {"knowledge": True}}),
    "grpo_only": Arm(
        "Difficulty-aware GRPO from the base, without grounding and SFT.",
        {"grounding": {"enabled": False}, "sft": {"enabled": False}},
    ),
}  # fmt: skip


def arm_config(name: str, preset: RunConfig) -> RunConfig:
    """The settings of an arm.

    Args:
        preset: of `emit`.

    Raises:
        UserError: no arm has that name, or it changes nothing in this preset.
    """
    if name not in ARMS:
        raise UserError(f"There is no arm {name!r}: use some of {', '.join(ARMS)}.")
    changes = ARMS[name].changes
    config = preset.with_(**changes)
    if changes and config == preset:
        said = ", ".join(f"{section}.{key}" for section, values in changes.items() for key in values)
        raise UserError(f"The arm {name} only sets {said}, which preset {preset.preset} has already: leave it out.")
    return config


def first_stage(name: str, preset: RunConfig) -> RunConfig | None:
    """The arm's SFT stage (with the grounding before it, if any) as a run of its own, equal for all arms that share it; None
    for an arm without one.

    GRPO seeds itself anew and reads nothing of the first stage but what it learned, so a GRPO stage that begins at the
    finished run is the same as one that follows in the same run.
    """
    if name == BASE or not arm_config(name, preset).sft.enabled:
        return None
    without = {section: values for section, values in ARMS[name].changes.items() if section != "grpo"}
    return preset.with_(**without).with_(grpo={"enabled": False})
