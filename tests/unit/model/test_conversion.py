"""The authors' layout (remote-code InternVL with `projector` and `soft_prompt` beside it) becomes an EMIT checkpoint."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from core.errors import UserError
from core.model import load_model
from core.model.__main__ import main
from core.model.conversion import convert_release, convert_weight
from tests.unit.model.conftest import batch, picture, question

# ours -> theirs, written down from the layout of InternVL's remote code
THEIRS = [
    ("model.vision_tower.embeddings.cls_token", "vision_model.embeddings.class_embedding"),
    ("model.vision_tower.embeddings.patch_embeddings.projection.", "vision_model.embeddings.patch_embedding."),
    ("model.vision_tower.embeddings.position_embeddings", "vision_model.embeddings.position_embedding"),
    ("model.vision_tower.encoder.layer.", "vision_model.encoder.layers."),
    ("attention.projection_layer.", "attn.proj."), ("lambda_", "ls"),
    ("layernorm_before.", "norm1."), ("layernorm_after.", "norm2."),
    ("model.multi_modal_projector.layer_norm.", "mlp1.0."), ("model.multi_modal_projector.linear_1.", "mlp1.1."),
    ("model.multi_modal_projector.linear_2.", "mlp1.3."), ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."), ("model.contrastive.projector.", "projector."),
    ("model.contrastive.soft_prompt.", "soft_prompt."),
]  # fmt: skip


@pytest.fixture
def release(loaded, tmp_path):
    model, processor = loaded
    weights, parts = {}, {}
    for name, value in model.state_dict().items():
        for ours, theirs in THEIRS:
            name = name.replace(ours, theirs)
        found = re.match(r"(vision_model\..*)\.attention\.([qkv])_proj\.(.*)", name)
        if found:
            parts.setdefault(f"{found[1]}.attn.qkv.{found[3]}", {})[found[2]] = value
        else:
            weights[name] = value.clone()
    weights.update({name: torch.cat([sides[side] for side in "qkv"]) for name, sides in parts.items()})
    config, text = model.config, model.config.text_config
    save_file(dict(list(weights.items())[::2]), tmp_path / "model-00001-of-00002.safetensors")
    save_file(dict(list(weights.items())[1::2]), tmp_path / "model-00002-of-00002.safetensors")
    (tmp_path / "config.json").write_text(
        json.dumps({
            "model_type": "internvl_chat", "architectures": ["InternVLChatModel"], "downsample_ratio": 0.5,
            "force_image_size": 56, "ps_version": "v2", "max_dynamic_patch": 1, "min_dynamic_patch": 1,
            "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"}, "tie_word_embeddings": True,
            "llm_config": {**text.to_dict(), "architectures": ["Qwen2ForCausalLM"]},
            "vision_config": {
                "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 128,
                "image_size": 56, "patch_size": 7, "qkv_bias": True, "norm_type": "layer_norm",
                "qk_normalization": False, "layer_norm_eps": config.vision_config.layer_norm_eps, "hidden_act": "gelu",
            },
        })
    )  # fmt: skip
    processor.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_one_command_converts_a_release(release, loaded, tmp_path, capsys):
    main(["convert", str(release), str(tmp_path / "converted")])
    assert "wrote" in capsys.readouterr().out
    model, processor = load_model(tmp_path / "converted")
    original, before = loaded
    expected = original.state_dict()
    assert set(model.state_dict()) == set(expected)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    original.config.comparison_window, window = 6, original.config.comparison_window
    try:
        model.config.comparison_layers = original.config.comparison_layers
        item = (question(), [picture(1), picture(2)])
        first, second = batch(before, item), batch(processor, item)
        assert torch.equal(first["input_ids"], second["input_ids"])
        assert torch.equal(original(**first).logits, model(**second).logits)
    finally:
        original.config.comparison_window = window


def test_a_weight_that_is_missing_or_has_no_place_is_an_error(release, tmp_path):
    with pytest.raises(UserError, match="no place"):
        convert_weight("vision_model.head.weight", torch.ones(1))
    (release / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="lacks"):
        convert_release(release, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_other_layouts_and_language_models_are_refused(release, folder, tmp_path):
    with pytest.raises(UserError, match="original layout"):
        convert_release(folder, tmp_path / "converted")
    config = json.loads((release / "config.json").read_text())
    config["llm_config"]["model_type"] = "internlm2"
    (release / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="internlm2"):
        convert_release(release, tmp_path / "converted")
