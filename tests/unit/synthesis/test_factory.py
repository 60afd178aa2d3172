"""The procedural factory: pictures that repeat by seed, masks that tell the truth, facts that match the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import UserError
from core.synthesis.factory import (
    DEFECTS,
    PRODUCTS,
    SEEN_PRODUCTS,
    UNSEEN_DEFECTS,
    UNSEEN_PRODUCTS,
    render,
    render_pair,
    stream,
    trained_defects,
)

PAIRS = [(product, defect) for product in PRODUCTS for defect in PRODUCTS[product].defects]


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_product_renders_with_its_named_parts_and_no_defect(product: str) -> None:
    picture = render(product, None, 3)
    assert picture.image.shape == (224, 224, 3) and picture.image.dtype == np.uint8
    assert not picture.mask.any()
    assert 1 in picture.parts and picture.parts.max() <= len(PRODUCTS[product].parts)
    assert picture.image.std() > 8, "a picture without contrast shows nothing"


@pytest.mark.parametrize(("product", "defect"), PAIRS)
def test_every_defect_a_product_can_have_shows_within_its_mask(product: str, defect: str) -> None:
    for seed, difficulty in ((1, 0.0), (2, 1.0)):
        picture = render(product, defect, seed, difficulty)
        assert 12 <= picture.mask.sum() < 0.5 * picture.mask.size
        assert picture.meta["contrast"] >= 7


def test_the_same_arguments_give_the_same_picture_and_another_seed_another() -> None:
    one, again, other = render("hex_nut", "dent", 7), render("hex_nut", "dent", 7), render("hex_nut", "dent", 8)
    assert np.array_equal(one.image, again.image) and np.array_equal(one.mask, again.mask)
    assert not np.array_equal(one.image, other.image)


def test_difficulty_turns_the_contrast_down() -> None:
    def contrast(difficulty: float) -> float:
        return float(np.mean([render("wood_panel", "stain", seed, difficulty).meta["contrast"] for seed in range(8)]))

    plain, middle, faint = contrast(0.0), contrast(0.5), contrast(1.0)
    assert plain > 1.3 * middle > 1.3 * 1.3 * faint


def test_a_reference_is_another_piece_of_the_same_lot() -> None:
    query, reference = render_pair("carton", "misprint", 5)
    assert query.meta["lot"] == reference.meta["lot"] and query.meta["seed"] != reference.meta["seed"]
    assert reference.meta["defect"] is None and not reference.mask.any()
    assert query.meta["colours"] == reference.meta["colours"]


def test_an_unknown_product_or_an_impossible_defect_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="no 'teapot'"):
        render("teapot", None, 0)
    with pytest.raises(UserError, match="cannot have 'misprint'"):
        render("hex_nut", "misprint", 0)


def test_every_product_has_words_for_all_its_defects() -> None:
    for product in PRODUCTS.values():
        assert set(product.looks) == set(product.effects) == set(product.defects) <= set(DEFECTS), product.name
        names = {part.name for part in product.parts}
        assert {part for parts in product.defects.values() for part in parts} <= names, product.name
        assert set(product.landmarks) <= names, product.name


def test_unseen_combinations_are_never_streamed_but_their_defect_is_known_from_other_products() -> None:
    for product, kinds in UNSEEN_DEFECTS.items():
        for kind in kinds:
            assert kind not in trained_defects(product)
            assert any(kind in trained_defects(other) for other in SEEN_PRODUCTS if other != product)
    assert all(trained_defects(product) == () for product in UNSEEN_PRODUCTS)


def test_a_stream_repeats_by_seed_and_shares_its_work_between_workers() -> None:
    def names(**options: int) -> list[tuple[str, int]]:
        pairs = stream(3, size=64, **options)
        return [(q.meta["product"], q.meta["seed"]) for q, _ in (next(pairs) for _ in range(4))]

    assert names() == names()
    assert names(start=0, step=2)[:2] == names()[::2] and names(start=1, step=2)[:2] == names()[1::2]
