"""A GRPO step against stock `trl.GRPOTrainer`: same model, same questions, same number of new tokens, in one run.

4 groups of 8, two pictures and a description of 150 words, 48 new tokens, the tiny model, 2 threads. Each side runs in a process
of its own, so that the peak of its memory is its own; sides alternate and the median counts. Beside wall time stands processor
time, which others on the machine disturb less.
The last line compares ours with difficulty switched on and off, when no group needs resampling.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS, ROUNDS = int(os.environ.get("STEPS", 3)), int(os.environ.get("ROUNDS", 3))
GROUPS, SIZE, TOKENS = 4, 8, 48


def questions(folder: Path) -> list[dict]:
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    text = (
        "the surface shows a thin bright scratch that runs from the left edge to the middle and breaks the even grain of "
        "metal near one hole while all other parts keep their dull grey"
    )
    words = text.split()
    rows = []
    for i in range(GROUPS):
        images = []
        for j in range(2):
            path = folder / f"{i}-{j}.png"
            Image.fromarray(draw.integers(0, 255, (112, 112, 3), dtype=np.uint8)).save(path)
            images.append(str(path))
        text = "What is known: " + " ".join(draw.choice(words, 150)) + "\nIs there a defect?\nA. Yes.\nB. No."
        parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": text}, {"type": "comparison"}]
        rows.append({"prompt": [{"role": "user", "content": parts}], "images": images, "solution": "A"})
    return rows


def side(kind: str, model_folder: str, folder: str) -> None:
    """One side of the comparison; prints seconds per step and peak memory beyond what was there before training."""
    import torch
    from datasets import Dataset
    from PIL import Image
    from trl import GRPOConfig, GRPOTrainer

    from core.grpo.prefix import freeze_statistics
    from core.grpo.trainer import DifficultyAwareGRPOTrainer, emit_rewards
    from core.model import load_model

    torch.set_num_threads(2)
    model, processor = load_model(model_folder, device="cpu", dtype=torch.float32)
    freeze_statistics(model)
    rows = questions(Path(folder))

    def look_up(batch):
        chosen = [rows[i % GROUPS] for i in batch["row"]]
        return {
            "prompt": [row["prompt"] for row in chosen],
            "images": [[Image.open(path) for path in row["images"]] for row in chosen],
            "solution": [row["solution"] for row in chosen],
        }

    data = Dataset.from_dict({"row": list(range(GROUPS * (STEPS + 1)))}).with_transform(look_up)
    args = GRPOConfig(
        output_dir=folder, per_device_train_batch_size=GROUPS * SIZE, num_generations=SIZE,
        max_completion_length=TOKENS, beta=5e-3, loss_type="grpo", scale_rewards="group", gradient_checkpointing=False,
        bf16=False, use_cpu=True, report_to=[], remove_unused_columns=False, max_steps=STEPS + 1, save_strategy="no",
        reward_weights=[3.0, 1.0, 1.0, 1.0], logging_steps=100, disable_tqdm=True, shuffle_dataset=False,
        # Neither side may end a response early: the work is the same.
        generation_kwargs={"min_new_tokens": TOKENS},
    )  # fmt: skip
    extra = {"stock": {}, "plain": {"resampling": 0, "reweighting": False}, "emit": {"resampling": 3}}[kind]
    if kind == "emit":  # nobody needs resampling: what is left is the machinery itself
        extra["right"] = lambda completions, **_: [1.0] * len(completions)
        extra["record"] = lambda groups: None
    trainer = (GRPOTrainer if kind == "stock" else DifficultyAwareGRPOTrainer)(
        model, emit_rewards(TOKENS), args, data, processing_class=processor, **extra
    )
    times: list[float] = []
    work: list[float] = []
    original = trainer.training_step

    def timed(*inputs):
        began, busy = time.perf_counter(), time.process_time()
        loss = original(*inputs)
        times.append(time.perf_counter() - began)
        work.append(time.process_time() - busy)
        return loss

    trainer.training_step = timed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": statistics.median(times[1:]), "work": min(work[1:]),
                      "megabytes": (peak - before) / 1024}))  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        from core.model.tiny import build_tiny

        model, _ = build_tiny(Path(folder) / "model")
        print(
            f"model of {sum(p.numel() for p in model.parameters()):,} parameters, {GROUPS} groups of {SIZE}, {TOKENS} tokens"
        )
        found: dict[str, list[dict]] = {"stock": [], "plain": [], "emit": []}
        for _ in range(ROUNDS):
            for kind, results in found.items():
                command = [sys.executable, "-m", "tests.bench.bench_grpo", kind, f"{folder}/model", folder]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr[-2000:])
                results.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':28}{'s / step':>10}{'CPU s':>8}{'peak MB':>10}")
    middle = {}
    for kind, name in (
        ("stock", "stock GRPOTrainer"),
        ("plain", "ours, difficulty off"),
        ("emit", "ours, difficulty on"),
    ):
        middle[kind] = {key: statistics.median(each[key] for each in found[kind]) for key in found[kind][0]}
        least = min(each["work"] for each in found[kind])
        print(f"{name:28}{middle[kind]['seconds']:10.2f}{least:8.2f}{middle[kind]['megabytes']:10.0f}")
        middle[kind]["work"] = least
    stock, plain, emit = (middle[kind] for kind in ("stock", "plain", "emit"))
    print(f"stock / ours:              time {stock['seconds'] / emit['seconds']:.2f}x, processor time "
          f"{stock['work'] / emit['work']:.2f}x, memory {stock['megabytes'] / emit['megabytes']:.2f}x")  # fmt: skip
    print(f"difficulty on / off:       time {emit['work'] / plain['work']:.3f}x (processor time)")


if __name__ == "__main__":
    side(*sys.argv[1:]) if len(sys.argv) > 1 else main()
