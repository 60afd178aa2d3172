"""The model is InternVL plus a comparison: nothing more without one, the plain computation with one."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import InternVLConfig, InternVLForConditionalGeneration

from core.errors import UserError
from core.heatmap import anomaly_map
from core.model.tiny import build_tiny
from tests.unit.model.conftest import SHAPE, batch, picture, question


def stock(model):
    """The native class with the same weights."""
    values = {key: value for key, value in model.config.to_dict().items() if key not in {"model_type", "architectures"}}
    native = InternVLForConditionalGeneration(InternVLConfig(**values)).eval()
    weights = {name: value for name, value in model.state_dict().items() if ".contrastive." not in name}
    native.load_state_dict(weights, strict=True)
    return native


def plain_embeds(model, inputs, pairs):
    """What `EmitModel.embed` shall give, with no sharing at all: every tile and every rotation encoded for itself."""
    backbone, config = model.model, model.config
    ids, pixels = inputs["input_ids"], inputs["pixel_values"]
    embeds = model.get_input_embeddings()(ids)
    tokens = torch.cat([backbone.get_image_features(tile[None]).pooler_output for tile in pixels])
    embeds = embeds.masked_scatter((ids == config.image_token_id).unsqueeze(-1), tokens)
    with torch.no_grad():
        maps = []
        for reference, query in pairs:

            def states(tile):
                hidden = backbone.vision_tower(pixel_values=tile[None], output_hidden_states=True).hidden_states
                return [hidden[layer][:, 1:] for layer in config.comparison_layers]

            turned = [states(torch.rot90(pixels[reference], k, dims=(-2, -1))) for k in range(4)]
            maps.append(
                anomaly_map(
                    states(pixels[query]),
                    [torch.cat(layer, dim=1) for layer in zip(*turned, strict=True)],
                    window=config.comparison_window,
                )
            )
    compared = torch.cat([model.model.contrastive(found).tokens for found in maps])
    return embeds.masked_scatter((ids == config.comparison_token_id).unsqueeze(-1), compared)


def test_without_a_comparison_logits_are_internvls_bit_for_bit(model, processor):
    inputs = batch(
        processor,
        (question(compare=False), [picture(1), picture(2)]),
        (question("What is it?", images=1, compare=False), [picture(3)]),
    )
    native = stock(model)
    assert torch.equal(model(**inputs).logits, native(**inputs).logits)
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, native(**inputs).logits)
    text = {"input_ids": inputs["input_ids"][:, -9:], "attention_mask": inputs["attention_mask"][:, -9:]}
    assert torch.equal(model(**text).logits, native(**text).logits)


def test_the_comparison_changes_the_logits(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    other = {**inputs, "pixel_values": inputs["pixel_values"][[0, 0]]}
    with torch.no_grad():
        seen = model.model.embed(inputs["input_ids"], inputs["pixel_values"])
        same = model.model.embed(inputs["input_ids"], other["pixel_values"])
    places = inputs["input_ids"] == model.config.comparison_token_id
    assert places.sum() == model.config.comparison_length == 9 + 16
    assert torch.equal(seen[places][:9], same[places][:9])  # the soft prompt
    assert not torch.allclose(seen[places][9:], same[places][9:])  # the map


def test_the_map_guides_the_tokens_of_the_query_and_no_others():
    model, processor = build_tiny(**SHAPE, comparison_places=True)
    inputs = batch(processor, (question(), [picture(1), picture(2)]), (question(), [picture(3), picture(3)]))
    ids, pixels = inputs["input_ids"], inputs["pixel_values"]
    with torch.no_grad():
        model.model.contrastive.projector[0].running_var.fill_(1e-4)  # of a map that differs, by far
        plain = model.model.embed(ids, pixels)
        model.model.contrastive.places.copy_(torch.randn_like(model.model.contrastive.places))
        guided = model.model.embed(ids, pixels)
    moved = (guided - plain).abs().amax(-1) > 0
    image = (ids[0] == model.config.image_token_id).nonzero().flatten()
    query = image[len(image) // 2 :]
    assert moved[0][query].all() and moved[0].sum() == len(query)
    added = (guided - plain)[0][query]
    torch.testing.assert_close(added, added[:1].expand_as(added), atol=1e-5, rtol=0)
    other = (guided - plain)[1].abs().max()
    assert other < 0.05 * added.abs().max(), "what is the same as its reference is hot nowhere"


def test_tokens_equal_the_plain_computation(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]), (question(), [picture(3), picture(2)]))
    expected = plain_embeds(model, inputs, [(0, 1), (2, 3)])
    found = model.model.embed(inputs["input_ids"], inputs["pixel_values"])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_first_reference_is_compared_with_the_last_image(model, processor):
    inputs = batch(processor, (question(images=3), [picture(1), picture(2), picture(3)]))
    expected = plain_embeds(model, inputs, [(0, 2)])
    torch.testing.assert_close(
        model.model.embed(inputs["input_ids"], inputs["pixel_values"]), expected, atol=1e-5, rtol=1e-4
    )


def test_thumbnails_are_compared_when_pictures_are_tiled(processor):
    model, tiling = build_tiny(None, **{**SHAPE, "max_tiles": 4})
    model.eval()
    inputs = batch(tiling, (question(), [picture(1, (120, 60)), picture(2, (60, 60))]))
    layout = model.model.layout(inputs["input_ids"])
    assert layout.tiles == [len(inputs["pixel_values"])]
    reference, query = layout.pairs[0]
    assert reference == 2 and query == len(inputs["pixel_values"]) - 1  # two tiles of 120 x 60, then the thumbnail
    assert torch.equal(inputs["pixel_values"][reference], tiling.thumbnail(picture(1, (120, 60)))[0])
    expected = plain_embeds(model, inputs, [(reference, query)])
    torch.testing.assert_close(
        model.model.embed(inputs["input_ids"], inputs["pixel_values"]), expected, atol=1e-5, rtol=1e-4
    )


def test_a_mixed_batch_equals_its_samples_alone():
    model, processor = build_tiny(None, **{**SHAPE, "max_tiles": 4})
    items = [
        (question(), [picture(1, (120, 60)), picture(2)]),
        (question("What kind of product is in the image?", images=1, compare=False), [picture(3, (60, 120))]),
        (question(images=3), [picture(4), picture(5), picture(1, (120, 60))]),
        (question("Yes or no?", images=0, compare=False), []),
    ]
    for mode in (False, True):  # the projector's batch norm makes no difference in train mode either
        model.train(mode)
        with torch.no_grad():
            together = model(**batch(processor, *items)).logits
            for row, item in enumerate(items):
                alone = batch(processor, item)
                tail = alone["input_ids"].shape[1]
                torch.testing.assert_close(together[row, -tail:], model(**alone).logits[0], atol=2e-5, rtol=1e-4)


def test_gradients_through_a_trainable_tower_equal_the_plain_way(model, processor):
    """Copies of a question share one pass; what flows back must be the sum over the copies."""
    item = (question(), [picture(1), picture(2)])
    inputs = batch(processor, item, item, item, (question(), [picture(3), picture(2)]))
    weights = torch.randn(1, inputs["input_ids"].shape[1], 32, generator=torch.Generator().manual_seed(0))
    other = copy.deepcopy(model)
    (model.model.embed(inputs["input_ids"], inputs["pixel_values"]) * weights).sum().backward()
    (plain_embeds(other, inputs, [(0, 1), (2, 3), (4, 5), (6, 7)]) * weights).sum().backward()
    plain = dict(other.named_parameters())
    seen = 0
    for name, value in model.named_parameters():
        if value.grad is not None:
            seen += "vision_tower" in name
            torch.testing.assert_close(
                value.grad, plain[name].grad, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
            )
    assert seen > 30


def test_a_sampled_placeholder_in_a_completion_is_a_plain_token(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    stray = torch.tensor([[model.config.image_token_id, 5, model.config.comparison_token_id]])
    ids = torch.cat([inputs["input_ids"], stray], dim=1)
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=inputs["pixel_values"], attention_mask=torch.ones_like(ids)).logits
        clean = model(**inputs).logits
    torch.testing.assert_close(logits[:, :-3], clean)


def test_generation_gives_what_the_full_pass_gives(model, processor):
    """Greedy decoding with a cache equals argmax over repeated full passes, so generation sees the comparison."""
    inputs = batch(processor, (question(), [picture(1), picture(2)]), (question(images=1, compare=False), [picture(3)]))
    found = model.generate(**inputs, max_new_tokens=4, do_sample=False, eos_token_id=None)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    with torch.no_grad():
        for _ in range(4):
            logits = model(input_ids=ids, attention_mask=mask, pixel_values=inputs["pixel_values"]).logits[:, -1]
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    assert torch.equal(found, ids)


def test_several_answers_to_one_prompt_keep_their_pictures(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]), (question(), [picture(3), picture(4)]))
    once = model.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None)
    beams = model.generate(
        **inputs, max_new_tokens=3, do_sample=False, num_beams=2, num_return_sequences=2, eos_token_id=None
    )
    assert beams.shape[0] == 4
    sampled = model.generate(
        **inputs, max_new_tokens=3, do_sample=True, top_k=1, num_return_sequences=2, eos_token_id=None
    )
    assert torch.equal(sampled, once.repeat_interleave(2, dim=0))


@pytest.mark.parametrize(("settings", "length"), [({"soft_tokens": 0}, 16), ({"heatmap": False}, 9)])
def test_either_half_of_the_comparison_can_be_switched_off(settings, length):
    model, processor = build_tiny(None, **SHAPE, **settings)
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    assert (inputs["input_ids"] == model.config.comparison_token_id).sum() == length
    assert model(**inputs).logits.isfinite().all()


def test_with_both_halves_off_nothing_is_compared():
    model, processor = build_tiny(None, **SHAPE, soft_tokens=0, heatmap=False)
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    assert not (inputs["input_ids"] == model.config.comparison_token_id).any()
    assert torch.equal(model(**inputs).logits, stock(model)(**inputs).logits)
    assert model.emit_parameters() == {}


def test_emit_parameters_are_soft_prompt_and_projector(model):
    names = set(model.emit_parameters())
    assert names == {
        "model.contrastive.soft_prompt.weight",
        *(f"model.contrastive.projector.{layer}.{kind}" for layer in (0, 1) for kind in ("weight", "bias")),
    }


def test_labels_may_hold_placeholders_beyond_the_vocabulary(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    ids = inputs["input_ids"].clone()
    beyond = model.config.text_config.vocab_size + 3
    ids[ids == model.config.comparison_token_id] = beyond
    model.config.comparison_token_id = beyond
    model.model.config.comparison_token_id = beyond
    assert model(**{**inputs, "input_ids": ids}, labels=ids).loss.isfinite()


def test_what_does_not_match_is_said_in_a_sentence(model, processor):
    inputs = batch(processor, (question(), [picture(1), picture(2)]))
    with pytest.raises(UserError, match="2 picture tiles, but 1"):
        model(**{**inputs, "pixel_values": inputs["pixel_values"][:1]})
    model.config.soft_tokens = model.model.config.soft_tokens = 3
    with pytest.raises(UserError, match=r"processor\.match"):
        model(**inputs)
