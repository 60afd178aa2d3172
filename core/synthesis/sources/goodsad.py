"""GoodsAD: six kinds of supermarket goods, normal training pictures, defective test pictures with pixel masks.

    <root>/<product>/train/good/000000.jpg
    <root>/<product>/test/{good,<defect>}/000000.jpg
    <root>/<product>/ground_truth/<defect>/000000.png

Zhang et al., "PKU-GoodsAD: A supermarket goods dataset for unsupervised anomaly detection and segmentation", RA-L 2024.
Research use, see the page. https://github.com/jianzhang96/GoodsAD
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.synthesis.sources import mvtec
from core.synthesis.sources.found import Found, Skip, log_skip


def read(root: Path, *, skip: Skip = log_skip) -> Iterator[Found]:
    """Every picture of every product; the tree is MVTec AD's."""
    return mvtec.read(root, skip=skip, dataset="GoodsAD", source="goodsad")
