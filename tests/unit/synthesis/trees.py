"""Miniature data sets: each public layout, painted in a temporary folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 48


def paint(path: Path, seed: int = 0, *, size: tuple[int, int] = (SIDE, SIDE), mode: str = "RGB") -> Path:
    """A picture of noise, another for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def paint_mask(
    path: Path,
    box: tuple[int, int, int, int] | None = (0, 0, 10, 10),
    *,
    size: tuple[int, int] = (SIDE, SIDE),
    value: int = 255,
) -> Path:
    """A mask with one box of foreground, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size[1], size[0]), np.uint8)
    if box:
        mask[box[1] : box[3], box[0] : box[2]] = value
    Image.fromarray(mask).save(path)
    return path


def mvtec(
    root: Path, products: Sequence[str] = ("bottle",), defects: Sequence[str] = ("crack", "hole"), count: int = 3
) -> Path:
    seed = 0
    for product in products:
        for number in range(count):
            for place in ("train/good", "test/good", *(f"test/{defect}" for defect in defects)):
                seed += 1
                paint(root / product / place / f"{number:03}.png", seed)
            for defect in defects:
                paint_mask(root / product / "ground_truth" / defect / f"{number:03}_mask.png")
    return root


def ds_mvtec(root: Path) -> Path:
    for number in (5, 22):
        paint(root / "pill" / "image" / "good" / f"{number:03}.png", number)
    paint(root / "pill" / "image" / "crack" / "000.png", 100)
    paint_mask(root / "pill" / "mask" / "crack" / "000_mask.png")
    return root


def mvtec_loco(root: Path) -> Path:
    product = root / "juice_bottle"
    paint(product / "train" / "good" / "000.png", 1)
    paint(product / "validation" / "good" / "000.png", 2)
    paint(product / "test" / "good" / "000.png", 3)
    paint(product / "test" / "logical_anomalies" / "000.png", 4)
    paint(product / "test" / "structural_anomalies" / "000.png", 5)
    paint_mask(product / "ground_truth" / "logical_anomalies" / "000" / "000.png", (0, 0, 4, 4), value=7)
    paint_mask(product / "ground_truth" / "logical_anomalies" / "000" / "001.png", (40, 40, 48, 48), value=9)
    paint_mask(product / "ground_truth" / "structural_anomalies" / "000" / "000.png")
    return root


def visa(root: Path) -> Path:
    rows = ["object,split,label,image,mask"]
    for number, (split, label) in enumerate([("train", "normal"), ("test", "normal"), ("test", "anomaly")]):
        folder = "Normal" if label == "normal" else "Anomaly"
        image = f"candle/Data/Images/{folder}/{number:04}.JPG"
        paint(root / image, number)
        mask = f"candle/Data/Masks/Anomaly/{number:04}.png" if folder == "Anomaly" else ""
        if mask:
            paint_mask(root / mask, value=1)
        rows.append(f"candle,{split},{label},{image},{mask}")
    rows.append("candle,test,normal,candle/Data/Images/Normal/9999.JPG,")
    (root / "split_csv").mkdir(parents=True)
    (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    return root


def real_iad(root: Path, *, lists: bool = False) -> Path:
    product = root / "realiad_1024" / "switch"
    for item in range(1, 5):
        for view in range(1, 6):
            paint(product / "OK" / f"S{item:04}" / f"switch_{item:04}_OK_C{view}_2023.jpg", 100 * item + view)
            file = paint(
                product / "NG" / "HS" / f"S{item:04}" / f"switch_{item:04}_NG_HS_C{view}_2023.jpg", 900 * item + view
            )
            if view < 3:  # the scratch is seen from two sides
                paint_mask(file.with_suffix(".png"))
    paint(product / "NG" / "XX" / "S0001" / "switch_0001_NG_XX_C1_2023.jpg", 7)
    paint_mask(product / "NG" / "XX" / "S0001" / "switch_0001_NG_XX_C1_2023.png")
    if lists:
        rows = [
            {"image_path": "OK/S0001/switch_0001_OK_C1_2023.jpg", "anomaly_class": "OK", "mask_path": None},
            {"image_path": "OK/S0009/gone.jpg", "anomaly_class": "OK", "mask_path": None},
        ]
        path = "NG/HS/S0001/switch_0001_NG_HS_C1_2023"
        test = [{"image_path": f"{path}.jpg", "anomaly_class": "HS", "mask_path": f"{path}.png"}]
        (root / "realiad_jsons").mkdir()
        (root / "realiad_jsons" / "switch.json").write_text(json.dumps({"train": rows, "test": test}))
    return root


def coco(file: Path, names: Sequence[str], annotations: Sequence[dict[str, Any]], categories: Sequence[str]) -> Path:
    """A COCO file and its pictures beside it; ids count from 1."""
    for number, name in enumerate(names, 1):
        paint(file.parent / name.replace("\\", "/"), number)
    content = {
        "images": [{"id": i, "file_name": name, "width": SIDE, "height": SIDE} for i, name in enumerate(names, 1)],
        "annotations": [{"id": i, **annotation} for i, annotation in enumerate(annotations, 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def deeppcb(
    root: Path, groups: Sequence[str] = ("group00041", "group77000"), count: int = 3, boxes: str | None = None
) -> Path:
    """Boards of dark tracks on white; the tested one has rough edges and a box of each of the six types."""
    places = [(60, 60), (320, 60), (560, 60), (60, 400), (320, 400), (560, 400)]
    lines = "\n".join(f"{x} {y} {x + 30} {y + 30} {kind}" for kind, (x, y) in enumerate(places, 1))
    for group in groups:
        number = group.removeprefix("group")
        for index in range(count):
            rng = np.random.default_rng([int(number), index])
            board = np.full((640, 640), 255, np.uint8)
            for left in range(20 + 7 * index, 640, 60):
                board[:, left : left + 25] = 0
            tested = board.copy()
            tested[rng.random(board.shape) < 0.01] = 128
            tested[::9, ::13] = 255 - tested[::9, ::13]
            for x, y in places:
                tested[y + 8 : y + 22, x + 8 : x + 22] = 255 - board[y + 8 : y + 22, x + 8 : x + 22]
            stem = root / group / number / f"{number}{index:03}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(board).save(f"{stem}_temp.jpg", quality=95)
            Image.fromarray(tested).save(f"{stem}_test.jpg", quality=95)
            notes = root / group / f"{number}_not"
            notes.mkdir(exist_ok=True)
            (notes / f"{number}{index:03}.txt").write_text(lines if boxes is None else boxes)
    return root
