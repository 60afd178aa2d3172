"""Feature vectors of whole pictures, and maps of pairs outside of any question."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

from core.errors import UserError
from core.heatmap import compare_pictures
from core.model.features import image_encoder
from tests.unit.model.conftest import picture


def test_the_checkpoints_own_tower_finds_the_same_picture(folder, tmp_path):
    encode = image_encoder(folder)
    pictures = [picture(1), picture(2), picture(3)]
    pictures[0].save(tmp_path / "one.png")
    found = encode([*pictures, tmp_path / "one.png"])
    assert found.dtype == np.float32 and found.shape[0] == 4
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.argsort(-(found[:3] @ found[3]))[0] == 0
    assert encode([]).shape[0] == 0


def test_any_vision_model_of_the_hub_layout_does(tmp_path):
    torch.manual_seed(0)
    CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32
        )
    ).save_pretrained(tmp_path)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    assert image_encoder(tmp_path)([picture(1), picture(2)]).shape == (2, 16)


def test_a_name_that_is_nowhere_is_said_in_a_sentence():
    with pytest.raises(UserError, match="cannot be loaded"):
        image_encoder("nobody/such-a-model")


def test_compare_pictures_is_hot_where_a_defect_is(model, processor):
    reference = picture(5, (56, 56))
    query = reference.copy()
    ImageDraw.Draw(query).rectangle((35, 7, 48, 20), fill="black")
    heat = compare_pictures(model, processor, query, reference, window=0, rotations=(0,))
    assert heat.shape == (8, 8) and heat.dtype == np.float32
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 0 <= row <= 3 and 4 <= column <= 7
    assert compare_pictures(model, processor, reference, reference).max() < 1e-5


def test_compare_pictures_takes_pictures_that_differ_in_size_and_mode(model, processor):
    heat = compare_pictures(model, processor, Image.new("L", (30, 90)), Image.new("RGBA", (64, 20)))
    assert np.isfinite(heat).all()


def test_more_rotations_can_only_find_more_likeness(model, processor):
    query, reference = picture(5), picture(6)
    upright = compare_pictures(model, processor, query, reference, rotations=(0,))
    turned = compare_pictures(model, processor, query, reference, rotations=(0, 90, 180, 270))
    assert (turned <= upright + 1e-6).all() and (turned < upright - 1e-6).any()
    with pytest.raises(UserError, match="Rotations"):
        compare_pictures(model, processor, query, reference, rotations=(45,))
