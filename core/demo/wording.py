"""Words in tokens: the projector says what product a picture shows in the language model's own words.

What the vision tower knows reaches the language model through the tokens of the picture. Left to itself, a small projector finds
a language of its own for that, and a small language model never learns to read it. So tokens shall hold the embeddings of the
words for what the picture shows, beside what else they hold: reading them is then what the reading lessons have taught, to find
a word again. The loss is that of grounding (`core.training.grounding`), which later says defects and places in the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.names import title
from core.synthesis.regions import REGIONS
from core.training.grounding_targets import NOTHING

TITLES = {name: title(name).lower() for name in PRODUCTS}
# Names of defects and places are among them, and "no": said of no picture of the pretraining, they are for tuning to teach.
WORDS = sorted({word for text in (*TITLES.values(), *REGIONS, *DEFECTS, NOTHING) for word in text.split()})


def wording_targets(product: str, side: int) -> np.ndarray:
    """float32 [side * side, len(WORDS)]: 1 for the words that a token of the picture says.

    The product's name is told by the first row alone: where it is said by all tokens, the language model hears less of what is
    said softly there (docs/experiments.md, entry 57).
    """
    target = np.zeros((side * side, len(WORDS)), np.float32)
    target[:side, [WORDS.index(word) for word in TITLES[product].split()]] = 1
    return target


def word_ids(ids: Callable[[str], list[int]]) -> Tensor:
    """The token of each word of WORDS, int64 [len(WORDS)].

    Args:
        ids: token ids of a text.
    """
    return torch.tensor([ids(word)[0] for word in WORDS])
