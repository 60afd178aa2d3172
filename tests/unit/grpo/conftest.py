"""A very small EMIT, a few questions with pictures, and trainers that are given their completions."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from trl import GRPOConfig

SYSTEM = "You inspect products."


def small_model(folder: Path, *, talks: bool = False, **settings: bool) -> Path:
    """Random weights hardly ever say a letter; one that `talks` often does, so that some answers are better than others."""
    from core.model.tiny import build_tiny

    model, processor = build_tiny(
        folder, vocabulary=1200, image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2,
        width=48, layers=2, heads=4, key_value_heads=2, window=1, **settings,
    )  # fmt: skip
    if talks:
        letters = [processor.tokenizer(x, add_special_tokens=False)["input_ids"][-1] for x in "ABCD"]
        with torch.no_grad():
            model.get_input_embeddings().weight[letters] *= 40
        model.save_pretrained(folder)
    return folder


def pictures(folder: Path, count: int) -> list[str]:
    draw = np.random.default_rng(0)
    paths = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.fromarray(draw.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


def rows(paths: list[str]) -> list[dict]:
    """Questions of every kind: with comparison, with one picture, with words alone; prompts of different lengths."""

    def user(*parts):
        return [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": list(parts)},
        ]

    image = {"type": "image"}
    rows = []
    for i in range(len(paths) // 2):
        words = {"type": "text", "text": "Is there a defect? " + "Look closely. " * i + "A. Yes. B. No."}
        pair = paths[2 * i : 2 * i + 2]
        kinds = [
            (user(image, image, words, {"type": "comparison"}), pair),
            (user(image, words), pair[:1]),
            (user(image, image, words), pair),
            (user(image, words, {"type": "text", "text": "again"}), pair[1:]),
        ]
        prompt, images = kinds[i % 4]
        rows.append({"prompt": prompt, "images": images, "solution": "AB"[i % 2], "image": None, "index": i})
    return [{k: v for k, v in row.items() if k != "image"} for row in rows]


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(2)
    return small_model(tmp_path_factory.mktemp("emit"))


@pytest.fixture(scope="session")
def questions(tmp_path_factory) -> Dataset:
    return dataset(rows(pictures(tmp_path_factory.mktemp("pictures"), 8)))


def dataset(rows: list[dict]) -> Dataset:
    # A column of chats whose parts differ in their keys would be filled up with None: rows are looked up instead.
    def look_up(batch):
        return {name: [rows[i][name] for i in batch["row"]] for name in rows[0]}

    return Dataset.from_dict({"row": list(range(len(rows)))}).with_transform(look_up)


def settings(folder: Path, **changes) -> GRPOConfig:
    values = {
        "output_dir": str(folder), "per_device_train_batch_size": 16, "num_generations": 4, "max_completion_length": 8,
        "beta": 5e-3, "loss_type": "grpo", "scale_rewards": "group", "gradient_checkpointing": False, "bf16": False,
        "use_cpu": True, "report_to": [], "remove_unused_columns": False, "learning_rate": 1e-3, "max_steps": 1,
        "shuffle_dataset": False, "reward_weights": [3.0, 1.0, 1.0, 1.0], "save_strategy": "no", "logging_steps": 1,
        "disable_tqdm": True, "seed": 1,
    }  # fmt: skip
    return GRPOConfig(**{**values, **changes})


def given_completions(trainer, seed: int = 0):
    """Make `trainer` answer every prompt of a group with fixed letters and words instead of sampling."""
    end = trainer.eos_token_ids[0]
    draw = random.Random(seed)
    letters = [trainer._tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "ABCD"]

    def generate(prompt_ids, images, fields, num_generations, *rest):
        found = []
        for _ in prompt_ids:
            ids = [*draw.choice(letters), *[draw.randrange(5, 300) for _ in range(draw.choice([0, 0, 2, 5]))], end]
            found.append(ids)
        return found, None

    trainer._generate_single_turn = generate
    return trainer


def one_step(trainer) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and all gradients of one optimizer step's worth of micro-batches; no update is made."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    loader = iter(trainer.get_train_dataloader())
    total = 0.0
    for _ in range(trainer.args.gradient_accumulation_steps):
        total += trainer.training_step(trainer.model, next(loader), None).item()
    return total, {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
