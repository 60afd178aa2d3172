"""One optimizer step on given completions, in as many processes as torchrun starts; rank 0 writes what came out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import distributed

from core.grpo import DifficultyAwareGRPOTrainer
from core.model import load_model
from core.training.__main__ import leave_together
from tests.unit.grpo.conftest import dataset, pictures, rows, settings

GROUPS, SIZE = 4, 4
# Texts of every group, first and second time; right letters are A, B, A, B.
ANSWERS = [
    [["A", "B", "C", "A"], ["B", "B", "A", "D"]],
    [["A", "C", "D", "A"], ["B", "C", "A", "D"]],
    [["C", "D", "B", "what now"], ["D", "D", "B", "C"]],
    [["B", "B", "B", "A"], ["A", "A", "A", "A"]],
]


def main(base: str, folder: str, out: str) -> None:
    torch.set_num_threads(1)
    world = int(os.environ.get("WORLD_SIZE", 1))
    model, processor = load_model(base, device="cpu", dtype=torch.float32)
    micro = int(os.environ.get("ROWS", SIZE))
    args = settings(
        Path(folder), per_device_train_batch_size=micro, gradient_accumulation_steps=GROUPS * SIZE // (world * micro)
    )
    assert args.world_size == world, "torchrun did not start as many processes as it should"
    data = dataset(rows(pictures(Path(folder), 2 * GROUPS)))
    recorded: list[dict] = []
    trainer = DifficultyAwareGRPOTrainer(
        model, None, args, train_dataset=data, processing_class=processor, resampling=2, record=recorded.extend
    )
    assert trainer.accelerator.num_processes == world
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    tokenizer, end = trainer._tokenizer, trainer.eos_token_ids[0]
    known = {tuple(item["ids"]): i for i, item in enumerate(trainer._encode([_chat(row) for row in data]))}
    times = [0] * GROUPS

    def generate(prompt_ids, images, fields, num_generations, *rest):
        found = []
        for ids in prompt_ids[::num_generations]:
            group = known[tuple(ids)]
            found += ANSWERS[group][min(times[group], 1)]
            times[group] += 1
        return [[*tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in found], None

    trainer._generate_single_turn = generate
    trainer.model_wrapped = trainer.accelerator.prepare(trainer.model)
    inner, trainer.model = trainer.model, trainer.model
    loss, gradients = step(trainer, inner)
    rank = 0
    if world > 1:
        assert distributed.is_initialized() and distributed.get_world_size() == world
        rank, total = distributed.get_rank(), torch.tensor(loss)
        distributed.all_reduce(total)
        loss = total.item() / world
    if rank == 0:
        torch.save({"loss": loss, "gradients": gradients, "rows": recorded}, out)


def step(trainer, inner) -> tuple[float, dict]:
    """Through the wrapped model, synchronised at the last micro-batch."""
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    inner.train()
    loader, total = iter(trainer.get_train_dataloader()), 0.0
    for i in range(trainer.args.gradient_accumulation_steps):
        trainer.accelerator.gradient_state._set_sync_gradients(i + 1 == trainer.args.gradient_accumulation_steps)
        total += trainer.training_step(trainer.model_wrapped, next(loader), None).item()
    return total, {name: p.grad.clone() for name, p in inner.named_parameters() if p.grad is not None}


def _chat(row):
    from core.grpo.trainer import _with_pictures

    return _with_pictures(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave_together()
