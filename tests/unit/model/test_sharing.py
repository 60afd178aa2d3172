"""No picture is encoded twice, and nothing kept outlives the weights it came from."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from core.model.sharing import FeatureCache, fingerprints, weights_stamp
from tests.unit.model.conftest import batch, picture, question


@pytest.fixture
def passes(model):
    """Tiles in each call of the vision tower."""
    seen: list[int] = []
    model.model.vision_tower.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(len(kwargs["pixel_values"])), with_kwargs=True
    )
    return seen


def group(processor, copies=8):
    return batch(processor, *[(question(), [picture(1), picture(2)])] * copies)


def test_fingerprints_tell_tiles_apart_by_their_bits():
    torch.manual_seed(0)
    tiles = torch.randn(3, 3, 8, 8)
    near = tiles[:1].clone()
    near[0, 2, 7, 7] = torch.nextafter(near[0, 2, 7, 7], torch.tensor(9.0))
    keys = fingerprints(torch.cat([tiles, tiles[:1], near]))
    assert keys[0] == keys[3]
    assert len(set(keys)) == 4
    assert len(set(fingerprints(tiles.bfloat16()))) == 3


def test_a_group_of_eight_is_encoded_once_and_turned_three_times(model, processor, passes):
    model.train()
    model(**group(processor))
    assert passes == [2, 3]  # reference and query; the reference at 90, 180 and 270 degrees


def test_without_rotations_the_tile_pass_is_all(model, processor, passes):
    model.config.comparison_rotations = model.model.config.comparison_rotations = (0,)
    model.train()
    model(**group(processor))
    assert passes == [2]


def test_a_trainable_tower_is_run_again_in_every_call(model, processor, passes):
    model.train()
    inputs = group(processor, 1)
    model(**inputs)
    model(**inputs)
    assert passes == [2, 3, 2, 3]


def test_a_frozen_tower_is_run_once_and_still_trains_what_follows(model, processor, passes):
    inputs = group(processor, 2)
    model.model.vision_tower.requires_grad_(False)
    model.train()
    with torch.no_grad():
        first = model(**inputs).logits
    second = model(**inputs, labels=inputs["input_ids"])
    second.loss.backward()
    assert passes == [2, 3]
    assert torch.equal(first, second.logits)
    assert model.model.multi_modal_projector.linear_1.weight.grad.abs().sum() > 0
    assert model.model.contrastive.projector[1].weight.grad.abs().sum() > 0


def test_features_kept_in_inference_mode_serve_a_later_training_pass(model, processor):
    inputs = group(processor, 1)
    model.model.vision_tower.requires_grad_(False)
    with torch.inference_mode():
        model(**inputs)
    model(**inputs, labels=inputs["input_ids"]).loss.backward()


def test_evaluation_keeps_features_between_questions_about_one_picture(model, processor, passes):
    with torch.no_grad():
        model(**batch(processor, (question(), [picture(1), picture(2)])))
        model(**batch(processor, (question("Where is the defect?"), [picture(1), picture(2)])))
        model(**batch(processor, (question(images=1, compare=False), [picture(2)])))
        assert passes == [2, 3]
        model(**batch(processor, (question(), [picture(1), picture(3)])))  # a new query, so the layers are needed again
    assert passes == [2, 3, 2, 3]


def test_a_step_of_training_empties_what_was_kept(model, processor):
    inputs = group(processor, 1)
    with torch.no_grad():
        before = model(**inputs).logits
    optimizer = torch.optim.AdamW(model.model.vision_tower.parameters(), lr=0.1)
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    optimizer.step()
    with torch.no_grad():
        after = model(**inputs).logits
        model.model.features.clear()
        fresh = model(**inputs).logits
    assert not torch.allclose(before, after)
    assert torch.equal(after, fresh)


def test_adapters_switched_merged_or_removed_are_noticed(model, processor):
    inputs = group(processor, 1)
    features = model.model.features

    def logits_are_fresh(net):
        with torch.no_grad():
            found = net(**inputs).logits
            features.clear()
            return torch.allclose(found, net(**inputs).logits, atol=1e-6)

    assert logits_are_fresh(model)
    tuned = get_peft_model(model, LoraConfig(target_modules=["q_proj", "fc1"], init_lora_weights=False)).eval()
    tuned.requires_grad_(False)
    assert logits_are_fresh(tuned)
    with tuned.disable_adapter():
        assert logits_are_fresh(tuned)
    assert logits_are_fresh(tuned)
    merged = tuned.merge_and_unload()
    assert logits_are_fresh(merged)


def test_merging_after_use_as_a_base_changes_the_stamp(model):
    tower = model.model.vision_tower
    before = weights_stamp(tower)
    tuned = get_peft_model(model, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    assert weights_stamp(tower) != before
    tuned.merge_and_unload()
    assert weights_stamp(tower) != before


def test_other_settings_of_the_comparison_are_another_map(model, processor, passes):
    inputs = group(processor, 1)
    with torch.no_grad():
        model(**inputs)
        model.config.comparison_layers = model.model.config.comparison_layers = (1,)
        found = model(**inputs).logits
        assert passes == [2, 3, 2, 3]
        model.model.features.clear()
        assert torch.equal(found, model(**inputs).logits)


def test_the_cache_is_bounded_and_forgets_the_least_recently_used():
    cache = FeatureCache(limit=3 * 40)
    for key in "abc":
        cache.put(key, torch.zeros(10))
    cache.get("a")
    cache.put("d", torch.zeros(10))
    assert cache.size == 120 and len(cache) == 3
    assert cache.get("b") is None and cache.get("a") is not None
    cache.put("large", torch.zeros(1000))
    assert cache.get("large") is None and len(cache) == 3


def test_a_limit_of_zero_switches_keeping_off(model, processor, passes):
    model.model.features.limit = 0
    with torch.no_grad():
        model(**group(processor, 2))
        model(**group(processor, 2))
    assert passes == [2, 3, 2, 3]
