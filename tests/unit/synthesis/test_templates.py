"""Templates are the most similar normal pictures, never the query itself, found in bounded memory and kept by content."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.mmad import Benchmark, Sample
from core.synthesis import similar_templates, with_templates
from core.synthesis.features import describe_pixels
from core.synthesis.store import Store
from core.synthesis.templates import nearest
from tests.unit.synthesis.trees import paint


def shade(path: Path, grey: int) -> Path:
    """A picture whose left half is `grey`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((20, 20, 3), 255, np.uint8)
    pixels[:, :10] = grey
    Image.fromarray(pixels).save(path)
    return path


def by_grey(images: Sequence[Image.Image]) -> np.ndarray:
    """The angle of a unit vector is the grey of the first pixel."""
    angles = np.array([np.asarray(image)[0, 0, 0] / 255 for image in images])
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_the_nearest_come_first_and_the_query_never(tmp_path: Path) -> None:
    normals = [shade(tmp_path / f"{grey}.png", grey) for grey in (0, 100, 120, 190)]
    copy = tmp_path / "copy of 100.png"
    shutil.copy(normals[1], copy)
    assert similar_templates([normals[1], shade(tmp_path / "q.png", 195), copy], normals, by_grey, k=2) == [
        [2, 3],
        [3, 2],
        [2, 3],
    ]


def test_equal_normals_count_once(tmp_path: Path) -> None:
    normals = [shade(tmp_path / "a.png", 10), shade(tmp_path / "b.png", 10), shade(tmp_path / "c.png", 200)]
    assert similar_templates([shade(tmp_path / "q.png", 12)], normals, by_grey) == [[0, 2]]


def test_broken_pictures_are_listed_and_nobodys_template(tmp_path: Path) -> None:
    normals = [shade(tmp_path / "a.png", 10), tmp_path / "torn.png", tmp_path / "gone.png"]
    normals[1].write_bytes(b"\x89PNG torn")
    skipped: list[tuple[str, str]] = []
    found = similar_templates(
        [shade(tmp_path / "q.png", 12), normals[1]], normals, by_grey, skip=lambda *w: skipped.append(w)
    )
    assert found == [[0], []] and {Path(what).name for what, _ in skipped} == {"torn.png", "gone.png"}


def test_a_second_run_encodes_nothing_and_another_feature_everything(tmp_path: Path) -> None:
    calls: list[int] = []

    def encode(images: Sequence[Image.Image]) -> np.ndarray:
        calls.append(len(images))
        return by_grey(images)

    encode.cache_name = "grey"  # type: ignore[attr-defined]
    files = [shade(tmp_path / f"{grey}.png", grey) for grey in range(0, 200, 4)]
    first = similar_templates(files, files, encode, store=Store(tmp_path / "c.db"))
    assert sum(calls) == 50 and max(calls) <= 32
    assert similar_templates(files, files, encode, store=Store(tmp_path / "c.db")) == first and sum(calls) == 50
    encode.cache_name = "other"  # type: ignore[attr-defined]
    similar_templates(files, files, encode, store=Store(tmp_path / "c.db"))
    assert sum(calls) == 100


def test_ten_thousand_pictures_need_no_square_matrix() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((10_000, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    keys = [str(i) for i in range(len(rows))]
    tracemalloc.start()
    found = nearest(rows, keys, rows, keys, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000 * 10_000 * 4 / 4
    for query in (0, 4321, 9999):
        scores = rows @ rows[query]
        scores[query] = -2
        assert found[query] == list(np.argsort(-scores)[:10])


def test_the_plain_feature_prefers_the_same_scene(tmp_path: Path) -> None:
    scenes = [paint(tmp_path / f"{i}.png", i, size=(64, 64)) for i in range(6)]
    with Image.open(scenes[4]) as image:
        darker = Image.eval(image, lambda v: int(v * 0.9))
    darker.save(tmp_path / "query.png")
    assert similar_templates([tmp_path / "query.png"], scenes, describe_pixels, k=1) == [[4]]
    assert describe_pixels([]).shape == (0, 960)
    assert np.isfinite(describe_pixels([Image.new("RGB", (1, 1)), Image.new("RGB", (3000, 1))])).all()


def product(root: Path, layout: Sequence[tuple[str, str | None]]) -> Benchmark:
    samples = []
    for number, (split, defect) in enumerate(layout):
        image = f"D/bolt/{split}/{defect or 'good'}/{number}.png"
        paint(root / image, number, size=(24, 24))
        samples.append(Sample(image, "D", "bolt", defect, split=split))
    return Benchmark(root, tuple(samples))


def test_a_test_picture_is_never_shown_in_training(tmp_path: Path) -> None:
    layout = [("train", None)] * 3 + [("test", None)] * 3 + [("train", "hole"), ("test", "hole")]
    for sample in with_templates(product(tmp_path, layout), k=2):
        templates = (*sample.similar_templates, *sample.random_templates)
        assert len(sample.similar_templates) == 2 and sample.image not in templates
        assert all(template.startswith("D/bolt/train/good/") for template in templates)


def test_where_all_normal_pictures_are_test_pictures_only_the_test_gets_them(tmp_path: Path) -> None:
    bench = product(tmp_path, [("test", None)] * 3 + [("test", "hole"), ("train", "hole")])
    found = {s.image: s.similar_templates for s in with_templates(bench, k=5)}
    assert [len(found[s.image]) for s in bench] == [2, 2, 2, 3, 0]


def test_what_a_source_states_stays_first(tmp_path: Path) -> None:
    bench = product(tmp_path, [("train", None)] * 3)
    aligned = Sample("D/bolt/x/good/9.png", "D", "bolt", similar_templates=("D/bolt/reference/9.png",))
    paint(tmp_path / aligned.image, 9)
    *_, last = with_templates(bench.select([*bench, aligned]), k=3)
    assert last.similar_templates[0] == "D/bolt/reference/9.png" and len(last.similar_templates) == 3


def test_a_torn_picture_is_left_out_of_the_benchmark(tmp_path: Path) -> None:
    bench = product(tmp_path, [("train", None)] * 4)
    (tmp_path / bench.samples[1].image).write_bytes(b"torn")
    skipped: list[tuple[str, str]] = []
    kept = with_templates(bench, skip=lambda *what: skipped.append(what))
    assert [s.image for s in kept] == [s.image for i, s in enumerate(bench) if i != 1]
    assert len(skipped) == 1 and all(bench.samples[1].image not in s.similar_templates for s in kept)


@pytest.mark.parametrize("mode", ["I;16", "P", "CMYK", "LA", "1"])
def test_odd_pictures_have_features_too(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    if mode == "I;16":
        path = tmp_path / "odd.png"
        Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 100).save(path)
    else:
        path = paint(tmp_path / f"odd{suffix}", mode=mode)
    assert similar_templates([path], [paint(tmp_path / "n.png", 3)]) == [[0]]
