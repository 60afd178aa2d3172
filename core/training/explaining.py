"""What a failure means and what to do about it; and what a run was made with."""

from __future__ import annotations

import errno
import importlib.metadata
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.errors import UserError, explain_os_error, out_of_memory
from core.training.config import RunConfig

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "numpy")
_NO_SPACE = re.compile(r"no space left|disk quota|file write failed|PytorchStreamWriter failed", re.IGNORECASE)


def explain_failure(error: BaseException, config: RunConfig, stage: str) -> str:
    """One sentence for a person."""
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    if out_of_memory(error):
        return f"Out of memory in the stage {stage}: {advice(config, stage)}, then resume."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return str(explain_os_error(error))
    if _NO_SPACE.search(text):
        return "The disk is full: free some space and resume; the last checkpoint is complete."
    if isinstance(error, OSError) and error.errno:
        return str(explain_os_error(error))
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    short = " ".join(text.split())[:300]
    return f"Unexpected {type(error).__name__} in the stage {stage} ({short}): log.txt has the details."


def advice(config: RunConfig, stage: str) -> str:
    """The two settings most likely to help."""
    sft, grpo = config.sft, config.grpo
    if stage == "grounding":
        options = [
            (config.grounding.batch_size > 1, f"lower grounding.batch_size (now {config.grounding.batch_size})"),
            (True, "set grounding.enabled: false"),
            (True, "choose a smaller base"),
        ]
    elif stage == "sft":
        options = [
            (sft.micro_batch > 1, f"lower sft.micro_batch (now {sft.micro_batch})"),
            (not sft.gradient_checkpointing, "set sft.gradient_checkpointing: true"),
            (config.prompt.shots > 1, f"lower prompt.shots (now {config.prompt.shots})"),
            (True, "choose a smaller base"),
            (True, "use a device with more memory"),
        ]
    elif stage == "grpo":
        options = [
            (grpo.micro_batch > 1, f"lower grpo.micro_batch (now {grpo.micro_batch})"),
            (grpo.max_new_tokens > 64, f"lower grpo.max_new_tokens (now {grpo.max_new_tokens})"),
            (not grpo.checkpoint_vision, "set grpo.checkpoint_vision: true"),
            (not grpo.gradient_checkpointing, "set grpo.gradient_checkpointing: true"),
            (config.lora is None, "switch lora on"),
            (config.quantize is None and config.lora is not None, "set quantize: 4bit"),
            (True, f"lower grpo.group_size (now {grpo.group_size})"),
            (True, "choose a smaller base"),
        ]
    else:
        options = [
            (config.evaluate.batch_size > 1, f"lower evaluate.batch_size (now {config.evaluate.batch_size})"),
            (config.prompt.shots > 1, f"lower prompt.shots (now {config.prompt.shots})"),
            (True, "choose a smaller base"),
            (True, "use a device with more memory"),
        ]
    first, second = [text for possible, text in options if possible][:2]
    return f"{first} or {second}"


def environment(project: Path, digest: str) -> dict[str, Any]:
    """Package versions, git revision, machine and snapshot digest: what is needed to run it again."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "snapshot": digest, "packages": versions, "python": platform.python_version(), "machine": platform.platform(),
        "git": _revision(project), "command": sys.argv, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip


def _revision(project: Path) -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(project), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
