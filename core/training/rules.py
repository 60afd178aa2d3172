"""What settings of a run cannot be, each with the sentence that says so. No torch."""

from __future__ import annotations

from core.errors import UserError
from core.training.config import PARTS, RunConfig


def check(config: RunConfig) -> None:
    """Do nothing for settings that can work together.

    Raises:
        UserError: some cannot; the sentence names them.
    """
    ground, sft, grpo, lora, evaluate, save = (
        config.grounding,
        config.sft,
        config.grpo,
        config.lora,
        config.evaluate,
        config.save,
    )
    rules = [
        (sft.enabled or grpo.enabled, "sft and grpo are both switched off: switch one on."),
        (ground.batch_size >= 1 and ground.max_steps >= 1, "grounding.batch_size and grounding.max_steps must be at least 1."),
        (ground.learning_rate > 0, "grounding.learning_rate must be above 0."),
        (0 <= ground.warmup < 1, "grounding.warmup is a share of the steps, between 0 and 1."),
        (min(ground.wording, ground.comparing, ground.keeping) >= 0,
         "grounding.wording, grounding.comparing and grounding.keeping must not be negative."),
        (set(ground.train) <= {"mlp", "vision"}, "grounding.train takes mlp and vision, or nothing."),
        (not ground.enabled or (lora is not None and "vision" in lora.on),
         "grounding needs lora.on with vision: the tower learns through adapters."),
        (not ground.enabled or all("mlp" in later.train for later in (sft, grpo) if later.enabled and "mlp" in ground.train)
         and (not sft.enabled or sft.adapters),
         "grounding needs sft.adapters: true, and mlp in sft.train and grpo.train: later stages go on with what it trained."),
        (not (ground.enabled and ground.comparing) or all("projector" in later.train for later in (sft, grpo) if later.enabled),
         "grounding.comparing needs projector in sft.train and grpo.train: later stages go on with what it learned."),
        (not ground.enabled or ground.batch_size % config.processes == 0,
         "grounding.batch_size must be a multiple of processes."),
        (not (sft.enabled and grpo.enabled and sft.adapters)
         or _full(sft.train) <= _full(grpo.train),
         "grpo.train must name what sft.train trains in full beside the adapters: GRPO goes on with it."),
        (grpo.group_size >= 2, "grpo.group_size must be at least 2: advantages compare the answers of a group."),
        (grpo.groups >= 1 and grpo.micro_batch >= 1, "grpo.groups and grpo.micro_batch must be at least 1."),
        (grpo.micro_batch % grpo.group_size == 0 or grpo.group_size % grpo.micro_batch == 0,
         "grpo.micro_batch must hold whole groups of grpo.group_size, or divide one evenly."),
        (grpo.groups * grpo.group_size % grpo.micro_batch == 0,
         "grpo.groups x grpo.group_size must be a multiple of grpo.micro_batch."),
        (sft.batch_size >= 1 and sft.micro_batch >= 1, "sft.batch_size and sft.micro_batch must be at least 1."),
        (sft.batch_size % min(sft.micro_batch, sft.batch_size) == 0,
         "sft.batch_size must be a multiple of sft.micro_batch."),
        (grpo.max_new_tokens >= 1, "grpo.max_new_tokens must be at least 1."),
        (grpo.temperature > 0, "grpo.temperature must be above 0."),
        (grpo.beta >= 0, "grpo.beta must not be negative."),
        (len(grpo.rewards) == 4, "grpo.rewards takes four weights: accuracy, length, format, repetition."),
        (0 <= grpo.resampling <= 100, "grpo.resampling must lie between 0 and 100 rounds."),
        (sft.learning_rate > 0 and grpo.learning_rate > 0, "learning_rate must be above 0."),
        (min(sft.tower_rate, grpo.tower_rate) > 0, "tower_rate must be above 0: it is a share of the learning rate."),
        (0 <= sft.warmup < 1 and 0 <= grpo.warmup < 1, "warmup is a share of the steps, between 0 and 1."),
        (sft.epochs > 0 and grpo.epochs > 0, "epochs must be above 0."),
        (min(sft.max_steps, grpo.max_steps, sft.samples, grpo.samples) >= 0,
         "max_steps and samples must not be negative."),
        (set(sft.train) <= set(PARTS) and set(grpo.train) <= set(PARTS), f"train takes {', '.join(PARTS)}."),
        (not sft.enabled or bool(sft.train) or sft.adapters, "sft.train is empty: name a part that learns."),
        (not sft.adapters or lora is not None, "sft.adapters needs lora: say which adapters learn."),
        (not sft.adapters or not set(lora.on if lora else ()) & set(sft.train),
         "a part cannot learn in full (sft.train) and by lora.on."),
        (not evaluate.thinking or evaluate.answering == "generate",
         'evaluate.thinking needs evaluate.answering "generate": letters are compared before anything is said.'),
        (not grpo.enabled or bool(grpo.train) or lora is not None, "grpo.train is empty and lora is off: nothing learns."),
        (lora is None or lora.rank >= 1, "lora.rank must be at least 1."),
        (lora is None or lora.vision_rank >= 0, "lora.vision_rank must not be negative."),
        (lora is None or (bool(lora.on) and set(lora.on) <= {"llm", "vision"}), "lora.on takes llm and vision."),
        (lora is None or not set(lora.on) & set(grpo.train), "a part cannot learn in full (grpo.train) and by lora.on."),
        (config.quantize is None or lora is not None, "quantize needs lora: four-bit weights cannot learn."),
        (config.processes >= 1, "processes must be at least 1."),
        (grpo.groups % config.processes == 0
         and grpo.groups // config.processes * grpo.group_size % grpo.micro_batch == 0,
         "grpo.groups must be a multiple of processes, and each process's responses of grpo.micro_batch."),
        (config.processes == 1 or sft.batch_size % config.processes == 0,
         "sft.batch_size must be a multiple of processes."),
        (config.prompt.shots >= 0, "prompt.shots must not be negative."),
        (evaluate.final in ("", "train", "val", "test"), "evaluate.final is a split: train, val, test, or empty."),
        (evaluate.batch_size >= 1, "evaluate.batch_size must be at least 1."),
        (save.every >= 1 and save.keep >= 1, "save.every and save.keep must be at least 1."),
        (save.disk_gb > 0, "save.disk_gb must be above 0."),
    ]  # fmt: skip
    for good, sentence in rules:
        if not good:
            raise UserError(f"Run config: {sentence}")


def check_world(config: RunConfig, world: int) -> None:
    """Do nothing where `world` processes can carry the run out.

    Raises:
        UserError: with the sentence that says which number is needed.
    """
    wanted = config.processes
    if world > 1 and world % wanted:
        raise UserError(f"The config wants {wanted} processes a machine, {world} were started: make them agree.")
    if config.grpo.groups % world:
        raise UserError(f"grpo.groups must be a multiple of the {world} processes: no group may lie on two of them.")
    if wanted > 1 and world == 1:
        raise UserError(
            f"The config wants {wanted} processes: start it with torchrun --nproc_per_node {wanted} -m core.training."
        )


def _full(parts: tuple[str, ...]) -> set[str]:
    """The modules that are learned in full for these parts; projector and soft prompt share one."""
    return {"comparison" if part in ("projector", "soft_prompt") else part for part in parts}
