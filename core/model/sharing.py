"""No picture is encoded twice: which tiles are the same, and features kept between calls while they stay valid.

The G copies of a question carry identical tiles, and generation, reference and policy passes see them again. Tiles are told
apart by a fingerprint of their bits. Kept features belong to one state of the vision tower's weights; a stamp of that state
empties the cache when it changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32}


def fingerprints(tiles: Tensor) -> list[tuple[int, int]]:
    """A key for each tile of [N, ...]: equal bits give equal keys, different ones differ (up to chance below 2^-64).

    Two random linear functions of the tile's bit patterns, modulo 2^64, worked out where the tiles are.
    """
    if not len(tiles):
        return []
    patterns = tiles.detach().flatten(1).contiguous().view(_BITS[tiles.element_size()])
    weights = _weights(patterns.shape[1], str(tiles.device))
    # One tile at a time: 64-bit copies of a whole batch would take four times its memory.
    sums = torch.stack([(pattern.to(torch.int64) * weights).sum(1) for pattern in patterns])
    return [(first, second) for first, second in sums.tolist()]


@lru_cache(maxsize=4)
def _weights(length: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(20250721)
    limits = torch.iinfo(torch.int64)
    with torch.inference_mode(False):
        return torch.randint(limits.min, limits.max, (2, length), generator=generator).to(device)


def weights_stamp(tower: nn.Module) -> Hashable:
    """Changes when the tower computes something else: weights written in place, adapters merged, switched or removed."""
    versions = sum(0 if value.is_inference() else value._version for value in tower.parameters())
    adapters = tuple(
        (bool(module.disable_adapters), tuple(module.active_adapters), tuple(module.merged_adapters))
        for module in cast(Iterable[Any], tower.modules())
        if hasattr(module, "merged_adapters") and hasattr(module, "active_adapters")
    )
    # Merging an adapter writes past torch's version counter, but changes every entry: one of each matrix is looked at.
    corners = [value.detach()[0, 0].float() for value in tower.parameters() if value.ndim == 2]
    return versions, adapters, tuple(torch.stack(corners).tolist()) if corners else ()


def has_active_dropout(tower: nn.Module) -> bool:
    return any(isinstance(module, nn.Dropout) and module.p > 0 and module.training for module in tower.modules())


class FeatureCache:
    """The least recently used features are forgotten when all together pass `limit` bytes."""

    def __init__(self, limit: int = 512 * 2**20) -> None:
        self.limit = limit
        self.size = 0
        self._stamp: Hashable = None
        self._kept: OrderedDict[Hashable, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0

    def valid_for(self, stamp: Hashable) -> FeatureCache:
        """Itself, emptied first if it was filled under another state of the weights."""
        if stamp != self._stamp:
            self.clear()
            self._stamp = stamp
        return self

    def get(self, key: Hashable) -> Tensor | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, value: Tensor) -> None:
        # A copy: a slice would keep the whole batch alive. Taken outside of inference mode, so that a later pass under
        # grad may use it too.
        with torch.inference_mode(False), torch.no_grad():
            value = value.detach().clone()
        old = self._kept.pop(key, None)
        self.size -= old.nbytes if old is not None else 0
        if value.nbytes > self.limit:
            return
        self._kept[key] = value
        self.size += value.nbytes
        while self.size > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self.size -= dropped.nbytes
