"""The procedural factory: photographs of products that never were, with exact masks, part maps and facts, from a seed."""

from core.synthesis.factory.catalogue import Defect, Part, Product
from core.synthesis.factory.defects import DEFECTS
from core.synthesis.factory.holdouts import SEEN_PRODUCTS, UNSEEN_DEFECTS, UNSEEN_PRODUCTS, trained_defects
from core.synthesis.factory.products import PRODUCTS
from core.synthesis.factory.rendering import Picture, render, render_pair
from core.synthesis.factory.streaming import stream
from core.synthesis.factory.writing import knowledge_of, write_demo

__all__ = [
    "DEFECTS", "PRODUCTS", "SEEN_PRODUCTS", "UNSEEN_DEFECTS", "UNSEEN_PRODUCTS", "Defect", "Part", "Picture", "Product",
    "knowledge_of", "render", "render_pair", "stream", "trained_defects", "write_demo",
]  # fmt: skip
