"""Masks are summed up in parallel, in every format, and never twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.synthesis import masks
from core.synthesis.masks import MaskReader, summarise_file
from core.synthesis.regions import MaskSummary, summarise
from core.synthesis.store import Store
from tests.unit.synthesis.trees import paint_mask


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA"])
def test_every_kind_of_mask_is_counted_alike(tmp_path: Path, mode: str) -> None:
    mask = np.zeros((60, 90), bool)
    mask[35:58, 20:65] = True
    path = tmp_path / "mask.png"
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8), "L")
        image.putpalette([0, 0, 0, 128, 0, 0])
    elif mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 40000)
    else:
        image = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    image.save(path)
    assert summarise_file(path) == summarise(mask)


def test_a_jpeg_masks_blurred_edge_is_background(tmp_path: Path) -> None:
    mask = np.zeros((90, 90), np.uint8)
    mask[40:50, 40:50] = 255
    Image.fromarray(mask).save(tmp_path / "m.jpg", quality=60)
    assert abs(sum(summarise_file(tmp_path / "m.jpg").areas) - 100) < 30


def test_labels_of_one_count(tmp_path: Path) -> None:
    assert sum(summarise_file(paint_mask(tmp_path / "m.png", value=1)).areas) == 100


def test_a_second_run_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [paint_mask(tmp_path / f"{i}.png", (i, 0, i + 9, 9)) for i in range(20)]
    first = MaskReader(Store(tmp_path / "cache.db")).read_all(files)

    def refuse(path: Path) -> MaskSummary:
        raise AssertionError(f"{path} was opened again")

    monkeypatch.setattr(masks, "summarise_file", refuse)
    (tmp_path / "moved.png").write_bytes(files[3].read_bytes())
    reader = MaskReader(Store(tmp_path / "cache.db"))
    assert reader.read_all(files) == first
    assert reader.read(tmp_path / "moved.png") == first[3]  # by content, not by name


def test_a_bad_mask_is_an_error_in_its_place(tmp_path: Path) -> None:
    good = paint_mask(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "torn.png").write_bytes(paint_mask(tmp_path / "whole.png").read_bytes()[:60])
    found = MaskReader().read_all([good, tmp_path / "empty.png", tmp_path / "torn.png", tmp_path / "gone.png", None])
    assert [isinstance(f, UserError) for f in found] == [False, True, True, True, True]
    with pytest.raises(UserError, match="0 bytes"):
        MaskReader().read(tmp_path / "empty.png")


def test_a_store_that_cannot_be_opened_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "broken.db").write_bytes(b"not a database, " * 100)
    for path in (tmp_path / "file" / "cache.db", tmp_path / "broken.db"):
        store = Store(path)
        store.put("kind", {"a": b"1"})
        assert store.get("kind", ["a", "b"]) == {"a": b"1"} and store.get("other", ["a"]) == {}


def test_a_store_keeps_many_keys(tmp_path: Path) -> None:
    Store(tmp_path / "s.db").put("n", {str(i): bytes([i % 256]) for i in range(2000)})
    assert len(Store(tmp_path / "s.db").get("n", map(str, range(3000)))) == 2000
