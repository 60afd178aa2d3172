"""Run configs: YAML there and back, presets, and one sentence for every mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.errors import UserError
from core.training.config import GRPO, RunConfig, preset, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_survives_yaml(name, tmp_path):
    config = preset(name)
    assert RunConfig.load(config.save_to(tmp_path / "c.yaml")) == config
    assert config.preset == config.name == name


def test_a_short_file_takes_the_rest_from_its_preset(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("preset: smoke\nseed: 7\ngrpo: {learning_rate: 1e-5, resampling: 0}\n")
    config = RunConfig.load(path)
    assert (config.seed, config.grpo.learning_rate, config.grpo.resampling) == (7, 1e-5, 0)
    assert config.grpo.groups == preset("smoke").grpo.groups


def test_defaults_are_the_papers_settings():
    grpo = GRPO()
    assert (grpo.group_size, grpo.max_new_tokens, grpo.beta, grpo.learning_rate) == (8, 512, 5e-3, 1e-5)
    assert (grpo.rewards, grpo.resampling, grpo.reweighting, grpo.epochs) == ((3, 1, 1, 1), 3, True, 2)
    config = RunConfig()
    assert (config.sft.epochs, config.sft.batch_size, config.sft.weight_decay) == (2, 64, 1e-4)
    assert config.sft.train == ("projector", "soft_prompt")


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"grp": {}}, "did you mean 'grpo'"),
        ({"grpo": {"group_sise": 4}}, "did you mean 'group_size'"),
        ({"grpo": {"group_size": 1}}, "group_size must be at least 2"),
        ({"sft": {"tower_rate": 0}}, "tower_rate must be above 0"),
        ({"grpo": {"group_size": "many"}}, "a whole number is needed"),
        ({"grpo": {"learning_rate": "fast"}}, "a number is needed"),
        ({"grpo": {"reweighting": 1}}, "true or false is needed"),
        ({"grpo": {"rewards": [1, 1]}}, "four weights"),
        ({"grpo": {"micro_batch": 3}}, "divide one evenly"),
        ({"grpo": 3}, "mapping"),
        ({"sft": {"train": ["projektor"]}}, "train takes"),
        ({"sft": {"enabled": False}, "grpo": {"enabled": False}}, "both switched off"),
        ({"lora": None, "grpo": {"train": []}}, "nothing learns"),
        ({"grpo": {"train": ["llm"]}}, "cannot learn in full"),
        ({"lora": None, "quantize": "4bit", "grpo": {"train": ["llm"]}}, "quantize needs lora"),
        ({"device": "tpu"}, "use one of"),
        ({"preset": "smokey"}, "no preset"),
        ({"version": 0}, "version"),
        ({"processes": 3}, "multiple of processes"),
    ],
)
def test_every_mistake_is_named(changes, word):
    with pytest.raises(UserError, match=word):
        RunConfig.from_dict(changes)


def test_ablation_switches_change_one_thing_each():
    base = preset("internvl3-8b")
    for change in (
        {"grpo": {"resampling": 0}},
        {"grpo": {"reweighting": False}},
        {"grpo": {"resampling": 0, "reweighting": False}},
        {"prompt": {"contrast": False}},
        {"prompt": {"soft_prompt": False}},
        {"prompt": {"text_samples": False}},
        {"prompt": {"knowledge": False}},
        {"grpo": {"enabled": False}},
        {"sft": {"enabled": False}},
    ):
        changed = base.with_(**change)
        assert changed != base and RunConfig.from_dict(changed.to_dict()) == changed


def test_settings_and_run_folders_need_no_torch():
    code = "import sys, core.training, core.training.config, core.runs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
