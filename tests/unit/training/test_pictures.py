"""Pictures are cut once, give what the processor gives, and are forgotten when there are too many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from core.model import load_model
from core.pictures import open_image
from core.training.pictures import keep_pictures


@pytest.fixture
def paths(tmp_path) -> list[str]:
    draw = np.random.default_rng(0)
    found = []
    for i, size in enumerate([(40, 40), (64, 30), (1, 1)]):  # the last is as small as a blank
        path = tmp_path / f"{i}.png"
        Image.fromarray(draw.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
        found.append(str(path))
    return found


def ask(processor, pictures) -> torch.Tensor:
    text = "<IMG_CONTEXT>" * len(pictures)
    return processor(text=[text], images=[pictures], return_tensors="pt", padding=True)["pixel_values"]


def test_the_same_tiles_without_opening_or_cutting_again(base, paths, monkeypatch):
    _, processor = load_model(base, device="cpu")
    expected = ask(processor, [open_image(path) for path in paths])
    kept, pictures = keep_pictures(processor)
    assert torch.equal(ask(kept, [pictures.open(path) for path in paths]), expected)
    monkeypatch.setattr("core.training.pictures.open_image", None)
    monkeypatch.setattr(type(pictures.image_processor), "__call__", None)
    assert torch.equal(ask(kept, [pictures.open(path) for path in reversed(paths)]), expected.flip(0))
    assert processor.image_processor is not pictures


def test_tiles_forgotten_between_opening_and_asking_are_cut_again(base, paths):
    _, processor = load_model(base, device="cpu")
    expected = ask(processor, [open_image(path) for path in paths])
    kept, pictures = keep_pictures(processor)
    ask(kept, [pictures.open(path) for path in paths])
    blanks = [pictures.open(path) for path in paths]
    assert {blank.size for blank in blanks} == {(1, 1)}
    pictures.limit = expected[0].nbytes
    ask(kept, [pictures.open(paths[2])])  # leaves room for one
    assert len(pictures._tiles) == 1 and pictures._size == expected[0].nbytes
    assert torch.equal(ask(kept, blanks), expected)


def test_a_picture_from_elsewhere_is_cut_and_not_kept(base, paths):
    _, processor = load_model(base, device="cpu")
    kept, pictures = keep_pictures(processor)
    plain = open_image(paths[0])
    assert torch.equal(ask(kept, [plain]), ask(processor, [plain])) and not pictures._tiles
