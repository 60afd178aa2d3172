"""One pass over a group's prompt serves sampling, every round of resampling and the policy pass, and changes nothing."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from core.grpo import DifficultyAwareGRPOTrainer
from core.grpo.prefix import allow_shared_prefix, backbone_of, freeze_statistics, prefill, sample_groups
from core.model import load_model
from tests.unit.grpo.conftest import one_step, settings

SIZE = 3


@pytest.fixture(scope="module")
def model(base):
    model, _ = load_model(base, device="cpu", dtype=torch.float32)
    freeze_statistics(model)
    allow_shared_prefix(model)
    return model


def prompts() -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of words, two of them padded on the left."""
    ids = torch.randint(20, 200, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    mask[2, :1] = 0
    return ids.masked_fill(mask == 0, 0), mask


@pytest.mark.parametrize(
    "how",
    [{"do_sample": True, "temperature": 0.7, "top_p": 0.9}, {"do_sample": True, "top_k": 5, "repetition_penalty": 1.3},
     {"do_sample": True, "min_new_tokens": 6, "suppress_tokens": [30, 31]}, {"do_sample": False}],
    ids=["temperature", "repetition", "suppressed", "greedy"],
)  # fmt: skip
def test_draws_what_generate_draws(model, how):
    ids, mask = prompts()
    rows = {"input_ids": ids.repeat_interleave(SIZE, 0), "attention_mask": mask.repeat_interleave(SIZE, 0)}
    # Several end tokens, so that responses end at different places.
    config = GenerationConfig(**how, max_new_tokens=9, eos_token_id=list(range(100, 140)), pad_token_id=0)
    torch.manual_seed(5)
    theirs = model.generate(**rows, generation_config=config)
    with torch.no_grad():
        prefix = prefill(backbone_of(model), input_ids=ids, attention_mask=mask)
    for _ in range(2):  # the prompts' pass stays as it is and serves again
        torch.manual_seed(5)
        ours = model.generate(
            **rows, generation_config=config, custom_generate=sample_groups, prefix=prefix, group_size=SIZE
        )
        assert torch.equal(ours, theirs)
    if how["do_sample"]:
        assert len({tuple(row) for row in ours[:, 12:].tolist()}) > 3
        assert (ours[:, 12:] == 0).any() or "min_new_tokens" in how  # some ended early


@pytest.mark.parametrize("width", [2, 4, 30], ids=["one row", "as long as the prompt", "repeated cache"])
def test_states_equal_those_of_the_whole_pass(model, width):
    ids, mask = prompts()
    draw = torch.Generator().manual_seed(1)
    answers = torch.randint(20, 200, (3 * SIZE, width), generator=draw)
    seen = (torch.arange(width) < torch.randint(1, width + 1, (3 * SIZE, 1), generator=draw)).long()
    whole = torch.cat([ids.repeat_interleave(SIZE, 0), answers], 1)
    visible = torch.cat([mask.repeat_interleave(SIZE, 0), seen], 1)
    with torch.no_grad():
        backbone = backbone_of(model)
        plain = backbone(input_ids=whole, attention_mask=visible).last_hidden_state[:, 11:-1]
        shared = backbone(input_ids=whole, attention_mask=visible, group_size=SIZE, completion_length=width)
        given = backbone(
            input_ids=whole, attention_mask=visible, group_size=SIZE, completion_length=width,
            prefix=prefill(backbone, input_ids=ids, attention_mask=mask),
        )  # fmt: skip
    counted = torch.cat([torch.ones(3 * SIZE, 1), seen[:, :-1]], 1).bool()
    torch.testing.assert_close(shared.last_hidden_state[counted], plain[counted], atol=1e-5, rtol=1e-4)
    assert torch.equal(given.last_hidden_state, shared.last_hidden_state)


def variety(completions, **_) -> list[float]:
    """Some reward that random words earn unequally."""
    return [float(len(set(chat[0]["content"])) % 7) for chat in completions]


def trainer_of(base, questions, folder, **kwargs):
    model, processor = load_model(base, device="cpu", dtype=torch.float32)
    return DifficultyAwareGRPOTrainer(
        model, variety, settings(folder, generation_kwargs={"min_new_tokens": 3}, reward_weights=[1.0]), questions,
        processing_class=processor, right=lambda completions, **_: [float(len(set(c)) % 7 == 1) for c in completions],
        **kwargs,
    )  # fmt: skip


def test_the_policy_pass_goes_on_from_the_prompts_of_sampling(base, questions, tmp_path, monkeypatch):
    found, rounds = [], []
    for shared in (True, False):
        trainer = trainer_of(base, questions, tmp_path, resampling=2)
        if not shared:
            monkeypatch.setattr(type(trainer), "_learns_from_prefix", False)
        passes = []
        backbone = backbone_of(trainer.model)
        original = backbone.forward

        def forward(*args, _original=original, _passes=passes, **kwargs):
            _passes.append(kwargs.get("pixel_values") is not None)
            return _original(*args, **kwargs)

        backbone.forward = forward
        torch.manual_seed(3)
        found.append(one_step(trainer))
        rounds.append(trainer._metrics["train"]["difficulty/resamplings"])
        # Pictures go through the model once for sampling (all rounds) and policy, once for the reference.
        assert sum(passes) == (2 if shared else 3)
        assert trainer.prefix is None
    (loss, gradients), (other, others) = found
    assert rounds[0] == rounds[1] and rounds[0][0] > 0  # some groups were answered again
    assert loss == pytest.approx(other, abs=1e-6)
    assert gradients.keys() == others.keys() and max(g.abs().max() for g in gradients.values()) > 1e-3
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name], atol=1e-6, rtol=1e-4, msg=name)
