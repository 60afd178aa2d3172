"""A model arrives whole from every layout it may lie in, or not at all."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, InternVLConfig, InternVLForConditionalGeneration

from core.errors import UserError
from core.model import EmitConfig, EmitForConditionalGeneration, layouts, load_model
from core.model.__main__ import main
from core.model.export import export_model
from core.model.layouts import check_base, find_checkpoint
from core.model.processing import COMPARISON
from core.model.tiny import build_tiny
from tests.unit.model.conftest import SHAPE, batch, picture, question

OLD_NAMES = [
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
]


def old_name(name):
    for new, old in OLD_NAMES:
        if name.startswith(new):
            return old + name.removeprefix(new)
    raise AssertionError(name)


def edit_json(path, **changes):
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


@pytest.fixture(scope="module")
def native_weights():
    """Weights of a native InternVL with its two embedding matrices untied, so that both must arrive."""
    model, processor = build_tiny(None, **SHAPE)
    values = {key: value for key, value in model.config.to_dict().items() if key not in {"model_type", "architectures"}}
    values = {
        key: value
        for key, value in values.items()
        if not key.startswith("comparison") and key not in {"soft_tokens", "heatmap"}
    }
    values["tie_word_embeddings"] = False
    values["text_config"]["tie_word_embeddings"] = False
    torch.manual_seed(7)
    native = InternVLForConditionalGeneration(InternVLConfig(**values)).eval()
    return native, processor


@pytest.fixture(params=["4.52 names", "5 names", "as save_pretrained writes"])
def native_folder(request, native_weights, tmp_path):
    """An InternVL3 `-hf` checkpoint: its tokenizer knows no comparison, its chat template neither."""
    native, processor = native_weights
    native.save_pretrained(tmp_path)
    state = {name: value.clone() for name, value in native.state_dict().items()}
    if request.param == "4.52 names":
        save_file(
            {old_name(name): value for name, value in state.items()}, tmp_path / "model.safetensors", {"format": "pt"}
        )
    elif request.param == "5 names":
        save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    tokenizer = json.loads(processor.tokenizer.backend_tokenizer.to_str())
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != COMPARISON]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
        )
    )
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({
            "image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 56, "width": 56}, "max_patches": 1,
            "min_patches": 1, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        })
    )  # fmt: skip
    return tmp_path


def test_a_native_checkpoint_arrives_whole_in_old_and_new_names(native_folder, native_weights, caplog):
    native, _ = native_weights
    with caplog.at_level(logging.WARNING):
        model, processor = load_model(native_folder)
    assert "soft prompt" in caplog.text and "new" in caplog.text
    loaded = model.state_dict()
    for name, value in native.state_dict().items():
        assert torch.equal(loaded[name], value), name
    item = (question(), [picture(1), picture(2)])
    assert model(**batch(processor, item)).logits.isfinite().all()
    plain = batch(processor, (question(compare=False), [picture(1), picture(2)]))
    assert torch.equal(model(**plain).logits, native(**plain).logits)


def test_a_base_model_keeps_its_embeddings_and_starts_its_soft_prompt_from_words(native_folder, native_weights):
    model, processor = load_model(native_folder)
    assert model.config.comparison_token_id == processor.tokenizer.convert_tokens_to_ids(COMPARISON)
    assert model.get_input_embeddings().weight.shape == native_weights[0].get_input_embeddings().weight.shape
    rows = {tuple(row) for row in model.get_input_embeddings().weight.tolist()}
    assert all(tuple(row) in rows for row in model.model.contrastive.soft_prompt.weight.tolist())


def test_what_was_made_of_a_base_model_saves_and_loads(native_folder, tmp_path):
    model, processor = load_model(native_folder)
    model.save_pretrained(tmp_path / "emit")
    processor.save_pretrained(tmp_path / "emit")
    again, other = load_model(tmp_path / "emit")
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    assert torch.equal(inputs["input_ids"], batch(other, (question(), [picture(1), picture(2)]))["input_ids"])
    assert torch.equal(model(**inputs).logits, again(**inputs).logits)


@pytest.mark.parametrize("kind", ["emit", "internvl"])
def test_a_weight_that_does_not_arrive_is_an_error(kind, folder, native_folder, tmp_path):
    source = folder if kind == "emit" else native_folder
    target = tmp_path / "broken"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("broken"))
    weights = load_file(target / "model.safetensors")
    lost = next(name for name in weights if "fc1.weight" in name)
    del weights[lost]
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="1 weights did not arrive"):
        load_model(target)


def test_an_emit_checkpoint_without_its_own_parts_is_an_error(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "broken")
    weights = load_file(tmp_path / "broken" / "model.safetensors")
    weights = {name: value for name, value in weights.items() if "contrastive" not in name}
    save_file(weights, tmp_path / "broken" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="did not arrive"):
        load_model(tmp_path / "broken")


def shape(kind, width, inner, layers, heads, key_value_heads, vocabulary):
    text = {"model_type": kind, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    text |= {"num_attention_heads": heads, "num_key_value_heads": key_value_heads, "vocab_size": vocabulary}
    return {"hidden_size": 1024}, text


SHAPES = {
    "InternVL3-1B": shape("qwen2", 896, 4864, 24, 14, 2, 151674),
    "InternVL3-8B": shape("qwen2", 3584, 18944, 28, 28, 4, 151674),
    "InternVL3.5-8B": shape("qwen3", 4096, 12288, 36, 32, 8, 151936),
}


@pytest.mark.parametrize("size", SHAPES)
def test_names_and_shapes_are_the_native_classs_in_real_sizes(size):
    vision, text = SHAPES[size]
    base = InternVLConfig(vision_config=vision, text_config=text, tie_word_embeddings=False)
    with torch.device("meta"):
        native = InternVLForConditionalGeneration(base).state_dict()
        emit = EmitForConditionalGeneration(EmitConfig.from_internvl(base)).state_dict()
    ours = {name: value.shape for name, value in emit.items() if not name.startswith("model.contrastive.")}
    assert ours == {name: value.shape for name, value in native.items()}
    assert emit["model.contrastive.soft_prompt.weight"].shape == (9, text["hidden_size"])
    assert EmitConfig.from_internvl(base).comparison_layers == (4, 8, 16, 20)
    assert EmitConfig.from_internvl(base).comparison_length == 9 + 256


def test_auto_classes_know_emit(folder):
    assert isinstance(AutoConfig.from_pretrained(folder), EmitConfig)
    assert isinstance(AutoModelForImageTextToText.from_pretrained(folder), EmitForConditionalGeneration)


def test_a_run_folder_is_its_final_model(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run" / "final")
    (tmp_path / "run" / "state.json").write_text("{}")
    model, _ = load_model(tmp_path / "run")
    assert torch.equal(model.lm_head.weight, load_model(folder)[0].lm_head.weight)
    (tmp_path / "young").mkdir()
    (tmp_path / "young" / "state.json").write_text("{}")
    with pytest.raises(UserError, match="no final model yet"):
        load_model(tmp_path / "young")


@pytest.fixture
def adapter(folder, tmp_path):
    """LoRA on language model and vision tower, EMIT's parts and the vision MLP trained in full, as the second stage does."""
    model, processor = load_model(folder)
    settings = LoraConfig(
        r=2,
        target_modules=["q_proj", "v_proj", "fc1"],
        modules_to_save=["multi_modal_projector", "contrastive"],
        init_lora_weights=False,
    )
    tuned = get_peft_model(model, settings).eval()
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if "modules_to_save" in name:
                value.add_(torch.randn_like(value) * 0.1)
    tuned.save_pretrained(tmp_path / "adapter")
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    with torch.no_grad():
        return tmp_path / "adapter", inputs, tuned(**inputs).logits


@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_comes_on_its_base(adapter, merge):
    path, inputs, expected = adapter
    model, processor = load_model(path, merge=merge)
    assert isinstance(model, PeftModel) is not merge
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(batch(processor, (question(), [picture(1), picture(2)]))["input_ids"], inputs["input_ids"])


def test_an_adapter_finds_a_base_that_was_moved_with_it(adapter, folder, tmp_path):
    path, inputs, expected = adapter
    shutil.copytree(folder, tmp_path / "moved" / "emit")
    shutil.copytree(path, tmp_path / "moved" / "adapter")
    edit_json(tmp_path / "moved" / "adapter" / "adapter_config.json", base_model_name_or_path="/gone/emit")
    with torch.no_grad():
        torch.testing.assert_close(
            load_model(tmp_path / "moved" / "adapter")[0](**inputs).logits, expected, atol=1e-5, rtol=1e-4
        )
    edit_json(tmp_path / "moved" / "adapter" / "adapter_config.json", base_model_name_or_path="/gone/other")
    with pytest.raises(UserError, match="base model /gone/other"):
        load_model(tmp_path / "moved" / "adapter")


def test_the_shipped_adapter_is_of_the_shipped_base():
    models = Path(__file__).resolve().parents[3] / "data" / "models"
    check_base(models / "emit-tiny-tuned", find_checkpoint(models / "emit-tiny"))
    with pytest.raises(UserError, match="another version"):
        check_base(models / "emit-tiny-tuned", find_checkpoint(models / "emit-tiny-tuned"))


def test_of_large_weights_pieces_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "PIECES", 4)
    monkeypatch.setattr(layouts, "PIECE", 8)
    content, digests = bytearray(1000), set()
    for changed in (None, 0, 999, 332, 100):
        if changed is not None:
            content = bytearray(1000)
            content[changed] = 1
        (tmp_path / "model.safetensors").write_bytes(content)
        digests.add(layouts.weights_digest(tmp_path))
    assert len(digests) == 4, "begin, end and what is between; byte 100 lies in no piece"


def test_an_export_is_merged_self_contained_and_carries_a_card(adapter, tmp_path):
    path, inputs, expected = adapter
    target = export_model(
        path, tmp_path / "out" / "exported", title="Tiny inspector", notes="Trained on *nothing*.", dtype="float32"
    )
    model, processor = load_model(target)
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, expected, atol=1e-5, rtol=1e-4)
    card = (target / "README.md").read_text()
    assert card.startswith("---\n") and "# Tiny inspector" in card and "Trained on *nothing*." in card
    assert str(tmp_path) not in card + (target / "config.json").read_text()
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["exported"]
    with pytest.raises(UserError, match="exists already"):
        export_model(path, target)


def test_an_export_is_small_by_default(folder, tmp_path):
    export_model(folder, tmp_path / "half")
    assert load_model(tmp_path / "half", dtype="auto")[0].dtype == torch.bfloat16


def test_what_cannot_be_loaded_is_said_in_a_sentence(folder, tmp_path, monkeypatch):
    def refused(path, sentence, **options):
        with pytest.raises(UserError, match=sentence):
            load_model(path, **options)

    refused(tmp_path / "nowhere", "does not exist")
    refused(folder / "config.json", "is a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no checkpoint")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    refused(tmp_path / "other", "bert model")
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "config.json").write_text('{"model_type": "internvl_chat"}')
    refused(tmp_path / "release", "core.model convert")
    shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    refused(tmp_path / "bare", "cannot be loaded")
    shutil.copytree(folder, tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    refused(tmp_path / "cut", "damaged|cannot be loaded|does not fit")
    refused(folder, "quantize must be", quantize="3bit")
    if not torch.cuda.is_available():
        refused(folder, "no CUDA device", device="cuda:0")

    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):

        def full(*_args, error=error, **_options):
            raise error

        monkeypatch.setattr(EmitForConditionalGeneration, "from_pretrained", full)
        refused(folder, "Too little memory")


def test_another_width_in_the_configuration_is_an_error(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "wide")
    values = json.loads((tmp_path / "wide" / "config.json").read_text())
    values["text_config"]["intermediate_size"] += 8
    (tmp_path / "wide" / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError):
        load_model(tmp_path / "wide")


def test_the_command_says_what_lies_there_and_ends_with_2_where_nothing_does(folder, tmp_path, capsys):
    main(["check", str(folder)])
    assert "window 3" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path / "nowhere")])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
