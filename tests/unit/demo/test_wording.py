"""Words in tokens: a token that holds a word's embedding says it, one that holds nothing says nothing."""

from __future__ import annotations

import numpy as np
import torch

from core.demo.wording import TITLES, WORDS, word_ids, wording_targets
from core.synthesis.factory import DEFECTS
from core.synthesis.regions import REGIONS
from core.training.grounding import LOUD, wording_loss
from core.training.grounding_targets import NOTHING

SIDE = 3


def test_the_first_row_names_the_product_and_no_token_a_defect() -> None:
    def said(product: str, token: int) -> set[str]:
        return {word for word, on in zip(WORDS, wording_targets(product, SIDE)[token], strict=True) if on}

    for token in range(SIDE * SIDE):
        assert said("hex_nut", token) == ({"hex", "nut"} if token < SIDE else set())
    silent = {word for text in (*REGIONS, *DEFECTS, NOTHING) for word in text.split()}
    assert silent < set(WORDS), "what is not to be said is taught, too"


def test_no_product_is_told_by_a_word_of_defects() -> None:
    products = {word for text in TITLES.values() for word in text.split()}
    assert not products & {word for text in (*REGIONS, *DEFECTS, NOTHING) for word in text.split()}


def test_a_word_is_said_by_its_embedding() -> None:
    embeddings = torch.linalg.qr(torch.randn(96, len(WORDS), generator=torch.Generator().manual_seed(0))).Q.T
    targets = [wording_targets("leather", SIDE), wording_targets("hex_nut", SIDE)]
    wanted = torch.as_tensor(np.stack(targets))
    right = LOUD * wanted @ embeddings
    loss, known = wording_loss(right, embeddings, wanted)
    worse, unknown = wording_loss(torch.zeros_like(right), embeddings, wanted)
    assert loss < 0.05 < worse and known == 1 > unknown


def test_words_of_a_picture_are_those_of_all_its_tokens() -> None:
    embeddings = torch.linalg.qr(torch.randn(96, len(WORDS), generator=torch.Generator().manual_seed(0))).Q.T
    wanted = torch.as_tensor(wording_targets("leather", SIDE)[None, 0])
    tokens = torch.randn(1, 5, 96)
    whole, each = (wording_loss(tokens, embeddings, w)[0] for w in (wanted, wanted.unsqueeze(1).expand(-1, 5, -1)))
    assert torch.equal(whole, each)


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
