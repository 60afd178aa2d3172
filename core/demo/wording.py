"""Words in tokens: the projector says what a picture shows in the language model's own words.

What the vision tower knows of a mark reaches the language model through the tokens of the picture. Left to itself, a small
projector finds a language of its own for that, and a small language model never learns to read it. So each token of a picture
shall hold the embeddings of the words for what the picture shows, beside what else it holds: reading them is then what the
reading lessons have taught, to find a word again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from core.demo.marks import Mark
from core.synthesis.regions import REGIONS

SAID = {
    "line": "mark straight line", "curve": "mark curled line", "zigzag": "mark jagged line", "dot": "mark round spot",
    "chip": "mark spot corners", "ring": "mark round ring", "blob": "mark ragged area", "tint": "mark soft area",
    "bulge": "mark bright dark", "moved": "mark piece wrong",
}  # fmt: skip
NOTHING = "no"
WORDS = sorted({word for text in (*SAID.values(), *REGIONS, NOTHING) for word in text.split()})
LOUD = 3.0  # times a word's embedding that stand for "said"
SURE = 4.0  # logit of a word that is said so, and of one that is not at all with the other sign


def wording_targets(marks: Sequence[Mark]) -> np.ndarray:
    """float32 [len(WORDS)]: 1 for the words that tell of the marks and their places."""
    target = np.zeros(len(WORDS), np.float32)
    for text in [f"{SAID[mark.shape]} {REGIONS[mark.cell]}" for mark in marks] or [NOTHING]:
        target[[WORDS.index(word) for word in text.split()]] = 1
    return target


def word_ids(ids: Callable[[str], list[int]]) -> Tensor:
    """The token of each word of WORDS, int64 [len(WORDS)].

    Args:
        ids: token ids of a text.
    """
    return torch.tensor([ids(word)[0] for word in WORDS])


def wording_loss(tokens: Tensor, embeddings: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, share of tokens that say rightly whether there is a mark).

    Args:
        tokens: of the pictures, as the language model gets them, [N, T, width].
        embeddings: of WORDS, [len(WORDS), width]; no gradient goes to them.
        wanted: see `wording_targets`, [N, len(WORDS)].
    """
    embeddings = embeddings.detach()
    amount = tokens @ embeddings.T / embeddings.square().sum(1)
    logits = 2 * SURE / LOUD * amount - SURE
    wanted = wanted.unsqueeze(1).expand_as(logits)
    mark = WORDS.index("mark")
    right = ((logits[..., mark] > 0) == (wanted[..., mark] > 0.5)).float().mean()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted), right
