"""The offline describer says what can be measured, and nothing it cannot know."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.mmad import Benchmark, Sample
from core.synthesis import describe
from core.synthesis.descriptions import describe_offline
from core.synthesis.descriptions.colors import color_name, describe_picture
from core.synthesis.descriptions.differences import NormalLook
from core.synthesis.descriptions.measuring import lab, measure
from core.synthesis.descriptions.sentences import describe_defect, describe_one, percent
from tests.describing import make_bench


def drawn(shape, color, ground=(128, 128, 128), size=(120, 120)):
    """A picture with one mark, its mask, and the picture without it."""
    normal = Image.new("RGB", size, ground)
    image, mask = normal.copy(), Image.new("L", size)
    shape(ImageDraw.Draw(image), color)
    shape(ImageDraw.Draw(mask), 255)
    return image, np.asarray(mask) > 0, normal


def text_of(shape, color, **settings):
    image, mask, _ = drawn(shape, color, **settings)
    return describe_one(measure(image, mask))


SHAPES = {
    "round": lambda d, c: d.ellipse([10, 10, 30, 30], fill=c),
    "across": lambda d, c: d.line([(10, 60), (110, 60)], fill=c, width=3),
    "down": lambda d, c: d.line([(60, 10), (60, 110)], fill=c, width=3),
    "rising": lambda d, c: d.line([(45, 75), (75, 45)], fill=c, width=3),
    "falling": lambda d, c: d.line([(45, 45), (75, 75)], fill=c, width=3),
    "many": lambda d, c: [d.ellipse([x, 90, x + 9, 99], fill=c) for x in (5, 50, 95)],
    "ragged": lambda d, c: [d.rectangle(b, fill=c) for b in ([85, 85, 115, 91], [85, 85, 91, 115])],
}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("round", "compact, roundish spot in the upper left"),
        ("across", "long, narrow mark that runs horizontally"),
        ("down", "long, narrow mark that runs vertically"),
        ("rising", "long, narrow mark rising to the right in the center"),
        ("falling", "long, narrow mark falling to the right in the center"),
        ("many", "There are several separate compact, roundish spots"),
        ("ragged", "irregularly shaped area in the lower right"),
    ],
)
def test_place_and_shape(shape, words):
    assert words in text_of(SHAPES[shape], (20, 20, 20))


@pytest.mark.parametrize(
    ("color", "ground", "words"),
    [
        ((20, 20, 20), (128, 128, 128), "is much darker than"),
        ((160, 160, 160), (128, 128, 128), "is lighter than"),
        ((170, 110, 110), (128, 128, 128), "redder"),
        ((100, 110, 190), (128, 128, 128), "bluer"),
        ((130, 130, 130), (60, 60, 190), "less colorful"),
        ((129, 129, 129), (128, 128, 128), "hardly differ"),
    ],
)
def test_contrast(color, ground, words):
    assert words in text_of(SHAPES["round"], color, ground=ground)


def test_the_size_is_the_share_of_the_picture():
    image, mask, _ = drawn(lambda d, c: d.rectangle([0, 0, 59, 59], fill=c), (0, 0, 0))
    assert measure(image, mask).share == 0.25
    assert "covers about 25 % of the picture" in describe_one(measure(image, mask))
    assert [percent(s) for s in (0.00001, 0.0004, 0.021, 0.2571)] == ["less than 0.01 %", "0.04 %", "2 %", "26 %"]


def test_an_aligned_reference_shows_what_changed_inside_a_box_mask():
    """A box around a thin line is not a "compact spot": what differs from the reference is."""
    image, _, normal = drawn(SHAPES["across"], (20, 20, 20))
    for picture in (image, normal):  # something to be aligned by
        ImageDraw.Draw(picture).rectangle([0, 90, 60, 119], fill=(230, 230, 230))
    box = np.zeros((120, 120), bool)
    box[40:80, 5:115] = True
    with_reference, without = measure(image, box, normal), measure(image, box)
    assert with_reference.aligned and with_reference.elongation > 10 > without.elongation
    other = Image.fromarray(np.asarray(normal)[::-1])
    assert not measure(image, box, other).aligned, "a turned piece is no reference for a place"


def test_a_defect_that_is_now_lighter_and_now_darker_is_not_said_to_look_the_same():
    measures = []
    for color in ((20, 20, 20), (230, 230, 230)):
        image, mask, _ = drawn(SHAPES["round"], color)
        measures.append(measure(image, mask))
    assert "sometimes lighter and sometimes darker" in describe_defect("mark", "plate", measures)


def test_an_empty_mask_has_no_measures_and_tiny_ones_do():
    image = Image.new("RGB", (40, 30), "gray")
    assert measure(image, np.zeros((30, 40), bool)) is None
    for pixels in (1, 2, 3):
        mask = np.zeros((30, 40), bool)
        mask[0, :pixels] = True
        assert describe_one(measure(image, mask)).startswith("There is")
    assert measure(image, np.ones((30, 40), bool)).share == 1
    assert measure(Image.new("RGB", (1, 1)), np.ones((1, 1), bool)) is not None


def test_a_benchmark_is_described_and_labelled_as_offline(tmp_path):
    bench = make_bench(tmp_path, defects=["scratch", "hole"])
    outcome = describe(bench, "offline")
    texts = {s.label: s.text for s in outcome}
    assert {s.model for s in outcome} == {"offline"} and not outcome.failures
    assert {s.written_from_splits for s in outcome} == {("train",)} and {s.note for s in outcome} == {""}
    assert texts["scratch"].startswith(
        "<Scratch defect>\n Description: The defect 'scratch' on the plate shows as a long"
    )
    assert "lighter" in texts["scratch"] and "lower right" in texts["scratch"]
    assert "roundish spot" in texts["hole"] and "upper left" in texts["hole"] and "much darker" in texts["hole"]
    assert "mainly gray" in texts["good"] and "free of these defects: scratch, hole" in texts["good"]
    assert [s.text for s in describe(bench, "offline")] == [s.text for s in outcome], "the same pictures, the same text"


def test_without_masks_a_clear_defect_is_found_by_comparison_and_said_to_be_a_guess(tmp_path):
    bench = make_bench(tmp_path, masks=False, normals=4, splits=["test"], defects=["hole"])
    (hole,) = describe_offline(bench, labels=["hole"])
    assert "Compared with normal pieces" in hole.text and "upper left" in hole.text and "darker" in hole.text
    assert "no mask" in hole.note and hole.from_test


def test_without_masks_an_invisible_defect_gets_no_invented_text(tmp_path):
    bench = make_bench(tmp_path, masks=False, normals=4, defects=["hole"])
    for sample in bench:
        if sample.defect:
            bench.path(sample.image).write_bytes(bench.path("shop/plate/good/train0.png").read_bytes())
    outcome = describe_offline(bench, labels=["hole"])
    assert not len(outcome) and "draw masks" in outcome.failures[0].reason


def test_normal_pictures_show_no_difference():
    order = np.random.default_rng(0)
    pictures = [Image.fromarray(order.integers(90, 150, (96, 96, 3), np.uint8)) for _ in range(5)]
    look = NormalLook(pictures[:4])
    assert not look.find(pictures[4]).any()
    ImageDraw.Draw(pictures[4]).rectangle([60, 60, 80, 80], fill="red")
    rows, columns = np.nonzero(look.find(pictures[4]))
    assert abs(rows.mean() - 70) < 6 and abs(columns.mean() - 70) < 6


def test_bad_pictures_are_listed_not_fatal(tmp_path):
    bench = make_bench(tmp_path, splits=["train"], defects=["scratch", "hole", "stain"])
    bench.path("shop/plate/scratch/train.png").write_bytes(b"")
    Image.new("L", (10, 10), 255).save(bench.path("shop/plate/masks/hole/train.png"))
    outside = Sample("shop/plate/dent/x.png", "shop", "plate", "dent", "../../../../etc/passwd", "train")
    Image.new("RGB", (96, 96)).save(_made(bench.path(outside.image)))
    outcome = describe_offline(Benchmark(bench.root, (*bench.samples, outside)))
    assert {s.label for s in outcome} == {"stain", "good"}
    assert {f.label for f in outcome.failures} == {"scratch", "hole", "dent"}


def test_stopping_keeps_what_is_written(tmp_path):
    bench = make_bench(tmp_path, products=["a", "b", "c"])
    seen = []
    outcome = describe_offline(bench, progress=lambda done, total: seen.append(done), stop=lambda: len(seen) >= 4)
    assert outcome.stopped and len(outcome) == 4


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((0, 0, 0), "black"), ((128, 128, 128), "gray"), ((250, 250, 250), "white"), ((220, 30, 30), "red"),
     ((120, 70, 30), "brown"), ((200, 180, 150), "beige"), ((40, 160, 60), "green"),
     ((30, 60, 200), "blue"), ((240, 220, 40), "yellow")],
)  # fmt: skip
def test_color_names(rgb, name):
    assert color_name(lab(Image.new("RGB", (1, 1), rgb))[0, 0]) == name


def test_the_ground_is_told_from_the_product():
    picture = Image.new("RGB", (100, 100), "black")
    ImageDraw.Draw(picture).ellipse([20, 20, 80, 80], fill=(30, 60, 200))
    assert "mainly blue on a black background" in describe_picture([picture], "cap")
    assert "background" not in describe_picture([Image.new("RGB", (100, 100), "blue")], "foil")


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
