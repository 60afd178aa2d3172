"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal

Change = tuple[Literal["same", "removed", "added"], str]
# Chinese and Japanese have no spaces: there each character is a word.
_WORD = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def word_diff(before: str, after: str) -> list[Change]:
    """The steps from `before` to `after`; "same" and "added" joined give `after`, "same" and "removed" give `before`.

    >>> word_diff("a dark scratch", "a bright scratch")
    [('same', 'a '), ('removed', 'dark'), ('added', 'bright'), ('same', ' scratch')]
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    changes: list[Change] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            changes.append(("same", "".join(old[i:j])))
            continue
        if i < j:
            changes.append(("removed", "".join(old[i:j])))
        if k < m:
            changes.append(("added", "".join(new[k:m])))
    return changes
