"""Passages as token ids: what the tiny base reads, and which of it is to be learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.demo.lessons import COMPARED, PICTURE, Passage

Row = tuple[list[int], list[int]]  # token ids and labels; -100 where nothing is learned


def row(passage: Passage, processor: Any) -> Row:
    """Token ids and labels of a passage; pictures and comparisons stand as the processor writes them."""
    from core.model.processing import COMPARISON

    picture = f"<img>{'<IMG_CONTEXT>' * processor.image_seq_length}</img>\n"
    compared = COMPARISON * processor.comparison_length
    ids: list[int] = []
    labels: list[int] = []
    for part in passage.parts:
        piece = ids_of(part.text.replace(PICTURE, picture).replace(COMPARED, compared), processor)
        ids += piece
        labels += piece if part.learned else [-100] * len(piece)
    return ids, labels


def padded(rows: list[Row], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """`input_ids`, `attention_mask`, `labels` [B, T], padded on the right; -100 where nothing is learned."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [pad] * (length - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [-100] * (length - len(row)) for _, row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row, _ in rows])
    return ids, mask, labels


def ids_of(text: str, processor: Any) -> list[int]:
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]
