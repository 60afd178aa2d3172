"""Cutting a generation batch into micro-batches whose rows of one prompt stay together, and what is told about its groups."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def micro_batches(batch: dict[str, Any], parts: int, group_size: int) -> list[dict[str, Any]]:
    """Consecutive rows; each part holds the tiles of its prompts once.

    Args:
        batch: row tensors [B, ...], scalars, `pixel_values` of the B / G distinct prompts and `tiles`, how many each has.
        parts: how many, of equal length.

    Returns:
        Parts with `num_tiles` and `num_images` for each of their prompts instead of `tiles`; rows divided by the number of
        entries is how many rows share a prompt. A group may be cut: then its prompt is in several parts.
    """
    rows = len(batch["prompt_ids"])
    length = rows // parts
    share = math.gcd(length, group_size)
    pixels, tiles = batch["pixel_values"], batch["tiles"]
    blocks = pixels.split(tiles) if pixels is not None else None
    result = []
    for start in range(0, rows, length):
        groups = [row // group_size for row in range(start, start + length, share)]
        part = {
            name: value[start : start + length] if isinstance(value, Tensor) and value.ndim else value
            for name, value in batch.items()
            if name not in ("tiles", "pixel_values")
        }
        part["num_tiles"] = part["num_images"] = [tiles[group] for group in groups]
        shown = [blocks[group] for group in groups if tiles[group]] if blocks is not None else []
        part["pixel_values"] = torch.cat(shown) if shown else None
        result.append(part)
    return result


def group_metrics(rewards: Tensor, correct: Tensor, resamplings: Tensor, weights: Tensor) -> dict[str, float]:
    """What is logged about N groups: rewards [N, G], correct bool [N, G], resamplings [N], weights of their advantages [N]."""
    spread = rewards.std(dim=1)
    return {
        "reward": rewards.mean().item(),
        "reward_std": spread.mean().item(),
        "frac_reward_zero_std": (spread < 1e-6).float().mean().item(),
        "difficulty/wrong": 1.0 - correct.float().mean().item(),
        "difficulty/hard_groups": (resamplings > 0).float().mean().item(),
        "difficulty/unsolved_groups": 1.0 - correct.any(dim=1).float().mean().item(),
        "difficulty/resamplings": resamplings.float().mean().item(),
        "difficulty/weight": weights.mean().item(),
    }


def group_rows(
    rows: list[dict[str, Any]],
    step: int,
    texts: list[str],
    named_rewards: dict[str, Tensor],
    rewards: Tensor,
    advantages: Tensor,
    correct: Tensor,
    resamplings: Tensor,
    weights: Tensor,
) -> list[dict[str, Any]]:
    """`rows` (one per group) with what happened to each group of G = len(texts) / N responses."""
    size = len(texts) // len(rows)
    for i, row in enumerate(rows):
        part = slice(i * size, (i + 1) * size)
        row.update(
            step=step,
            wrong=1.0 - correct[i].float().mean().item(),
            resamplings=int(resamplings[i]),
            reward=rewards[part].mean().item(),
            weight=weights[i].item(),
            solved=bool(correct[i].any()),
            completions=texts[part],
            rewards={name: values[part].tolist() for name, values in named_rewards.items()},
            advantages=advantages[part].tolist(),
        )
    return rows
