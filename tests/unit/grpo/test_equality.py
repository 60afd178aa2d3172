"""With difficulty off, one step is stock `trl.GRPOTrainer`'s: same loss, same gradients, on the same completions."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from trl import GRPOTrainer

from core.grpo import DifficultyAwareGRPOTrainer
from core.grpo.prefix import freeze_statistics
from core.grpo.trainer import emit_rewards
from core.model import load_model
from tests.unit.grpo.conftest import given_completions, one_step, settings


def trainers(base, questions, tmp_path, *, lora: bool = False, ours=None, **changes):
    made = []
    for kind, extra in ((GRPOTrainer, {}), (DifficultyAwareGRPOTrainer, {"resampling": 0, "reweighting": False})):
        model, processor = load_model(base, device="cpu", dtype=torch.float32)
        if lora:
            torch.manual_seed(3)
            config = LoraConfig(
                r=4, target_modules=r".*(language_model|vision_tower).*(q_proj|v_proj|fc1)", init_lora_weights=False,
                modules_to_save=["multi_modal_projector", "contrastive"],
            )  # fmt: skip
            model = get_peft_model(model, config)
        freeze_statistics(model)
        args = settings(tmp_path, **changes)
        extra = {**extra, **(ours or {})} if kind is DifficultyAwareGRPOTrainer else extra
        trainer = kind(model, emit_rewards(8), args, train_dataset=questions, processing_class=processor, **extra)
        # A policy that has moved away from the reference: the KL term is not 0.
        torch.manual_seed(7)
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.02 * torch.randn_like(parameter))
        made.append(given_completions(trainer))
    return made


def compare(stock, ours) -> None:
    loss, gradients = one_step(stock)
    our_loss, our_gradients = one_step(ours)
    assert our_loss == pytest.approx(loss, abs=1e-4)
    assert our_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, atol=1e-4, rtol=1e-4, msg=name)
    # The step must have something to compare: pictures, comparison and KL term all reach the gradients.
    moved = {name for name, gradient in gradients.items() if gradient.abs().max() > 1e-5}
    for part in ("language_model", "vision_tower", "multi_modal_projector", "contrastive"):
        assert any(part in name for name in moved), part
    assert stock._metrics["train"]["kl"][0] > 1e-4
    if len(stock._metrics["train"]["kl"]) == 1:  # stock shuffles rows between micro-batches
        assert ours._metrics["train"]["kl"][0] == pytest.approx(stock._metrics["train"]["kl"][0], abs=1e-4)
    assert ours._metrics["train"]["reward"] == pytest.approx(stock._metrics["train"]["reward"])


@pytest.mark.parametrize("shared", [True, False], ids=["shared prefix", "no shared prefix"])
@pytest.mark.parametrize(
    "batch", [{}, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
              {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}],
    ids=["one batch", "a group at a time", "half a group at a time"],
)  # fmt: skip
def test_full_training(base, questions, tmp_path, shared, batch):
    stock, ours = trainers(base, questions, tmp_path, ours={"shared_prefix": shared}, **batch)
    assert (ours.unshared_because is None) == shared
    assert stock.ref_model is not None and ours.ref_model is None  # ours keeps a copy of what learns, no second model
    compare(stock, ours)


def test_lora_with_parts_in_full(base, questions, tmp_path):
    stock, ours = trainers(base, questions, tmp_path, lora=True)
    assert stock.ref_model is None
    compare(stock, ours)


def test_without_kl_and_scaled_by_batch(base, questions, tmp_path):
    stock, ours = trainers(base, questions, tmp_path, scale_rewards="batch", beta=0.02)
    compare(stock, ours)


def test_the_comparison_can_fail(base, questions, tmp_path):
    stock, ours = trainers(base, questions, tmp_path, ours={"reweighting": True})
    with pytest.raises(AssertionError):
        compare(stock, ours)


def test_gradient_checkpointing_falls_back_and_says_so(base, questions, tmp_path, caplog):
    stock, ours = trainers(base, questions, tmp_path, gradient_checkpointing=True)
    assert "checkpointing" in ours.unshared_because and "checkpointing" in caplog.text
    compare(stock, ours)
