"""The arms of the proof: each changes something, and arms that share a first stage say so."""

from __future__ import annotations

import pytest

from core.demo.arms import ARMS, arm_config, first_stage
from core.errors import UserError
from core.training import RunConfig, preset

DEMO = preset("demo").with_(prompt={"knowledge": True})


def test_every_arm_is_a_valid_config_and_only_emit_and_base_are_the_preset_itself() -> None:
    """But for the arm that adds pictures in words to the data."""
    for name in ARMS:
        if name == "with_knowledge":
            continue
        config = arm_config(name, DEMO)
        assert isinstance(config, RunConfig)
        assert (config == DEMO) == (name in ("emit", "base") or ARMS[name].texts), name
        assert ARMS[name].about.endswith(".")


def test_plain_grpo_is_without_both_halves_of_difficulty() -> None:
    plain, emit = arm_config("grpo", DEMO).grpo, arm_config("emit", DEMO).grpo
    assert (plain.resampling, plain.reweighting) == (0, False) and emit.resampling > 0 and emit.reweighting
    assert arm_config("no_resampling", DEMO).grpo.reweighting and arm_config("no_reweighting", DEMO).grpo.resampling > 0


def test_an_arm_that_changes_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="prompt.knowledge, which preset demo has already"):
        arm_config("with_knowledge", DEMO)
    with pytest.raises(UserError, match="There is no arm 'magic'"):
        arm_config("magic", DEMO)


def test_arms_that_differ_in_grpo_only_share_their_first_stage() -> None:
    shared = {name: first_stage(name, DEMO) for name in ("sft", "grpo", "emit", "no_resampling", "no_reweighting")}
    assert len({str(config) for config in shared.values()}) == 1
    assert shared["emit"] == arm_config("sft", DEMO)
    for name in ("no_heatmap", "no_soft_prompt", "no_knowledge"):
        assert first_stage(name, DEMO) not in (None, shared["emit"])
    assert first_stage("grpo_only", DEMO) is None and first_stage("base", DEMO) is None
