"""Words in tokens: the projector says what a picture shows in the language model's own words.

What the vision tower knows of a mark reaches the language model through the tokens of the picture. Left to itself, a small
projector finds a language of its own for that, and a small language model never learns to read it. So each token of a picture
shall hold the embeddings of the words for what the picture shows, beside what else it holds: reading them is then what the
reading lessons have taught, to find a word again. The loss is that of grounding (`core.training.grounding`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from core.demo.marks import Mark
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.names import title
from core.synthesis.regions import REGIONS
from core.training.grounding_targets import NOTHING

SAID = {
    "line": "mark straight line", "curve": "mark curled line", "zigzag": "mark jagged line", "dot": "mark round spot",
    "chip": "mark spot corners", "ring": "mark round ring", "blob": "mark ragged area", "tint": "mark soft area",
    "bulge": "mark bright dark", "moved": "mark piece wrong",
}  # fmt: skip
TITLES = {name: title(name).lower() for name in PRODUCTS}
# Names of defects are among them, and said of no picture of the pretraining.
WORDS = sorted(
    {word for text in (*SAID.values(), *TITLES.values(), *REGIONS, *DEFECTS, NOTHING) for word in text.split()}
)


def wording_targets(marks: Sequence[Mark], product: str, side: int) -> np.ndarray:
    """float32 [side * side, len(WORDS)]: 1 for the words that a token of the picture says.

    All tell of the marks and their places. The product's name is told by the first row alone: where it is said by all tokens,
    the language model hears less of what is said softly there (docs/experiments.md, entry 57).
    """
    target = np.zeros((side * side, len(WORDS)), np.float32)
    for text in [f"{SAID[mark.shape]} {REGIONS[mark.cell]}" for mark in marks] or [NOTHING]:
        target[:, [WORDS.index(word) for word in text.split()]] = 1
    target[:side, [WORDS.index(word) for word in TITLES[product].split()]] = 1
    return target


def word_ids(ids: Callable[[str], list[int]]) -> Tensor:
    """The token of each word of WORDS, int64 [len(WORDS)].

    Args:
        ids: token ids of a text.
    """
    return torch.tensor([ids(word)[0] for word in WORDS])
