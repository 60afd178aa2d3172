"""The ready files for several devices and clusters parse, and say what they claim."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import core.training

LAUNCH = Path(core.training.__file__).parent / "launch"


@pytest.mark.parametrize("name", ["ddp", "fsdp", "zero2", "zero3", "nodes"])
def test_accelerate_reads_its_files(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(LAUNCH / f"{name}.yaml"))
    assert config.num_processes == (16 if name == "nodes" else 8)
    kind = {"fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}.get(name, "MULTI_GPU")
    assert str(config.distributed_type.value) == kind
    if name.startswith("zero"):
        assert config.deepspeed_config["zero_stage"] == int(name[-1])


def test_fsdp_names_layers_that_exist():
    from transformers.models.internvl import modeling_internvl
    from transformers.models.qwen2 import modeling_qwen2

    names = yaml.safe_load((LAUNCH / "fsdp.yaml").read_text())["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"]
    for name in names.split(","):
        assert hasattr(modeling_internvl, name) or hasattr(modeling_qwen2, name), name


def test_skypilot_task_has_what_a_task_needs():
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert {"name", "resources", "num_nodes", "workdir", "envs", "setup", "run"} == set(task)
    assert "accelerators" in task["resources"] and "-m core.training $RUN" in task["run"]


def test_ray_runtime_environment():
    environment = yaml.safe_load((LAUNCH / "ray.yaml").read_text())
    assert environment["working_dir"] == "." and isinstance(environment["env_vars"]["TOKENIZERS_PARALLELISM"], str)


def test_every_file_is_in_the_readme():
    text = (LAUNCH / "README.md").read_text()
    assert all(path.name in text for path in LAUNCH.glob("*.yaml") if path.stem != "nodes")
