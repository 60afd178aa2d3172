"""Short statements out of a description: what a defect looks like, and what it means for the product.

A description is a text as in MMAD's knowledge file: "<Title>\\n Description: ...", often with lists and Markdown. A
statement is one of its sentences that can stand alone, with the product's name replaced, so that a sentence on another
product is not told by its words alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from core.synthesis.names import spoken

_EFFECT = re.compile(
    r"\b(leads?|leading|causes?d?|fails?|failure|risk\w*|affect\w*|compromis\w+|impair\w*|function\w*|integrity|reliab\w+|"
    r"durab\w+|safety|usab\w+|weaken\w*|perform\w*|suggest\w*|result\w* (?:of|from|in)|due to|indicat\w+|overheat|"
    r"corrode|flashover|insulation|current|interfer\w+|purpose)\b",
    re.IGNORECASE,
)
# Advice on how to look, and sentences that lean on the one before.
_UNFIT = re.compile(
    r"^(when|to (identify|detect|confirm|the)|by |look for|check|examin|notice|observ|inspect|locate|compare|feel|detecting|"
    r"overall|these |here|key |visual|additionally|in summary|for example|note|such|it |its |they |their |this |those |both |"
    r"on both)",
    re.IGNORECASE,
)
_SHORTEST, _LONGEST = 30, 230


@dataclass(frozen=True, slots=True)
class Statements:
    """Sentences of one description.

    Attributes:
        looks: what can be seen.
        effects: causes and consequences.
    """

    looks: tuple[str, ...]
    effects: tuple[str, ...]


@lru_cache(maxsize=8192)
def statements(text: str, product: str) -> Statements:
    """The usable sentences of `text`, a description that belongs to `product`, in their order."""
    body = re.sub(r"^\s*<[^>]*>", "", text)
    looks: list[str] = []
    effects: list[str] = []
    for line in body.splitlines():  # a title in a line of its own, with or without <>, may come first
        line = re.sub(r"^\s*description\s*:", "", line, flags=re.IGNORECASE)
        line = re.sub(r"\*\*[^*]{0,60}\*\*\s*:?|[*#`]+", "", line)
        line = re.sub(r"^\s*(?:[-•]|\d+[.)])\s*", "", line).strip(" :")
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'])", line):
            sentence = re.sub(r"\s+\d+\.$", "", sentence)  # the number of the next item of a list
            sentence = _unnamed(" ".join(sentence.split()), product)
            if not _SHORTEST <= len(sentence) <= _LONGEST or not sentence.endswith(".") or _UNFIT.match(sentence):
                continue
            (effects if _EFFECT.search(sentence) else looks).append(sentence)
    return Statements(tuple(looks), tuple(effects))


def _unnamed(sentence: str, product: str) -> str:
    for form in sorted({product, spoken(product), product.replace("_", " ")}, key=len, reverse=True):
        # Whole words with their plural; one that is quoted loses the quotes.
        pattern = rf"[\"'“”‘’]?\b{re.escape(form)}s?\b[\"'“”‘’]?"
        sentence = re.sub(pattern, "product", sentence, flags=re.IGNORECASE)
    return sentence[:1].upper() + sentence[1:]


def differ(one: str, other: str) -> bool:
    """Whether two statements say clearly different things (they share at most half of their longer words)."""
    a, b = (set(re.findall(r"\w{4,}", text.lower())) for text in (one, other))
    return len(a & b) <= 0.5 * min(len(a), len(b))
