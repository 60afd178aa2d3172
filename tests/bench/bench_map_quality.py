"""Is the map any good? Pixel-level AUROC on real boards and on demo products, by window and rotations.

The vision tower is the shipped tiny one (random weights if it is not there). Only test pieces are looked at: DeepPCB's test
boards, and pieces of the procedural factory from the test split's seeds, apart by how they lie (slightly off, in quarter
turns, at any angle). The map is scaled bilinearly to the picture, and the pixels of all defective samples are pooled. A
grid of ten pairs (query, reference, mask, map) is written to `build/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from core.heatmap import anomaly_map, overlay
from core.heatmap.pictures import resize_map
from core.model import load_model
from core.model.tiny import build_tiny
from core.pictures import open_image

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared" / "data" / "deeppcb"
SHIPPED = PROJECT / "data" / "models" / "emit-tiny"
WINDOWS = (0, 1, 2, 3, 6, 14)
ROTATIONS = ((0,), (0, 180), (0, 90, 180, 270))
THUMBNAIL = 112

Pair = tuple[Image.Image, Image.Image, np.ndarray]  # query, reference, mask


def boards() -> Iterator[Pair]:
    """Defective crops of DeepPCB's test boards, at most 15 of each of the six defects."""
    from core.synthesis import read_source

    for found in read_source("deeppcb", SHARED, most=15):
        if found.split == "test" and not found.is_normal and found.box and found.reference:
            mask = np.zeros((found.box[3] - found.box[1], found.box[2] - found.box[0]), dtype=bool)
            for left, top, right, bottom in found.shapes:
                mask[int(top) : int(bottom), int(left) : int(right)] = True
            template, place = found.reference
            yield open_image(found.file).crop(found.box), open_image(template).crop(place), mask


def pieces(turns: tuple[str, ...], most: int = 2) -> Iterator[Pair]:
    """Test pieces of the factory's products that lie in one of the ways `turns`, `most` of each defect."""
    from core.synthesis.factory import PRODUCTS, render_pair
    from core.synthesis.factory.holdouts import seed_of

    for name, product in PRODUCTS.items():
        for defect in product.defects if product.turn in turns else ():
            for number in range(most):
                query, reference = render_pair(name, defect, seed_of("test", 0, name, defect, number))
                yield Image.fromarray(query.image), Image.fromarray(reference.image), query.mask


def maps_of(model, processor, query, reference) -> dict[tuple[int, tuple[int, ...]], np.ndarray]:  # noqa: ANN001
    """The map under every setting, from one pass over query and turned references."""
    thumbnails = torch.cat([processor.thumbnail(query), processor.thumbnail(reference)])
    tiles = torch.cat([thumbnails, *(torch.rot90(thumbnails[1:], turns, dims=(-2, -1)) for turns in (1, 2, 3))])
    states = model.model.patch_features(tiles)
    found = {}
    for rotations in ROTATIONS:
        turned = [torch.cat([state[1 + degrees // 90] for degrees in rotations])[None] for state in states]
        for window in WINDOWS:
            found[window, rotations] = anomaly_map([state[:1] for state in states], turned, window=window)[0, 0].numpy()
    return found


def measure(name: str, pairs: Iterator[Pair], model, processor) -> None:  # noqa: ANN001
    scores: dict[tuple[int, tuple[int, ...]], list[np.ndarray]] = defaultdict(list)
    truth, shown = [], []
    for index, (query, reference, mask) in enumerate(pairs):
        maps = maps_of(model, processor, query, reference)
        # Every fourth pixel each way: a sixteenth of the memory for the same figure.
        truth.append(mask[::4, ::4].ravel())
        for setting, heat in maps.items():
            scores[setting].append(resize_map(heat, mask.shape)[::4, ::4].ravel())
        if index % 11 == 0:
            shown.append((query, reference, mask, maps[1, (0,)]))
    if not truth:
        print(f"{name}: no such pieces")
        return
    labels = np.concatenate(truth)
    print(f"{name}: {len(truth)} defective samples, {labels.mean():.1%} of their pixels; pixel AUROC in percent")
    print("  window   " + "  ".join(f"{'rotations ' + ', '.join(map(str, turns)):>24}" for turns in ROTATIONS))
    for window in WINDOWS:
        row = [100 * roc_auc_score(labels, np.concatenate(scores[window, turns])) for turns in ROTATIONS]
        print(f"  {window:6}   " + "  ".join(f"{value:24.1f}" for value in row), flush=True)
    print(f"  pairs to look at (window 1, no rotations): {grid(name, islice(shown, 10))}")


def grid(name: str, rows: Iterable[tuple[Image.Image, Image.Image, np.ndarray, np.ndarray]]) -> Path:
    rows = list(rows)
    sheet = Image.new("RGB", (4 * THUMBNAIL, len(rows) * THUMBNAIL), "white")
    for line, (query, reference, mask, heat) in enumerate(rows):
        cells = [
            query,
            reference,
            Image.fromarray(mask).convert("RGB"),
            overlay(query, heat, opacity=0.7, contour=True),
        ]
        for column, cell in enumerate(cells):
            sheet.paste(cell.resize((THUMBNAIL - 2, THUMBNAIL - 2)), (column * THUMBNAIL + 1, line * THUMBNAIL + 1))
    target = PROJECT / "build" / f"map_quality_{name}.png"
    target.parent.mkdir(exist_ok=True)
    sheet.save(target)
    return target


def main() -> None:
    torch.set_num_threads(2)
    if (SHIPPED / "config.json").exists():
        model, processor = load_model(SHIPPED, device="cpu")
        print("vision tower: the shipped tiny checkpoint")
    else:
        model, processor = build_tiny()
        print("vision tower: tiny, random weights (data/models/emit-tiny is not there)")
    if SHARED.is_dir():
        measure("deeppcb", boards(), model, processor)
    else:
        print("deeppcb: the real pictures are not beside the project")
    for turn in ("slight", "quarter", "any"):
        measure(f"demo-{turn}", pieces((turn,)), model, processor)


if __name__ == "__main__":
    main()
