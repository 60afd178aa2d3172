"""Every public layout is read from a miniature tree: which picture is what, with which mask, on which side."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.mmad import Sample
from core.pictures import open_mask
from core.synthesis import read_source
from core.synthesis.placing import place_samples
from core.synthesis.sources import SOURCES, about
from tests.unit.synthesis import trees


@pytest.fixture
def skipped() -> list[tuple[str, str]]:
    return []


def read(name: str, root: Path, skipped: list[tuple[str, str]] | None = None, **options: object) -> list:
    return list(
        read_source(name, root, skip=lambda *what: (skipped if skipped is not None else []).append(what), **options)
    )


def facts(samples: list) -> Counter:
    return Counter((s.product, s.defect, s.split, len(s.mask_files)) for s in samples)


def test_mvtec_tree(tmp_path: Path) -> None:
    samples = read("mvtec", trees.mvtec(tmp_path, ("bottle", "cable")))
    assert all(isinstance(sample, Sample) and sample.source == "mvtec" for sample in samples)
    assert facts([s for s in samples if s.product == "cable"]) == {
        ("cable", None, "train", 0): 3,
        ("cable", None, "test", 0): 3,
        ("cable", "crack", "test", 1): 3,
        ("cable", "hole", "test", 1): 3,
    }
    assert samples[0].image == "MVTec-AD/bottle/train/good/000.png"


def test_one_product_alone_is_enough(tmp_path: Path) -> None:
    samples = read("mvtec", trees.mvtec(tmp_path) / "bottle")
    assert {sample.product for sample in samples} == {"bottle"}


@pytest.mark.parametrize(("name", "dataset"), [("mpdd", "MPDD"), ("goodsad", "GoodsAD")])
def test_sets_with_mvtecs_tree(tmp_path: Path, name: str, dataset: str) -> None:
    samples = read(name, trees.mvtec(tmp_path, ("tubes",)))
    assert {(s.dataset, s.source) for s in samples} == {(dataset, name)}
    assert sum(bool(s.mask_files) for s in samples) == 6


def test_goodsads_masks_have_another_ending_than_its_pictures(tmp_path: Path) -> None:
    trees.paint(tmp_path / "drink_can" / "test" / "opened" / "000001.jpg")
    trees.paint_mask(tmp_path / "drink_can" / "ground_truth" / "opened" / "000001.png")
    [sample] = read("goodsad", tmp_path)
    assert sample.mask_files[0].name == "000001.png"


def test_ds_mvtec_knows_the_metal_nuts_among_the_pills(tmp_path: Path, skipped: list) -> None:
    samples = read("ds-mvtec", trees.ds_mvtec(tmp_path), skipped)
    assert facts(samples) == {("pill", None, "test", 0): 1, ("pill", "crack", "test", 1): 1}
    assert [Path(what).name for what, _ in skipped] == ["005.png"]
    assert len(read("ds-mvtec", tmp_path, nuts="keep")) == 3


def test_loco_unites_all_masks_of_a_picture(tmp_path: Path) -> None:
    samples = read("mvtec-loco", trees.mvtec_loco(tmp_path / "loco"))
    assert facts(samples)["juice_bottle", "logical_anomalies", "test", 2] == 1
    assert facts(samples)["juice_bottle", None, "val", 0] == 1
    logical = next(s for s in samples if s.defect == "logical_anomalies")
    [placed] = place_samples([logical], tmp_path / "out")
    mask = open_mask(tmp_path / "out" / placed.dataset / placed.product / placed.mask)
    assert mask[2, 2] and mask[44, 44] and mask.sum() == 16 + 64


def test_visa_follows_the_one_class_csv(tmp_path: Path, skipped: list) -> None:
    samples = read("visa", trees.visa(tmp_path), skipped)
    assert facts(samples) == {
        ("candle", None, "train", 0): 1, ("candle", None, "test", 0): 1, ("candle", "bad", "test", 1): 1,
    }  # fmt: skip
    assert len(skipped) == 1 and "9999" in skipped[0][0]


def test_visa_without_its_csv_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1cls.csv"):
        read("visa", tmp_path)


def test_real_iad_keeps_all_sides_of_an_item_together(tmp_path: Path, skipped: list) -> None:
    samples = read("real-iad", trees.real_iad(tmp_path), skipped)
    assert Counter(s.defect for s in samples) == {"scratch": 8, None: 20 + 12}
    assert all(bool(s.mask_files) == (s.defect is not None) for s in samples)
    sides = {(s.file.parent, s.split) for s in samples}
    assert len(sides) == len({folder for folder, _ in sides})
    assert {s.extra["view"] for s in samples} == {f"C{i}" for i in range(1, 6)}
    assert len(skipped) == 1 and "'XX'" in skipped[0][1]


def test_real_iad_follows_its_json_lists(tmp_path: Path, skipped: list) -> None:
    samples = read("real-iad", trees.real_iad(tmp_path, lists=True), skipped)
    assert facts(samples) == {("switch", None, "train", 0): 1, ("switch", "scratch", "test", 1): 1}
    assert "gone.jpg" in skipped[0][0]


def test_vision_reads_coco_for_each_split(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "Lens" / split).mkdir(parents=True)
        polygon = {
            "image_id": 1,
            "category_id": 1,
            "segmentation": [[5, 5, 20, 5, 20, 20, 5, 20]],
            "bbox": [5, 5, 15, 15],
        }
        trees.coco(
            tmp_path / "Lens" / split / "_annotations.coco.json", ["0.jpg", "1.jpg"], [polygon], ["Flash Particle"]
        )
    samples = read("vision", tmp_path)
    assert Counter((s.defect, s.split) for s in samples) == {
        (d, s): 1 for d in ("Flash Particle", None) for s in ("train", "val")
    }


class TestCoco:
    def test_polygons_run_lengths_and_boxes_become_masks(self, tmp_path: Path) -> None:
        size = trees.SIDE
        runs = [2 * size + 4, 6, size * size - 2 * size - 10]  # column 2, rows 4 to 9
        annotations = [
            {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9, 0, 9]]},
            {"image_id": 2, "category_id": 1, "segmentation": {"size": [size, size], "counts": runs}},
            {"image_id": 3, "category_id": 1, "bbox": [10, 20, 5, 4]},
        ]
        trees.coco(tmp_path / "in" / "annotations.json", ["a.png", "b.png", "c.png"], annotations, ["dent"])
        placed = place_samples(read("coco", tmp_path / "in"), tmp_path / "out")
        masks = [open_mask(tmp_path / "out" / s.dataset / s.product / s.mask) for s in placed]
        assert masks[0].sum() == 100 and masks[0][:10, :10].all()
        assert masks[1].sum() == 6 and masks[1][4:10, 2].all()
        assert masks[2].sum() == 20 and masks[2][20:24, 10:15].all()

    def test_compressed_run_lengths(self) -> None:
        from core.synthesis.sources.coco import decode_counts

        # long runs take several characters; the third and later counts are differences
        def encode(counts: list[int]) -> str:
            text = ""
            for i, count in enumerate(counts):
                value = count - counts[i - 2] if i > 2 else count
                more = True
                while more:
                    bits = value & 31
                    value >>= 5
                    more = value != (-1 if bits & 16 else 0)
                    text += chr(bits + (32 if more else 0) + 48)
            return text

        for counts in ([5, 2, 2, 2, 5], [0, 1000, 3, 40, 123456, 7], [1]):
            assert decode_counts(encode(counts)) == counts

    def test_dangling_ids_are_listed_and_the_rest_goes_on(self, tmp_path: Path, skipped: list) -> None:
        annotations = [
            {"image_id": 77, "category_id": 1, "bbox": [0, 0, 5, 5]},
            {"image_id": 1, "category_id": 55, "bbox": [0, 0, 5, 5]},
            {"image_id": 2, "category_id": 1, "bbox": [0, 0, 5, 5]},
        ]
        file = trees.coco(tmp_path / "annotations.json", ["a.png", "b.png", "c.png"], annotations, ["dent"])
        content = json.loads(file.read_text())
        content["images"].append({"id": 9, "file_name": "gone.png"})
        content["images"].append({"id": 10, "file_name": "../../etc/passwd.png"})
        file.write_text(json.dumps(content))
        samples = read("coco", tmp_path, skipped)
        # a.png has an annotation of unknown kind: neither normal nor of a defect we could name
        assert {s.file.name: s.defect for s in samples} == {"b.png": "dent", "c.png": None}
        assert len(skipped) == 5

    def test_several_kinds_in_a_picture_are_no_single_kind(self, tmp_path: Path) -> None:
        boxes = [{"image_id": 1, "category_id": c, "bbox": [5 * c, 0, 4, 4]} for c in (1, 2)]
        trees.coco(tmp_path / "annotations.json", ["sub\\a.png"], boxes, ["dent", "stain"])
        [sample] = read("coco", tmp_path)
        assert sample.defect == "combined" and len(sample.shapes) == 2 and "\\" not in sample.image

    def test_missing_parts_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "annotations.json").write_text('{"images": []}')
        with pytest.raises(UserError, match="annotations"):
            read("coco", tmp_path)


class TestFolder:
    def test_masks_are_found_wherever_people_put_them(self, tmp_path: Path) -> None:
        root = tmp_path / "bolt"
        for number, name in enumerate(("good/a.png", "Rust/a.png", "Rust/b.jpg", "Rust/c.png", "Rust/d.png")):
            trees.paint(root / name, number)
        trees.paint_mask(root / "ground_truth" / "Rust" / "a_mask.png")
        trees.paint_mask(root / "masks" / "Rust" / "b.png")
        trees.paint_mask(root / "Rust" / "c_mask.png")
        samples = {s.file.name: s for s in read("folder", root) if s.defect}
        assert {name: [m.name for m in s.mask_files] for name, s in samples.items()} == {
            "a.png": ["a_mask.png"], "b.jpg": ["b.png"], "c.png": ["c_mask.png"], "d.png": [],
        }  # fmt: skip
        assert {(s.product, s.defect) for s in samples.values()} == {("bolt", "Rust")}

    def test_own_splits_are_kept(self, tmp_path: Path) -> None:
        for number, place in enumerate(("train/good", "val/good", "test/good", "test/rust")):
            trees.paint(tmp_path / "bolt" / place / "0.png", number)
        samples = read("folder", tmp_path)
        assert Counter((s.split, s.defect) for s in samples) == {
            ("train", None): 1, ("val", None): 1, ("test", None): 1, ("test", "rust"): 1,
        }  # fmt: skip

    def test_a_folder_of_products_and_other_words_for_good(self, tmp_path: Path) -> None:
        for number, place in enumerate(("nut/OK", "nut/chip", "bolt/normal")):
            trees.paint(tmp_path / place / "0.png", number)
        samples = read("folder", tmp_path, dataset="mine")
        assert {s.image for s in samples} == {"mine/nut/good/0.png", "mine/nut/chip/0.png", "mine/bolt/good/0.png"}

    def test_the_split_by_name_is_the_same_every_time_and_moves_nobody(self, tmp_path: Path) -> None:
        for number in range(40):
            trees.paint(tmp_path / "good" / f"{number}.png", number, size=(4, 4))
        first = {s.image: s.split for s in read("folder", tmp_path, product="x")}
        trees.paint(tmp_path / "good" / "new.png", 99, size=(4, 4))
        second = {s.image: s.split for s in read("folder", tmp_path, product="x")}
        assert first.items() <= second.items() and set(first.values()) == {"train", "val", "test"}

    def test_a_loop_of_links_ends(self, tmp_path: Path) -> None:
        trees.paint(tmp_path / "good" / "deep" / "0.png")
        os.symlink(tmp_path / "good", tmp_path / "good" / "deep" / "again")
        assert [s.image.split("/")[-1] for s in read("folder", tmp_path, product="x")] == ["deep-0.png"]

    def test_odd_names_become_safe_keys(self, tmp_path: Path) -> None:
        name = "ü製品 " + "n" * 200 + ".png"
        trees.paint(tmp_path / "good" / name)
        trees.paint(tmp_path / "good" / "a\\b:c.png", 1)
        samples = read("folder", tmp_path, product="Schräubchen")
        placed = place_samples(samples, tmp_path / "out")
        assert len(placed) == 2 and all(len(s.image.split("/")[-1].encode()) <= 180 for s in placed)
        assert all((tmp_path / "out" / s.image).is_file() and "\\" not in s.image for s in placed)

    def test_an_empty_defect_folder_is_listed(self, tmp_path: Path, skipped: list) -> None:
        trees.paint(tmp_path / "good" / "0.png")
        (tmp_path / "rust").mkdir()
        read("folder", tmp_path, skipped)
        assert "no pictures" in skipped[0][1]


def test_listing_opens_no_picture(tmp_path: Path) -> None:
    """Pictures that are no pictures at all are listed like any other: a source only looks at names."""
    for place in ("train/good", "test/rust"):
        (tmp_path / "bolt" / place).mkdir(parents=True)
        (tmp_path / "bolt" / place / "0.png").write_bytes(b"not a picture")
    assert len(read("mvtec", tmp_path)) == len(read("folder", tmp_path)) == 2


@pytest.mark.parametrize("name", SOURCES)
def test_an_empty_folder_gets_one_clear_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="give"):
        read(name, tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_says_what_it_is(name: str) -> None:
    assert len(about(name)) > 30 and ":" in about(name)


def test_unknown_sources_and_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'mvtek'.*folder"):
        read("mvtek", tmp_path)
    with pytest.raises(UserError, match="'colour'"):
        read("mvtec", tmp_path, colour=1)


class TestDeepPCB:
    def test_crops_hold_one_type_and_boards_stay_on_their_side(self, tmp_path: Path) -> None:
        samples = read("deeppcb", trees.deeppcb(tmp_path, ("group00041", "group44000", "group77000")))
        assert {(s.image.split("/")[2], s.split) for s in samples} == {
            ("group00041", "train"), ("group44000", "val"), ("group77000", "test"),
        }  # fmt: skip
        count = Counter(s.defect for s in samples)
        assert {count[d] for d in ("open", "short", "mousebite", "spur", "copper", "pin-hole")} == {9}
        assert count[None] == 54
        for sample in samples:
            assert sample.reference[1] == sample.box and sample.reference[0].name.endswith("_temp.jpg")
            assert all(0 <= v <= 160 for shape in sample.shapes for v in shape)
            assert (len(sample.shapes) == 0) == (sample.defect is None)

    def test_clean_crops_differ_from_their_reference(self, tmp_path: Path) -> None:
        samples = [s for s in read("deeppcb", trees.deeppcb(tmp_path / "in")) if s.defect is None]
        for placed in place_samples(samples, tmp_path / "out"):
            files = (tmp_path / "out" / placed.image, tmp_path / "out" / placed.similar_templates[0])
            assert files[0].read_bytes() != files[1].read_bytes()
            assert placed.extra["aligned"] is True

    def test_unknown_groups_are_split_whole(self, tmp_path: Path) -> None:
        groups = [f"group9{i}000" for i in range(5)]
        samples = read("deeppcb", trees.deeppcb(tmp_path, groups, count=1))
        sides = {(s.image.split("/")[2], s.split) for s in samples}
        assert len(sides) == 5 and {side for _, side in sides} == {"train", "val", "test"}

    def test_the_same_seed_gives_the_same_crops_and_another_gives_others(self, tmp_path: Path) -> None:
        trees.deeppcb(tmp_path)
        first, again, other = (read("deeppcb", tmp_path, seed=seed) for seed in (1, 1, 2))
        assert first == again != other

    def test_broken_annotations_and_pictures_are_listed(self, tmp_path: Path, skipped: list) -> None:
        trees.deeppcb(tmp_path)
        (tmp_path / "group00041" / "00041_not" / "00041000.txt").write_text("1 2 3 4 9\n")
        (tmp_path / "group00041" / "00041" / "00041001_test.jpg").write_bytes(b"\xff\xd8\xff")
        (tmp_path / "group00041" / "00041" / "00041002_temp.jpg").unlink()
        samples = read("deeppcb", tmp_path, skipped)
        assert {s.split for s in samples} == {"test"} and len(skipped) == 3

    def test_real_boards_fill_all_nine_regions_evenly(self, shared_data: Path) -> None:
        from core.synthesis.regions import summarise

        samples = read("deeppcb", shared_data / "deeppcb", most=20)
        regions: Counter[int] = Counter()
        for sample in samples:
            if sample.defect and sample.split == "train":
                mask = np.zeros((160, 160), bool)
                for x1, y1, x2, y2 in sample.shapes:
                    mask[y1:y2, x1:x2] = True
                regions[summarise(mask).ranked[0]] += 1
        assert set(regions) == set(range(9)) and max(regions.values()) <= 1.5 * min(regions.values())
