"""MPDD: painted metal parts of six kinds, several in a picture and at any angle, with pixel masks.

    <root>/<product>/train/good/000.png
    <root>/<product>/test/{good,<defect>}/000.png
    <root>/<product>/ground_truth/<defect>/000_mask.png

Jezek et al., "Deep learning-based defect detection of metal parts: evaluating current methods in complex conditions",
ICUMT 2021. CC BY-NC-SA 4.0. https://github.com/stepanje/MPDD
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.synthesis.sources import mvtec
from core.synthesis.sources.found import Found, Skip, log_skip


def read(root: Path, *, skip: Skip = log_skip) -> Iterator[Found]:
    """Every picture of every product; the tree is MVTec AD's."""
    return mvtec.read(root, skip=skip, dataset="MPDD", source="mpdd")
