"""Everything a run can be told, as plain values: a tree of frozen dataclasses that is written to and read from YAML.

A file need only hold what differs from its preset. Unknown names and impossible values are refused with one sentence
that names the setting. No torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from core.errors import UserError, explain_os_error
from core.files import write_atomic

VERSION = 1
PARTS = ("projector", "soft_prompt", "mlp", "vision", "llm")
T = TypeVar("T")


@dataclass(frozen=True)
class Prompting:
    """How training questions are put (`core.mmad.Protocol`), with the switches of the ablations.

    Attributes:
        shots, template, knowledge, heatmap: as in `Protocol`; heatmap off leaves the whole comparison out.
        contrast: the 256 embeddings of the heatmap are part of the comparison, and what it makes the query's tokens say.
        soft_prompt: the learned vectors are part of the comparison.
        text_samples: train on samples that are described in words, too.
        thinking: GRPO asks for reasoning before the answer; whether SFT does is for `sft.replies` to say.
    """

    shots: int = 1
    template: Literal["similar", "random"] = "similar"
    knowledge: bool = True
    heatmap: bool = True
    contrast: bool = True
    soft_prompt: bool = True
    text_samples: bool = True
    thinking: bool = True


@dataclass(frozen=True)
class Grounding:
    """Before the first stage, for small models: the tower is told what the training pictures show (core.training.grounding;
    not in the paper). What `train` names learns in full, the ViT otherwise through the adapters of `lora`.

    Attributes:
        train: which parts learn in full. With "vision" the ViT's matrices do, by Muon, and afterwards they are put into its
            adapters (core.training.compressing): it sees more, and an adapter is still all there is to keep.
        batch_size: pictures per optimizer step over all devices.
        wording: weight of the words in a picture's tokens, beside patches and gist.
        comparing: weight of the anomaly map, so that the tower learns to compare; what the map says by words is learned with it
            (see core.heatmap.embedder, `places`). Nothing without prompt.heatmap and prompt.contrast.
        keeping: weight of how far the tokens may move from the base's otherwise, on the training pictures, or with `strange`
            on pictures made from them that show no product: that keeps the names of other products, too.
    """

    enabled: bool = False
    train: tuple[str, ...] = ("mlp",)
    max_steps: int = 300
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    wording: float = 15.0
    comparing: float = 0.0
    keeping: float = 4.0
    strange: bool = False


@dataclass(frozen=True)
class SFT:
    """The first stage (EMIT, section 4).

    Attributes:
        train: which parts learn in full.
        adapters: the adapters of `lora` learn in this stage, too, and the second one goes on with them; the paper's do not.
        replies: what is learned: bare "letters" as in the paper, "reasons" before the letter, or "both". A base that cannot
            reason by itself needs to be shown how before GRPO can reward it.
        tasks: "comparison" asks discrimination and localization only, "all" asks everything.
        together: questions of one picture come in the same batch; a picture costs the vision tower one pass, however many
            questions it has.
        batch_size: questions per optimizer step over all devices; `micro_batch` of them at a time on each.
        samples: use at most so many questions (0: all).
        max_steps: end after so many steps (0: `epochs` decides).
        tower_rate: learning rate of ViT and MLP, as a share of `learning_rate`.
    """

    enabled: bool = True
    train: tuple[str, ...] = ("projector", "soft_prompt")
    adapters: bool = False
    replies: Literal["letters", "reasons", "both"] = "letters"
    tasks: Literal["comparison", "all"] = "comparison"
    together: bool = False
    epochs: float = 2.0
    max_steps: int = 0
    samples: int = 0
    batch_size: int = 64
    micro_batch: int = 8
    learning_rate: float = 1e-5
    tower_rate: float = 1.0
    weight_decay: float = 1e-4
    warmup: float = 0.03
    gradient_checkpointing: bool = False


@dataclass(frozen=True)
class GRPO:
    """The second stage: difficulty-aware GRPO (EMIT, section 4).

    Attributes:
        train: which parts learn in full; with `lora`, LLM and ViT learn through adapters.
        tower_rate: as in `SFT`.
        groups: questions per optimizer step over all devices; each is answered `group_size` times.
        micro_batch: responses per forward pass on one device: whole groups, or an even part of one.
        resampling: rounds of generating groups without a right answer again (0 switches it off).
        reweighting: weigh advantages by 1 + wrong / G.
        difficulty: what the weight comes from: the "group" alone as in the paper, or all groups of questions of the same product
            and type so far ("running").
        sampling: "uniform" passes over the questions as in the paper; "prioritised" draws those more often whose answer the
            model is unsure of when the stage begins (core.training.priorities), and so leaves out what it has mastered.
        shared_prefix: forward a group's prompt once instead of G times.
        rewards: weights of accuracy, length, format, repetition.
        beta: of the KL term; 0 needs no reference pass.
        checkpoint_vision: compute the ViT's activations again in the backward pass; most of the memory for little time, and
            prompts stay shared. `gradient_checkpointing` does it for all layers, and then they do not.
    """

    enabled: bool = True
    train: tuple[str, ...] = ("projector", "soft_prompt", "mlp")
    epochs: float = 2.0
    max_steps: int = 0
    samples: int = 0
    groups: int = 8
    micro_batch: int = 8
    group_size: int = 8
    max_new_tokens: int = 512
    temperature: float = 1.0
    learning_rate: float = 1e-5
    tower_rate: float = 1.0
    weight_decay: float = 0.0
    warmup: float = 0.01
    beta: float = 5e-3
    rewards: tuple[float, ...] = (3.0, 1.0, 1.0, 1.0)
    resampling: int = 3
    reweighting: bool = True
    difficulty: Literal["group", "running"] = "group"
    sampling: Literal["uniform", "prioritised"] = "uniform"
    shared_prefix: bool = True
    checkpoint_vision: bool = False
    gradient_checkpointing: bool = False


@dataclass(frozen=True)
class Lora:
    """Adapters on the LLM's and the ViT's linear layers.

    Attributes:
        vision_rank: of the ViT's; 0 takes `rank`. `alpha` belongs to `rank`: another one keeps their proportion.
    """

    rank: int = 16
    vision_rank: int = 0
    alpha: int = 32
    dropout: float = 0.0
    on: tuple[str, ...] = ("llm", "vision")


@dataclass(frozen=True)
class Evaluation:
    """Validation while training, and the evaluation after it.

    Attributes:
        every: optimizer steps between validations (0: none while training).
        questions: validation questions asked each time.
        patience: end the stage after so many validations without gain (0: never).
        keep: what a stage hands on, and so what becomes `final/`: its "best" state by these validations (of equally good
            ones the latest; GRPO's may be what SFT left it), or its "last". Without validations it is the last.
        final: the split asked after training, base against tuned ("" leaves it out).
        final_questions: at most so many (0: all).
        answering: "letters" compares the letters' likelihood, "generate" parses free text.
        thinking: the model is asked to reason before it answers; the paper's evaluation does not ask.
        batch_size: questions answered at a time.
    """

    every: int = 50
    questions: int = 64
    patience: int = 0
    keep: Literal["best", "last"] = "best"
    final: str = "test"
    final_questions: int = 0
    answering: Literal["letters", "generate"] = "letters"
    thinking: bool = False
    batch_size: int = 8


@dataclass(frozen=True)
class Saving:
    """Checkpoints: one every `every` steps, the last `keep` of them, nothing beyond `disk_gb` for the run folder.

    Attributes:
        dtype: of the weights in `final/`; "auto" leaves them as they were trained. An adapter of 16 bits takes half the room.
    """

    every: int = 25
    keep: int = 1
    disk_gb: float = 20.0
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass(frozen=True)
class RunConfig:
    """One run. `base` is a model folder or hub name, `snapshot` a file of `core.mmad.Snapshot`.

    Attributes:
        preset: the name of the preset it started from, for the reader.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "float32", "bfloat16", "auto" (bfloat16 on a GPU, else float32), or "mixed": weights in float32, while grounding
            and SFT multiply in bfloat16 where the processor has instructions for it.
        quantize: "4bit" loads the base in four bits (needs LoRA and CUDA).
        threads: CPU threads (0: as many as torch likes).
        processes: worker processes on this machine, one per GPU.
    """

    name: str = "run"
    base: str = "data/models/emit-tiny"
    snapshot: str = ""
    preset: str = "demo"
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "mixed"] = "auto"
    quantize: Literal["4bit"] | None = None
    threads: int = 0
    processes: int = 1
    prompt: Prompting = field(default_factory=Prompting)
    grounding: Grounding = field(default_factory=Grounding)
    sft: SFT = field(default_factory=SFT)
    grpo: GRPO = field(default_factory=GRPO)
    lora: Lora | None = field(default_factory=Lora)
    evaluate: Evaluation = field(default_factory=Evaluation)
    save: Saving = field(default_factory=Saving)
    version: int = VERSION

    def __post_init__(self) -> None:
        from core.training.rules import check

        check(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any], *, source: str = "The run config") -> RunConfig:
        """Read what `to_dict` wrote, or part of it: what is missing comes from its preset, if it names one.

        Raises:
            UserError: an unknown name, a wrong type or an impossible value; the sentence names it.
        """
        if not isinstance(value, dict):
            raise UserError(f"{source} must be a mapping of settings.")
        if value.get("version", VERSION) != VERSION:
            raise UserError(f"{source} is of version {value['version']}, not {VERSION}: make a new run.")
        if "version" in value and "grounding" not in value:  # written whole, before there was such a stage
            value = {**value, "grounding": {"enabled": False}}
        base = preset(value["preset"]) if value.get("preset") else cls()
        return _build(base, value, source)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as they are written to YAML."""
        return _plain(dataclasses.asdict(self))

    @property
    def comparing(self) -> float:
        """`grounding.comparing`, where the prompt holds an anomaly map."""
        return self.grounding.comparing if self.prompt.heatmap and self.prompt.contrast else 0.0

    def with_(self, **changes: Any) -> RunConfig:
        """A copy with changes; a mapping changes parts of a section: `with_(grpo={"resampling": 0}, seed=1)`."""
        return _build(self, changes, "The change")

    @classmethod
    def load(cls, path: str | Path) -> RunConfig:
        """Read a YAML file.

        Raises:
            UserError: missing, not YAML, or as in `from_dict`.
        """
        try:
            value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise explain_os_error(error, path) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not YAML ({' '.join(str(error).split())}): repair it.") from error
        return cls.from_dict(value, source=str(path))

    def save_to(self, path: str | Path) -> Path:
        return write_atomic(path, yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True))


def preset(name: str) -> RunConfig:
    """The settings of a preset.

    Raises:
        UserError: no preset has that name.
    """
    from core.training.presets import PRESETS

    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}: use one of {', '.join(PRESETS)}.")
    return _build(RunConfig(), {"preset": name, "name": name, **PRESETS[name]}, f"Preset {name}")


def preset_names() -> tuple[str, ...]:
    from core.training.presets import PRESETS

    return tuple(PRESETS)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _build(base: T, changes: dict[str, Any], where: str) -> T:
    """`base` with `changes` laid over it, section by section."""
    hints = typing.get_type_hints(type(base))
    known = [f.name for f in fields(base)]  # type: ignore[arg-type]
    values = {}
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known)}."
            raise UserError(f"{where} has the unknown setting {name!r}: {hint}")
        values[name] = _value(hints[name], getattr(base, name), value, f"{where}: {name}")
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _value(hint: Any, current: Any, value: Any, where: str) -> Any:
    optional = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    choices = [h for h in typing.get_args(hint) if h is not type(None)] if optional else [hint]
    if optional and value is None:
        return None
    (kind,) = choices
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise UserError(f"{where} must be a mapping of settings{' or null' if optional else ''}.")
        return _build(current if current is not None else kind(), value, where)  # type: ignore[operator]
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise UserError(f"{where} is {value!r}: use one of {', '.join(map(str, typing.get_args(kind)))}.")
        return value
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where} must be a list.")
        return tuple(_value(inner, None, item, where) for item in value)
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:  # YAML reads 1e-5 without a dot as text
            return float(value)
        except ValueError:
            raise UserError(f"{where} is {value!r}, a number is needed.") from None
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{where} is {value!r}, {names.get(kind, kind)} is needed.")
    return value


def differing(value: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """The entries of nested settings that are not as usual, in their order."""
    found = {}
    for name, entry in value.items():
        other = usual.get(name)
        if isinstance(entry, dict) and isinstance(other, dict):
            entry, other = differing(entry, other), {}
        if entry != other:
            found[name] = entry
    return found
