"""What a model is never trained on, fixed once for all seeds: some products, and some (product, defect) combinations.

Seeds of lots, pieces and shots derive from the split's name, so no test instance ever occurs in training either.
"""

from __future__ import annotations

import hashlib

from core.synthesis.factory.products import PRODUCTS

# Chosen so that each has seen relatives of its material and structure.
UNSEEN_PRODUCTS: tuple[str, ...] = tuple(
    name for name in ("biscuit", "ball_bearing", "zipper", "ceramic_tile") if name in PRODUCTS
)
SEEN_PRODUCTS: tuple[str, ...] = tuple(name for name in PRODUCTS if name not in UNSEEN_PRODUCTS)


def _hash(*words: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, words)).encode()).digest()[:8], "big")


def seed_of(split: str, seed: int, *numbers: object) -> int:
    """A seed (62 bits) that only this split, seed and place have."""
    return _hash(split, seed, *numbers) >> 2


def _unseen_defects() -> dict[str, tuple[str, ...]]:
    """For every seen product a quarter of its defects, spread so that each kind stays seen on other products."""
    used: dict[str, int] = {}
    chosen = {}
    for name in SEEN_PRODUCTS:
        kinds = sorted(PRODUCTS[name].defects, key=lambda kind: (used.get(kind, 0), _hash(name, kind)))
        # A kind that few products show must not be taken from its last one.
        shown = {k: sum(k in PRODUCTS[n].defects for n in SEEN_PRODUCTS) for k in kinds}
        kinds = [k for k in kinds if shown[k] - used.get(k, 0) > 2][: max(1, len(kinds) // 4)]
        for kind in kinds:
            used[kind] = used.get(kind, 0) + 1
        chosen[name] = tuple(kinds)
    return chosen


UNSEEN_DEFECTS: dict[str, tuple[str, ...]] = _unseen_defects()


def trained_defects(product: str) -> tuple[str, ...]:
    """The defects of a product that training may show; () for an unseen product."""
    if product in UNSEEN_PRODUCTS:
        return ()
    return tuple(kind for kind in PRODUCTS[product].defects if kind not in UNSEEN_DEFECTS[product])
