"""A checkpoint small enough that every scenario takes a blink: InternVL's architecture, 8 x 8 patches."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from core.model import load_model
from core.model.tiny import build_tiny

SHAPE = {
    "image_size": 56, "patch_size": 7, "vision_width": 32, "vision_layers": 4, "vision_heads": 2,
    "width": 32, "layers": 2, "heads": 2, "key_value_heads": 1, "window": 3, "rotations": (0, 90, 180, 270),
}  # fmt: skip


def question(text="Is there any defect in the object?", *, images=2, compare=True):
    parts = [{"type": "image"} for _ in range(images)] + [{"type": "text", "text": text}]
    return [{"role": "user", "content": [*parts, *([{"type": "comparison"}] if compare else [])]}]


def picture(seed, size=(70, 50), mode="RGB"):
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def batch(processor, *items):
    """Tensors of (question, pictures) pairs."""
    texts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat, _ in items]
    return processor(text=texts, images=[shown for _, shown in items], return_tensors="pt", padding=True)


@pytest.fixture(scope="session", autouse=True)
def two_threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A saved checkpoint whose layer scale and class token are not the trivial ones of a fresh model."""
    path = tmp_path_factory.mktemp("checkpoint") / "emit"
    model, processor = build_tiny(None, **SHAPE)
    with torch.no_grad():
        torch.manual_seed(1)
        for name, value in model.named_parameters():
            if "lambda" in name or "position_embeddings" in name or "cls_token" in name:
                value.add_(torch.randn_like(value) * 0.3)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def loaded(folder):
    return load_model(folder, device="cpu")


@pytest.fixture
def model(loaded):
    return copy.deepcopy(loaded[0])


@pytest.fixture(scope="session")
def processor(loaded):
    return loaded[1]
