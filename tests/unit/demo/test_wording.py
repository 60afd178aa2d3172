"""Words in tokens: a token that holds a word's embedding says it, one that holds nothing says nothing."""

from __future__ import annotations

import numpy as np
import torch

from core.demo.marks import Mark
from core.demo.wording import WORDS, word_ids, wording_targets
from core.training.grounding import LOUD, wording_loss

MASK = np.zeros((9, 9), bool)


def test_targets_name_shape_and_place_or_nothing() -> None:
    said = {word for word, on in zip(WORDS, wording_targets([Mark("ring", 0, MASK)]), strict=True) if on}
    assert said == {"mark", "round", "ring", "top", "left"}
    assert [word for word, on in zip(WORDS, wording_targets([]), strict=True) if on] == ["no"]
    both = wording_targets([Mark("ring", 0, MASK), Mark("line", 8, MASK)])
    assert both.sum() == len({"mark", "round", "ring", "top", "left", "straight", "line", "bottom", "right"})


def test_a_word_is_said_by_its_embedding() -> None:
    embeddings = torch.linalg.qr(torch.randn(64, len(WORDS), generator=torch.Generator().manual_seed(0))).Q.T
    wanted = torch.as_tensor(np.stack([wording_targets([Mark("dot", 4, MASK)]), wording_targets([])]))
    right = (LOUD * wanted @ embeddings).unsqueeze(1).expand(-1, 5, -1)
    loss, known = wording_loss(right, embeddings, wanted)
    worse, unknown = wording_loss(torch.zeros_like(right), embeddings, wanted)
    assert loss < 0.05 < worse and known == 1 > unknown


def test_no_gradient_goes_to_the_embeddings() -> None:
    embeddings = torch.randn(len(WORDS), 8, requires_grad=True)
    tokens = torch.randn(2, 3, 8, requires_grad=True)
    wording_loss(tokens, embeddings, torch.zeros(2, len(WORDS)))[0].backward()
    assert embeddings.grad is None and tokens.grad is not None


def test_every_word_is_a_token_of_the_shipped_vocabulary() -> None:
    from core.demo.reading import vocabulary
    from core.model.tiny import build_tiny

    tokenizer = build_tiny(texts=vocabulary())[1].tokenizer
    ids = word_ids(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
    assert len(set(ids.tolist())) == len(WORDS)
    assert all(len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1 for word in WORDS)
