"""What a part begins with."""

from __future__ import annotations

import torch

from core.model import load_model
from core.model.tiny import build_tiny
from core.training.grounding import LOUD, word_embeddings
from core.training.parts import HEARD, say_places


def test_places_begin_as_words_and_keep_what_they_learned(tmp_path):
    texts = ["top left right bottom center"]
    model, processor = build_tiny(tmp_path / "base", texts=texts, image_size=48, patch_size=8, comparison_places=True)
    assert not model.model.contrastive.places.any()
    model, processor = load_model(tmp_path / "base")
    say_places(model, processor.tokenizer)
    places = model.model.contrastive.places
    top, right = word_embeddings(model, processor.tokenizer, ["top", "right"])
    torch.testing.assert_close(places[2], HEARD * LOUD * (top + right))  # 3 x 3 tokens
    with torch.no_grad():
        places[0] = 1.0
    before = places.detach().clone()
    say_places(model, processor.tokenizer)
    assert torch.equal(places, before)


def test_without_vectors_nothing_happens(tmp_path):
    model, processor = build_tiny(image_size=48, patch_size=8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    say_places(model, processor.tokenizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
