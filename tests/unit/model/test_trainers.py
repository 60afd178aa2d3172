"""Stock TRL trainers use the model as it is, and every one of their passes sees the comparison."""

from __future__ import annotations

import traceback
from collections import Counter

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from core.model import load_model
from core.model.modeling import EmitModel
from tests.unit.model.conftest import picture, question

# function of TRL's trainer on the stack -> the pass it stands for
PASSES = {
    "_generate_single_turn": "generation",
    "_generate_and_score_completions": "scoring",
    "compute_loss": "loss",
}


@pytest.fixture
def comparisons(monkeypatch):
    """How many comparisons each kind of pass made: Counter of (pass, number of pairs)."""
    seen: Counter = Counter()
    encode = EmitModel._encode

    def counted(self, pixels, pairs):
        names = [frame.name for frame in traceback.extract_stack()]
        kind = next((kind for name, kind in PASSES.items() if name in names), "other")
        seen[kind] += len(pairs)
        return encode(self, pixels, pairs)

    monkeypatch.setattr(EmitModel, "_encode", counted)
    return seen


def rows(count, **columns):
    return Dataset.from_list(
        [{"prompt": question(), "images": [picture(1), picture(2 + index)], **columns} for index in range(count)]
    )


def reward(completions, completion_ids, **_columns):
    return [float(ids[0] % 3) for ids in completion_ids]


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_grpo_sees_the_comparison_in_generation_scoring_and_loss(folder, tmp_path, comparisons, lora):
    model, processor = load_model(folder)
    settings = LoraConfig(
        r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["multi_modal_projector", "contrastive"]
    )
    trainer = GRPOTrainer(
        model=model,
        processing_class=processor,
        reward_funcs=reward,
        train_dataset=rows(2, solution="A"),
        peft_config=settings if lora else None,
        args=GRPOConfig(
            str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=4, num_generations=4, max_steps=1,
            max_completion_length=4, beta=0.01, learning_rate=1e-2, report_to=[], save_strategy="no", disable_tqdm=True,
        ),
    )  # fmt: skip
    own = {name: value.detach().clone() for name, value in trainer.model.named_parameters() if "contrastive" in name}
    trainer.train()
    assert comparisons == {"generation": 4, "scoring": 4, "loss": 4}
    trained = dict(trainer.model.named_parameters())
    moved = {name for name, value in own.items() if not torch.equal(value, trained[name])}
    assert any("soft_prompt" in name for name in moved) and any("projector.1" in name for name in moved)


def test_sft_trains_soft_prompt_and_projector_alone(folder, tmp_path, comparisons):
    """The first stage: everything else frozen; the tower then runs once for pictures seen in both epochs."""
    model, processor = load_model(folder)
    model.requires_grad_(False)
    for value in model.emit_parameters().values():
        value.requires_grad_(True)
    model.collect_statistics()
    passes = []
    model.model.vision_tower.register_forward_pre_hook(lambda *_: passes.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    answer = [{"role": "assistant", "content": [{"type": "text", "text": "A"}]}]
    trainer = SFTTrainer(
        model=model,
        processing_class=processor,
        train_dataset=rows(2, completion=answer),
        args=SFTConfig(
            str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=2, num_train_epochs=2, max_length=None,
            learning_rate=1e-2, report_to=[], save_strategy="no", disable_tqdm=True,
        ),
    )  # fmt: skip
    trainer.train()
    assert sum(comparisons.values()) == 4
    assert len(passes) == 2  # tiles and rotated references of the first epoch
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("model.contrastive.") for name in moved)
    assert any("running_mean" in name for name in moved)
