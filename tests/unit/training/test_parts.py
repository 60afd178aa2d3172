"""What a part begins with."""

from __future__ import annotations

import pytest
import torch

from core.model import load_model
from core.model.adapters import inner_model
from core.model.tiny import build_tiny
from core.training.grounding import LOUD, word_embeddings
from core.training.parts import GUIDED, say_places
from tests.unit.training.conftest import quick


def test_places_begin_as_words_and_keep_what_they_learned(tmp_path):
    texts = ["top left right bottom center no"]
    model, processor = build_tiny(tmp_path / "base", texts=texts, image_size=48, patch_size=8, comparison_places=True)
    assert not model.model.contrastive.places.any()
    model, processor = load_model(tmp_path / "base")
    say_places(model, processor.tokenizer)
    places = model.model.contrastive.places
    top, right, no = word_embeddings(model, processor.tokenizer, ["top", "right", "no"])
    torch.testing.assert_close(places[2], GUIDED * LOUD * (top + right - no))  # 3 x 3 places
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


@pytest.mark.parametrize("parts", [("projector", "mlp"), ("mlp",)], ids=["learned", "not learned"])
def test_what_a_run_begins_with_is_in_what_it_leaves(snapshot, tmp_path, parts):
    """Places that learn begin as words and are kept; where they do not learn, none is spoken that would be lost."""
    from core.training.config import Lora
    from core.training.worker import run
    from tests.unit.grpo.conftest import small_model

    base = small_model(tmp_path, talks=True, comparison_places=True)
    stage = {"max_steps": 2, "train": parts, "adapters": True, "learning_rate": 1e-4}
    config = quick(
        base,
        snapshot,
        lora=Lora(rank=2).__dict__,
        sft=stage,
        grpo={"enabled": False, "train": ["mlp"]},
        evaluate={"final": ""},
    )
    final, processor = load_model(run(config, tmp_path / "run").final, device="cpu")
    places = inner_model(final).model.contrastive.places
    assert places.any() == ("projector" in parts)
    if "projector" in parts:
        assert inner_model(final).model.contrastive.projector[0].running_mean.any()
