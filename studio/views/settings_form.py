"""The settings of a run as a form: a table of fields, and the YAML as the single truth between them.

The YAML says what differs from the preset. A field of the form changes the YAML, the YAML (which a person may edit)
changes the fields, and what is started is what the YAML says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from core.errors import UserError
from core.runs import RunFolder
from core.training import RunConfig, preset
from core.training.config import differing

Kind = Literal["text", "integer", "number", "switch", "choice"]


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the form; `path` is the setting's place in `RunConfig`, and the key of its texts."""

    path: str
    kind: Kind
    section: str
    choices: tuple[str, ...] = ()


FIELDS = (
    Field("name", "text", "top"),
    Field("base", "text", "basics"),
    Field("device", "choice", "basics", ("auto", "cpu", "cuda", "mps")),
    Field("quantize", "choice", "basics", ("none", "4bit")),
    Field("seed", "integer", "basics"),
    Field("grounding.enabled", "switch", "grounding"),
    Field("grounding.max_steps", "integer", "grounding"),
    Field("grounding.batch_size", "integer", "grounding"),
    Field("grounding.learning_rate", "number", "grounding"),
    Field("sft.enabled", "switch", "sft"),
    Field("sft.tasks", "choice", "sft", ("comparison", "all")),
    Field("sft.epochs", "number", "sft"),
    Field("sft.max_steps", "integer", "sft"),
    Field("sft.batch_size", "integer", "sft"),
    Field("sft.learning_rate", "number", "sft"),
    Field("grpo.enabled", "switch", "grpo"),
    Field("grpo.epochs", "number", "grpo"),
    Field("grpo.max_steps", "integer", "grpo"),
    Field("grpo.groups", "integer", "grpo"),
    Field("grpo.group_size", "integer", "grpo"),
    Field("grpo.sampling", "choice", "grpo", ("uniform", "prioritised")),
    Field("grpo.difficulty", "choice", "grpo", ("group", "running")),
    Field("grpo.max_new_tokens", "integer", "grpo"),
    Field("grpo.temperature", "number", "grpo"),
    Field("grpo.learning_rate", "number", "grpo"),
    Field("grpo.beta", "number", "grpo"),
    Field("evaluate.every", "integer", "evaluate"),
    Field("evaluate.final", "choice", "evaluate", ("test", "val", "train", "none")),
    Field("evaluate.final_questions", "integer", "evaluate"),
)
# What the paper's ablations switch off, one at a time: name -> (setting, on, off).
SWITCHES: dict[str, tuple[str, Any, Any]] = {
    "heatmap": ("prompt.heatmap", True, False),
    "contrast": ("prompt.contrast", True, False),
    "soft_prompt": ("prompt.soft_prompt", True, False),
    "knowledge": ("prompt.knowledge", True, False),
    "text_samples": ("prompt.text_samples", True, False),
    "thinking": ("prompt.thinking", True, False),
    "resampling": ("grpo.resampling", None, 0),  # on: what the preset says, or the paper's 3 rounds
    "reweighting": ("grpo.reweighting", True, False),
}
ROUNDS = 3


def get(config: RunConfig, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def form_values(config: RunConfig) -> list[Any]:
    """What the form shows, in the order of `FIELDS`."""
    return [_shown(field, get(config, field.path)) for field in FIELDS]


def switched_on(config: RunConfig) -> list[str]:
    """The names of the ablation switches that are on."""
    return [name for name, (path, _, off) in SWITCHES.items() if get(config, path) != off]


def with_form(config: RunConfig, values: Sequence[Any], switches: Sequence[str]) -> RunConfig:
    """`config` with the form's values laid over it.

    Raises:
        UserError: a value is impossible; the sentence names the setting.
    """
    changes: dict[str, Any] = {}
    for field, value in zip(FIELDS, values, strict=True):
        if value is None and field.kind != "choice":
            raise UserError(f"{field.path} is empty: enter a value.")
        _put(changes, field.path, _meant(field, value))
    for name, (path, on, off) in SWITCHES.items():
        if name not in switches:
            _put(changes, path, off)
        elif on is not None:
            _put(changes, path, on)
        elif get(config, path) == off:
            _put(changes, path, get(preset(config.preset), path) or ROUNDS)
    return config.with_(**changes)


def parse(text: str) -> RunConfig:
    """The config a YAML text means.

    Raises:
        UserError: not YAML, or an unknown or impossible setting; the sentence says which.
    """
    try:
        value = yaml.safe_load(text or "")
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise UserError(f"The settings are not YAML{line}: check colons and indentation.") from error
    return RunConfig.from_dict(value or {}, source="The settings")


def config_of(run: RunFolder) -> RunConfig:
    """The settings of a run, without its snapshot: a clone takes new data.

    Raises:
        UserError: its config cannot be read.
    """
    return RunConfig.from_dict({**run.config(), "snapshot": ""})


def to_yaml(config: RunConfig) -> str:
    """The preset's name and whatever differs from it."""
    changed = differing(config.to_dict(), preset(config.preset).to_dict())
    head = {"name": config.name, "preset": config.preset}
    rest = {key: value for key, value in changed.items() if key not in head}
    return yaml.safe_dump({**head, **rest}, sort_keys=False, allow_unicode=True)


def _shown(field: Field, value: Any) -> Any:
    return (value or "none") if field.kind == "choice" else value


def _meant(field: Field, value: Any) -> Any:
    if field.kind == "integer" and float(value) == int(value):
        return int(value)
    if value == "none" and field.kind == "choice":
        return None if field.path == "quantize" else ""
    return value.strip() if field.kind == "text" else value


def _put(changes: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        changes = changes.setdefault(section, {})
    changes[name] = value
