"""What can be asked of a picture beside its defect: parts, purpose, material, colours, counts, places.

Wrong options must be false for certain, so everything that could be said of a product in good faith (another word for its
colour, a part many products have, a kindred purpose or material) is never offered against it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from core.synthesis.factory.catalogue import Product
from core.synthesis.factory.materials import MATERIALS
from core.synthesis.factory.products import PRODUCTS
from core.synthesis.regions import WORDINGS

Fact = tuple[str, str, list[str]]  # question, right option, at least three wrong options

_COLOURS = ("red", "blue", "green", "yellow", "orange", "black", "white", "grey", "brown", "beige", "pink", "purple")
# colour word -> basic colours somebody might call it too
_ALSO = {
    "silver grey": {"grey", "white"}, "dark grey": {"grey", "black"}, "golden yellow": {"yellow", "orange", "brown", "beige"},
    "light brown": {"brown", "beige", "orange", "yellow"}, "dark brown": {"brown", "black", "red"},
    "pale yellow": {"yellow", "beige", "white", "brown"}, "reddish brown": {"red", "brown", "orange"},
    "golden": {"yellow", "orange", "brown", "beige"}, "beige": {"brown", "yellow", "white", "grey", "orange"},
    "brown": {"beige", "orange", "red", "black"}, "orange": {"red", "yellow", "brown"}, "white": {"beige", "grey"},
    "grey": {"white", "black", "beige", "blue"}, "black": {"grey", "brown"}, "yellow": {"beige", "orange"},
    "pink": {"red", "purple", "beige", "orange"}, "red": {"orange", "pink", "brown", "purple"}, "blue": {"purple", "grey"},
    "green": {"grey"},
}  # fmt: skip
# parts that no other product could be said to have
_VIVID = (
    "hexagon", "threaded bore", "capacitor", "chip leg", "warp thread", "barcode", "ribbed skirt", "insulation", "wood", "throat",
    "tablet", "leather", "dough", "shank", "ball", "cage", "cross wire",
)  # fmt: skip
_KINDRED_PURPOSES = (
    {"woven_cloth", "leather"}, {"button", "zipper", "bottle_cap"}, {"wood_panel", "ceramic_tile"}, {"cable", "circuit_board"},
    {"hex_nut", "bracket", "wood_screw"}, {"glass_bottle", "bottle_cap"}, {"carton", "blister_pack"},
)  # fmt: skip
_KINDRED_MATERIALS = (
    {"steel", "brass", "copper", "aluminium", "painted metal", "aluminium foil"}, {"paper", "cardboard"},
    {"plastic", "rubber", "circuit board"}, {"dough", "chocolate"}, {"ceramic", "glass", "pressed powder"}, {"fabric", "leather"},
)  # fmt: skip


def facts(
    product: Product, meta: Mapping[str, Any], rng: random.Random, among: Collection[str] = tuple(PRODUCTS)
) -> Iterator[Fact]:
    """Facts of a picture as questions; one its defect may have changed is left out.

    Args:
        meta: `Picture.meta`.
        among: products whose parts, purposes and materials are wrong options.
    """
    others = [PRODUCTS[name] for name in PRODUCTS if name in among]
    yield from _part(product, meta, rng, others)
    yield _purpose(product, rng, others)
    yield _material(product, rng, others)
    defect = meta["defect"]
    if meta["colours"] and defect not in {"discolouration", "stain"}:
        name, colour = rng.choice(sorted(meta["colours"].items()))
        wrong = [c for c in _COLOURS if c != colour and c not in _ALSO[colour]]
        yield (f"What colour is the {name} of the product in the query picture?", _capital(colour),
               [_capital(c) for c in rng.sample(wrong, 3)])  # fmt: skip
    if meta["counts"] and defect is None:
        name, count = rng.choice(sorted(meta["counts"].items()))
        near = [n for n in range(max(0, count - 3), count + 4) if n != count]
        yield (f"How many parts of the kind “{name}” does the product in the query picture show?", str(count),
               [str(n) for n in rng.sample(near, 3)])  # fmt: skip
    if meta["landmarks"]:
        name, cell = rng.choice(sorted(meta["landmarks"].items()))
        far = [c for c in range(9) if abs(c // 3 - cell // 3) + abs(c % 3 - cell % 3) >= 2]
        yield (f"Where in the query picture is the {name}?", _capital(rng.choice(WORDINGS[cell])),
               [_capital(rng.choice(WORDINGS[c])) for c in rng.sample(far, 3)])  # fmt: skip


def _part(product: Product, meta: Mapping[str, Any], rng: random.Random, others: Sequence[Product]) -> Iterator[Fact]:
    own = {part.name for part in product.parts}
    theirs = {part.name for other in others for part in other.parts} - own
    strange = [name for name in _VIVID if name in theirs and not _relatives(product, name)]
    if meta.get("visible"):
        yield ("Which of these parts does the product in the query picture have?", _capital(rng.choice(list(meta["visible"]))),
               [_capital(name) for name in rng.sample(strange, 3)])  # fmt: skip


def _relatives(product: Product, part: str) -> bool:
    """The part belongs to a product of the same category."""
    return any(part == p.name for o in PRODUCTS.values() if o.category == product.category for p in o.parts)


def _purpose(product: Product, rng: random.Random, others: Sequence[Product]) -> Fact:
    near = {name for group in _KINDRED_PURPOSES if product.name in group for name in group} | {product.name}
    wrong = [f"To {p.purpose}." for p in others if p.name not in near]
    return "What is the product in the query picture used for?", f"To {product.purpose}.", rng.sample(wrong, 3)


def _material(product: Product, rng: random.Random, others: Sequence[Product]) -> Fact:
    body, own = product.parts[0], {MATERIALS[part.material].words for part in product.parts}
    near = own | {word for group in _KINDRED_MATERIALS if own & group for word in group}
    theirs = {MATERIALS[part.material].words for other in others for part in other.parts}
    wrong = sorted(theirs - near)
    return (f"What is the {body.name} of the product in the query picture made of?", _capital(MATERIALS[body.material].words),
            [_capital(word) for word in rng.sample(wrong, 3)])  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
