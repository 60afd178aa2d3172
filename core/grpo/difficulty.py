"""How hard a question is for the model now, read off its group of responses, and what follows from it (EMIT, stage 2).

Resampling: a group without a right answer tells GRPO nothing, so it is answered again, up to some rounds; the first group
that holds a right answer takes its place, all other groups stay as they are.
Reweighting: advantages of a group are weighted by 1 + (wrong responses) / G.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def difficulty_weight(correct: Tensor) -> Tensor:
    """The weight of each group's advantages: 1 + wrong / G, and 1 where no response is right.

    Args:
        correct: bool [N, G], whether each response of N groups is right.

    Returns:
        Tensor [N], float32.

    >>> difficulty_weight(torch.tensor([[True, True], [True, False], [False, False]]))
    tensor([1.0000, 1.5000, 1.0000])
    """
    correct = correct.bool()
    wrong = (~correct).float().mean(dim=1)
    return torch.where(correct.any(dim=1), 1.0 + wrong, torch.ones_like(wrong))


class RunningDifficulty:
    """Weights from how hard a kind of question has been so far, instead of from one group alone (not in the paper).

    G responses tell little of how hard their question is; those to questions of the same kind before it tell more.

    Args:
        pace: of the moving average of the share of wrong responses; the first group of a kind sets it.
    """

    def __init__(self, pace: float = 0.2) -> None:
        self.pace = pace
        self.wrong: dict[str, float] = {}

    def __call__(self, kinds: Sequence[str], correct: Tensor) -> Tensor:
        """Take in N groups, one after the other: the weight of each, 1 + its kind's average with it, float32 [N].

        Args:
            kinds: of the groups' questions.
            correct: bool [N, G].
        """
        shares = (~correct.bool()).float().mean(dim=1).tolist()
        return torch.tensor([1.0 + self.add(kind, share) for kind, share in zip(kinds, shares, strict=True)])

    def add(self, kind: str, wrong: float) -> float:
        """The kind's average with one more group."""
        before = self.wrong.get(kind, wrong)
        self.wrong[kind] = before + self.pace * (wrong - before)
        return self.wrong[kind]


def group_advantages(rewards: Tensor, group_size: int) -> Tensor:
    """(r - mean) / (std + 1e-4) within each group of `group_size` consecutive rewards [N * G], as TRL computes it."""
    grouped = rewards.view(-1, group_size)
    deviation = grouped - grouped.mean(dim=1, keepdim=True)
    return (deviation / (grouped.std(dim=1, keepdim=True) + 1e-4)).flatten()


def apply_difficulty(advantages: Tensor, correct: Tensor, weights: Tensor, *, resampling: bool) -> Tensor:
    """Advantages [N * G] after difficulty.

    Args:
        correct: bool [N, G].
        weights: of the groups, [N]: `difficulty_weight` as in the paper, `RunningDifficulty`'s, or ones.
        resampling: groups without a right answer had their chance: their advantages are 0 (their KL term stays). With
            resampling off they keep their advantages.
    """
    factor = weights.to(correct.device)
    if resampling:
        factor = factor * correct.any(dim=1)
    return advantages * factor.to(advantages).repeat_interleave(correct.shape[1])


def resample(
    correct: list[list[bool]],
    generate: Callable[[Sequence[int]], list[list[bool]]],
    *,
    rounds: int,
    busy: Callable[[int], bool] = bool,
) -> list[int]:
    """Answer groups without a right answer again, in place, and count how often each was.

    Args:
        correct: per group, whether each response is right; updated for groups that are replaced.
        generate: answers the named groups again, keeps each new group that holds a right answer, and returns for every
            named group whether its new responses are right.
        rounds: at most so many.
        busy: whether another round is needed, given how many groups need one here; with several processes all must
            agree, because generating may be a joint effort.

    Returns:
        resamplings per group.
    """
    counts = [0] * len(correct)
    for _ in range(rounds):
        hard = [group for group, right in enumerate(correct) if not any(right)]
        if not busy(len(hard)):
            break
        for group, right in zip(hard, generate(hard), strict=True):
            counts[group] += 1
            if any(right):
                correct[group] = right
    return counts
