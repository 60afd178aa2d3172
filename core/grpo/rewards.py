"""The four rewards of EMIT (arXiv 2507.21619, stage 2), as small pure functions with TRL's signature. No torch.

A completion is a text or a chat (`[{"role": "assistant", "content": ...}]`). Their weights are 3 : 1 : 1 : 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from core.mmad import parse_answer

Completion = str | Sequence[dict[str, Any]]
# Rewards know letters only: an option's text is no answer.
_LETTERS = {letter: letter for letter in "ABCD"}
_BLOCKS = re.compile(r"<think>(.*?)</think>\s*<answer>(.*?)</answer>", re.DOTALL)
_TAG = re.compile(r"</?(?:think|answer)>")


def text_of(completion: Completion) -> str:
    """The text of a completion, whichever form TRL passes it in."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def accuracy_reward(completions: Sequence[Completion], solution: Sequence[str], **_: Any) -> list[float]:
    """1 for the right letter, 0 for a wrong one, -1 when the answer is no letter A-D.

    Args:
        completions: N completions.
        solution: N right letters.

    >>> accuracy_reward(["<think>x</think><answer>B</answer>", "A", "perhaps"], solution=["B", "B", "B"])
    [1.0, 0.0, -1.0]
    """
    return [_accuracy(text_of(reply), letter) for reply, letter in zip(completions, solution, strict=True)]


def _accuracy(reply: str, letter: str) -> float:
    answer = parse_answer(reply, _LETTERS)
    if answer not in _LETTERS:
        return -1.0
    return float(answer == letter.strip().upper())


def cosine_length_reward(
    completions: Sequence[Completion],
    solution: Sequence[str],
    completion_ids: Sequence[Sequence[int]] | None = None,
    *,
    max_length: int = 512,
    **_: Any,
) -> list[float]:
    """Reward brevity in right answers, forgive length in wrong ones.

    Right answers earn 1.0 falling to 0.5, wrong ones -0.5 rising to 0.0, along half a cosine over the second half of
    the limit (tokens 256..512); nothing changes below it. -1 when there is no letter.

    Args:
        completion_ids: token ids of the completions, as TRL passes them; without them words are counted.
        max_length: the limit on new tokens.
    """
    accuracies = accuracy_reward(completions, solution)
    if completion_ids is None:
        lengths = [len(text_of(reply).split()) for reply in completions]
    else:
        lengths = [len(ids) for ids in completion_ids]
    rewards = []
    for accuracy, length in zip(accuracies, lengths, strict=True):
        past = min(max((length - max_length / 2) / (max_length / 2), 0.0), 1.0)
        falling = (1 + math.cos(math.pi * past)) / 2  # 1 at half the limit, 0 at the limit
        rewards.append(-1.0 if accuracy < 0 else 0.5 + 0.5 * falling if accuracy > 0 else -0.5 * falling)
    return rewards


def format_reward(completions: Sequence[Completion], **_: Any) -> list[float]:
    """1 when the whole completion is a think block, then an answer block (white space between them), else 0.

    A block within a block, or a second one, is not the format.
    """
    rewards = []
    for reply in completions:
        found = _BLOCKS.fullmatch(text_of(reply))
        rewards.append(float(found is not None and not any(_TAG.search(part) for part in found.groups())))
    return rewards


def repetition_reward(completions: Sequence[Completion], **_: Any) -> list[float]:
    """0 down to -1: minus the share of 4-grams of lower-cased words that repeat an earlier one."""
    rewards = []
    for reply in completions:
        words = text_of(reply).lower().split()
        grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
        rewards.append(len(set(grams)) / len(grams) - 1.0 if grams else 0.0)
    return rewards
