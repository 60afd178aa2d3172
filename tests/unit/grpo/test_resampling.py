"""Resampling and reweighting in the trainer: who is generated again, what is kept, and what reaches the loss."""

from __future__ import annotations

import pytest
import torch

from core.errors import UserError
from core.grpo import DifficultyAwareGRPOTrainer
from core.model import load_model
from tests.unit.grpo.conftest import dataset, settings

SIZE = 4


def make(base, questions, tmp_path, answers, **extra):
    """A trainer whose k-th generation gives `answers[k]`: texts of the groups that are asked."""
    model, processor = load_model(base, device="cpu", dtype=torch.float32)
    recorded = []
    trainer = DifficultyAwareGRPOTrainer(
        model, None, settings(tmp_path), train_dataset=questions, processing_class=processor,
        record=recorded.extend, **extra,
    )  # fmt: skip
    trainer.asked, trainer.recorded = [], recorded
    tokenizer, end = trainer._tokenizer, trainer.eos_token_ids[0]

    def generate(prompt_ids, images, fields, num_generations, *rest):
        trainer.asked.append([tuple(ids) for ids in prompt_ids[::num_generations]])
        texts = answers[len(trainer.asked) - 1]
        assert len(texts) == len(prompt_ids)
        return [[*tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in texts], None

    trainer._generate_single_turn = generate
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def score(trainer):
    return trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader())))


# Right letters of the four questions are A, B, A, B.
FIRST = ["A", "A", "B", "C"] + ["A", "A", "A", "C"] + ["D", "D", "B", "B"] + ["B", "B", "B", "B"]


def texts(trainer, batch):
    ids = [
        row[mask.bool()].tolist() for row, mask in zip(batch["completion_ids"], batch["completion_mask"], strict=True)
    ]
    return trainer.processing_class.batch_decode(ids, skip_special_tokens=True)


def test_only_hard_groups_are_answered_again_and_the_rest_stays(base, questions, tmp_path):
    second = ["C", "C", "C", "C"] + ["C", "A", "C", "C"]  # for groups 1 and 2; group 2 now holds a right one
    third = ["D", "D", "D", "D"]  # for group 1, in vain
    trainer = make(base, questions, tmp_path, [FIRST, second, third], resampling=2)
    batch = score(trainer)
    first, again, last = trainer.asked
    assert len(first) == 4 and again == first[1:3] and last == first[1:2]
    # The group without a right answer keeps its first responses; nobody's copy takes its place.
    assert texts(trainer, batch) == FIRST[:8] + second[4:] + FIRST[12:]
    rows = trainer.recorded
    assert [row["resamplings"] for row in rows] == [0, 2, 1, 0]
    assert [row["solved"] for row in rows] == [True, False, True, True]
    assert [row["wrong"] for row in rows] == [0.5, 1.0, 0.75, 0.0]
    assert [row["weight"] for row in rows] == [1.5, 1.0, 1.75, 1.0]
    assert rows[2]["completions"] == second[4:] and rows[2]["index"] == 2 and rows[0]["step"] == 1
    advantages = batch["advantages"].view(4, SIZE)
    assert advantages[1].eq(0).all() and advantages[0].abs().min() > 0
    assert trainer._metrics["train"]["difficulty/hard_groups"] == [0.5]
    assert trainer._metrics["train"]["difficulty/unsolved_groups"] == [0.25]
    assert trainer._metrics["train"]["difficulty/weight"] == [pytest.approx(1.3125)]
    letter = len(trainer._tokenizer("A", add_special_tokens=False)["input_ids"]) + 1  # and the end
    assert trainer._metrics["train"]["tokens/generated"] == [letter * (16 + 8 + 4)]


def test_weights_multiply_the_groups_advantages(base, questions, tmp_path):
    unweighted = make(base, questions, tmp_path, [FIRST], resampling=0, reweighting=False)
    plain = score(unweighted)["advantages"]
    assert unweighted._metrics["train"]["difficulty/weight"] == [1.0], "what is shown is what was used"
    weighted = score(make(base, questions, tmp_path, [FIRST], resampling=0))["advantages"]
    factors = torch.tensor([1.5, 1.0, 1.0, 1.0]).repeat_interleave(SIZE)
    torch.testing.assert_close(weighted, plain * factors)
    # With resampling off a group without a right answer keeps its advantages (wrong letter against no letter).
    assert plain.view(4, SIZE)[1].abs().max() == 0 and plain.view(4, SIZE)[2].abs().max() == 0
    mixed = FIRST[:4] + ["A", "A", "what", "C"] + FIRST[8:]
    assert score(make(base, questions, tmp_path, [mixed], resampling=0))["advantages"].view(4, SIZE)[1].abs().min() > 0


def test_the_kl_term_of_an_unsolved_group_stays(base, questions, tmp_path):
    never = ["C"] * 16
    trainer = make(base, questions, tmp_path, [never, never], resampling=1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    loss = trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())), None)
    assert trainer._buffered_inputs[0]["advantages"].eq(0).all()
    assert loss > 0 and trainer.model.lm_head.weight.grad.abs().max() > 0
    assert loss.item() == pytest.approx(5e-3 * trainer._metrics["train"]["kl"][0], rel=1e-3)


def test_rows_that_are_no_whole_groups_are_refused(base, questions, tmp_path):
    trainer = make(base, questions, tmp_path, [FIRST])
    rows = next(iter(trainer.get_train_dataloader()))
    with pytest.raises(UserError, match="whole groups"):
        trainer._generate_and_score_completions(rows[1:])
    with pytest.raises(UserError, match="whole groups"):
        trainer._generate_and_score_completions(rows[1:] + rows[:1])
    model, processor = load_model(base, device="cpu", dtype=torch.float32)
    args = settings(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2, num_generations=4)
    DifficultyAwareGRPOTrainer(model, None, args, train_dataset=questions, processing_class=processor)
    args = settings(tmp_path, per_device_train_batch_size=8, steps_per_generation=1, num_generations=4)
    args.num_generations = 3
    with pytest.raises(UserError, match="whole groups"):
        DifficultyAwareGRPOTrainer(model, None, args, train_dataset=questions, processing_class=processor)


def test_a_prompt_longer_than_the_context(base, questions, tmp_path):
    row = {"prompt": [{"role": "user", "content": [{"type": "text", "text": "scratch " * 5000}]}], "solution": "A"}
    trainer = make(base, dataset([row] * 4), tmp_path, [FIRST])
    with pytest.raises(UserError, match="context|of the model's 4096"):
        score(trainer)


def test_a_loss_that_is_no_number(base, questions, tmp_path):
    trainer = make(base, questions, tmp_path, [FIRST], resampling=0)
    with torch.no_grad():
        trainer.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="lower grpo.learning_rate"):
        trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())), None)


def test_shared_generation_samples_what_stock_samples(base, questions, tmp_path):
    """With the same random numbers, comparison and left padding included; so do the reference's log-probabilities."""
    found = []
    for shared in (True, False):
        model, processor = load_model(base, device="cpu", dtype=torch.float32)
        args = settings(tmp_path, max_completion_length=12)
        trainer = DifficultyAwareGRPOTrainer(
            model, None, args, train_dataset=questions, processing_class=processor, shared_prefix=shared, resampling=0
        )
        trainer.model.train()
        torch.manual_seed(5)
        batch = score(trainer)
        found.append([batch["completion_ids"], batch["ref_per_token_logps"]])
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-4, rtol=1e-4)
    assert len({tuple(row) for row in found[0][0].tolist()}) == 16
