"""Files come to their place in the benchmark; what does not fit is listed and the rest goes on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.mmad import Benchmark
from core.pictures import open_image, open_mask
from core.synthesis.placing import place_samples
from core.synthesis.sources.found import Found
from tests.unit.synthesis.trees import SIDE, paint, paint_mask


def found(root: Path, name: str = "0", **more: object) -> Found:
    fields = {"dataset": "D", "product": "bolt", "defect": "hole", "file": paint(root / "in" / f"{name}.png", 1)}
    return Found(image=f"D/bolt/test/hole/{name}.png", **{**fields, **more})  # type: ignore[arg-type]


def place(root: Path, *samples: Found, link: str = "link") -> tuple[list, list[tuple[str, str]]]:
    skipped: list[tuple[str, str]] = []
    return place_samples(samples, root / "out", link=link, skip=lambda *what: skipped.append(what)), skipped


@pytest.mark.parametrize("link", ["link", "copy", "symlink"])
def test_a_whole_picture_and_its_mask_come_unchanged(tmp_path: Path, link: str) -> None:
    mask = paint_mask(tmp_path / "in" / "m.png")
    [sample], skipped = place(tmp_path, found(tmp_path, mask_files=(mask,)), link=link)
    bench = Benchmark(tmp_path / "out", (sample,))
    assert skipped == [] and bench.path(sample.image).read_bytes() == (tmp_path / "in/0.png").read_bytes()
    assert bench.mask_path(sample).read_bytes() == mask.read_bytes()
    assert bench.path(sample.image).is_symlink() == (link == "symlink")
    assert type(sample).__name__ == "Sample"


def test_a_crop_has_the_pixels_of_its_place(tmp_path: Path) -> None:
    mask = paint_mask(tmp_path / "in" / "m.png", (12, 12, 20, 20))
    [sample], _ = place(tmp_path, found(tmp_path, box=(10, 10, 30, 26), mask_files=(mask,), shapes=((0, 0, 2, 2),)))
    bench = Benchmark(tmp_path / "out", (sample,))
    whole = np.asarray(open_image(tmp_path / "in/0.png"))
    assert (np.asarray(open_image(bench.path(sample.image))) == whole[10:26, 10:30]).all()
    cut = open_mask(bench.mask_path(sample))
    assert cut.shape == (16, 20) and cut[2:10, 2:10].all() and cut[:2, :2].all() and cut.sum() == 64 + 4


def test_an_aligned_reference_is_the_first_template_and_marked(tmp_path: Path) -> None:
    other = paint(tmp_path / "in" / "t.png", 9)
    [sample], _ = place(tmp_path, found(tmp_path, box=(0, 0, 8, 8), reference=(other, (0, 0, 8, 8))))
    [template] = sample.similar_templates
    assert (np.asarray(open_image(tmp_path / "out" / template)) == np.asarray(open_image(other))[:8, :8]).all()
    assert sample.extra["aligned"] is True


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("CMYK", ".jpg"), ("P", ".png"), ("LA", ".png"), ("1", ".png"), ("I;16", ".png"), ("RGBA", ".tif")],
)
def test_pictures_of_every_kind_are_placed_and_cut(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / "in" / f"odd{suffix}"
    path.parent.mkdir()
    if mode == "I;16":
        Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)).save(path)
    else:
        paint(path, mode=mode)
    cut = replace(found(tmp_path, "cut", file=path), box=(4, 4, 20, 20))
    samples, skipped = place(tmp_path, found(tmp_path, "whole", file=path), cut)
    assert skipped == [] and [open_image(tmp_path / "out" / s.image).size for s in samples] == [(SIDE, SIDE), (16, 16)]


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    empty = tmp_path / "in" / "empty.png"
    torn = tmp_path / "in" / "torn.png"
    samples = [
        found(tmp_path, "fine"),
        found(tmp_path, "fine"),
        found(tmp_path, "size", mask_files=(paint_mask(tmp_path / "in" / "small.png", size=(20, 20)),)),
        found(tmp_path, "zero", mask_files=(empty,)),
        found(tmp_path, "void", file=empty),
        found(tmp_path, "gone", file=tmp_path / "in" / "nowhere.png"),
        found(tmp_path, "cut", file=torn, box=(0, 0, 9, 9)),
        found(tmp_path, "runs", runs=((3, 3, (1, 2)),)),
        found(tmp_path, "last"),
    ]
    empty.write_bytes(b"")
    torn.write_bytes(paint(tmp_path / "in" / "x.png").read_bytes()[:200])
    placed, skipped = place(tmp_path, *samples)
    assert [s.image.split("/")[-1] for s in placed] == ["fine.png", "last.png"]
    reasons = [why for _, why in skipped]
    for part, why in zip(
        ("taken", "20 x 20", "0 bytes", "0 bytes", "not exist", "torn", "run-length"), reasons, strict=True
    ):
        assert part in why and "Errno" not in why


def test_pictures_of_one_pixel_and_of_many(tmp_path: Path) -> None:
    tall = tmp_path / "in" / "tall.png"
    tall.parent.mkdir()
    Image.new("L", (3, 20_000), 200).save(tall)
    mask = paint_mask(tmp_path / "in" / "m.png", (0, 19_000, 3, 19_500), size=(3, 20_000))
    samples, skipped = place(
        tmp_path,
        found(tmp_path, "long", file=tall, mask_files=(mask,)),
        found(tmp_path, "dot", file=paint(tmp_path / "in" / "one.png", size=(1, 1)), shapes=((0, 0, 1, 1),)),
    )
    assert len(samples) == 2 and skipped == []


def test_two_pictures_that_differ_in_their_ending_keep_their_own_masks(tmp_path: Path) -> None:
    masks = [paint_mask(tmp_path / "in" / f"m{i}.png", (i, 0, i + 5, 5)) for i in range(2)]
    one = found(tmp_path, "a", file=paint(tmp_path / "in" / "p.png", 1), mask_files=(masks[0],))
    two = replace(
        one, image="D/bolt/test/hole/a.jpg", mask=None, file=paint(tmp_path / "in" / "p.jpg"), mask_files=(masks[1],)
    )
    samples, skipped = place(tmp_path, one, two)
    bench = Benchmark(tmp_path / "out", tuple(samples))
    assert skipped == [] and [bench.mask_path(s).read_bytes() for s in bench] == [m.read_bytes() for m in masks]


def test_the_data_set_is_never_written_into(tmp_path: Path) -> None:
    """A hard link that was made is somebody's original: what comes later under that name must not go through it."""
    first = found(tmp_path, "a", mask_files=(paint_mask(tmp_path / "in" / "m.png"),))
    again = replace(
        found(tmp_path, "b", file=paint(tmp_path / "in" / "other.png", 8)), image="D/bolt/ground_truth/test/hole/a.png"
    )
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    _, skipped = place(tmp_path, first, again)
    assert len(skipped) == 1 and {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(UserError, match="No permission"):
        place(tmp_path, found(tmp_path))


def test_a_full_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import shutil

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match="disk is full"):
        place(tmp_path, found(tmp_path), link="copy")
