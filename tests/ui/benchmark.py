"""A small drawn benchmark for the browser tests: three products, two defects each, masks, questions, a text sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from core.mmad import Benchmark, Question, Sample, write_mmad

PRODUCTS = {"washer": ("scratch", "dent"), "label": ("stain", "missing_print"), "gear": ("broken_tooth", "scratch")}
DATASET = "drawn"
KNOWLEDGE = {
    "good": "A {product} without any fault: even surface, clean edges, all parts in place.",
    "scratch": "A thin bright line runs across the surface of the {product}.",
    "dent": "A dark round hollow in the surface of the {product}.",
    "stain": "A brown blot lies on the {product} & hides part of the print.",
}


def _ground(seed: int, size: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, 5, (size, size, 1)) + np.linspace(-8, 8, size)[:, None, None]
    tint = np.array([208, 210, 214]) if seed % 2 else np.array([62, 66, 74])
    return Image.fromarray(np.clip(tint + noise, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def draw(product: str, defect: str | None, seed: int, size: int = 320) -> tuple[Image.Image, Image.Image]:
    """A picture and its mask."""
    rng = np.random.default_rng(seed)
    image, mask = _ground(seed, size), Image.new("L", (size, size))
    pen, shape = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    x, y = (size // 2 + int(v) for v in rng.integers(-14, 15, 2))
    r = size * 34 // 100
    if product == "label":
        pen.rounded_rectangle((x - r, y - r * 2 // 3, x + r, y + r * 2 // 3), 8, fill=(238, 233, 220))
        for line in range(5):
            pen.rectangle(
                (x - r + 16, y - 52 + line * 22, x + r - 24 - (line * 37) % 60, y - 44 + line * 22), fill=(40, 44, 60)
            )
    else:
        if product == "gear":
            for tooth in range(14):
                a = tooth * 2 * np.pi / 14
                cx, cy = x + np.cos(a) * r, y + np.sin(a) * r
                if defect == "broken_tooth" and tooth == seed % 14:
                    shape.ellipse((cx - 20, cy - 20, cx + 20, cy + 20), fill=255)
                    continue
                pen.ellipse((cx - 15, cy - 15, cx + 15, cy + 15), fill=(176, 142, 78))
        colour = (180, 146, 82) if product == "gear" else (150, 156, 166)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(92, 90, 84), width=3)
        pen.ellipse(
            (x - r // 3, y - r // 3, x + r // 3, y + r // 3), fill=image.getpixel((4, 4)), outline=(70, 70, 70), width=3
        )
    dx, dy = (int(v) for v in rng.integers(-r // 2, r // 2, 2))
    box = (x + dx - 16, y + dy - 14, x + dx + 18, y + dy + 16)
    if defect == "scratch":
        ends = (x + dx - 34, y + dy - 12, x + dx + 38, y + dy + 16)
        pen.line(ends, fill=(242, 242, 240), width=3)
        shape.line(ends, fill=255, width=9)
    elif defect in {"dent", "stain"}:
        pen.ellipse(box, fill=(44, 42, 46) if defect == "dent" else (122, 78, 40))
        shape.ellipse(box, fill=255)
    elif defect == "missing_print":
        gap = (x - 30, y - 34, x + 60, y + 10)
        pen.rectangle(gap, fill=(238, 233, 220))
        shape.rectangle(gap, fill=255)
    return image.filter(ImageFilter.GaussianBlur(0.5)), mask


def _questions(product: str, defect: str | None, defects: tuple[str, ...]) -> tuple[Question, ...]:
    yes_no = {"A": "Yes.", "B": "No."}
    found = [
        Question("Is there any defect in the object?", yes_no, "A" if defect else "B", "Anomaly Detection"),
        Question(
            "What kind of product is in the picture?", {"A": "A washer", "B": "A label", "C": "A gear", "D": "A bottle"},
            "ABC"[list(PRODUCTS).index(product)], "Object Classification",
        ),
    ]  # fmt: skip
    if defect:
        kinds = dict(zip("ABC", (*defects, "colour"), strict=True))
        right = next(letter for letter, name in kinds.items() if name == defect)
        found.append(Question("What type of defect is it?", kinds, right, "Defect Classification"))
        places = {"A": "top left", "B": "center", "C": "bottom right"}
        found.append(Question("Where is the defect?", places, "B", "Defect Localization"))
    return tuple(found)


def write_benchmark(root: Path, *, good: int = 10, bad: int = 5, size: int = 320) -> Benchmark:
    """Draw the benchmark into `root`: `good` normal pictures a product, `bad` of each defect."""
    samples = []
    for number, (product, defects) in enumerate(PRODUCTS.items()):
        normals = tuple(f"{DATASET}/{product}/image/good/{i:03}.png" for i in range(good))
        for kind in (None, *defects):
            for i in range(bad if kind else good):
                image = f"{DATASET}/{product}/image/{kind or 'good'}/{i:03}.png"
                picture, mask = draw(product, kind, 1000 * number + 100 * len(kind or "") + i, size)
                (root / image).parent.mkdir(parents=True, exist_ok=True)
                picture.save(root / image)
                mask_path = None
                if kind:
                    mask_path = f"mask/{kind}/{i:03}.png"
                    place = root / DATASET / product / mask_path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    mask.save(place)
                samples.append(
                    Sample(
                        image=image, dataset=DATASET, product=product, defect=kind, mask=mask_path,
                        split=("train", "train", "val", "test")[i % 4], source="folder",
                        questions=_questions(product, kind, defects),
                        similar_templates=tuple(path for path in normals if path != image)[:2],
                        random_templates=normals[-2:],
                    )
                )  # fmt: skip
    samples.append(
        Sample(
            image=f"{DATASET}/washer/text/dent/000.txt", dataset=DATASET, product="washer", defect="dent",
            split="train", source="text", questions=_questions("washer", "dent", PRODUCTS["washer"])[:3],
            text="A grey metal washer with a small dark hollow near its inner edge.",
        )
    )  # fmt: skip
    knowledge = {
        DATASET: {
            product: {name: KNOWLEDGE[name].format(product=product) for name in ("good", *defects) if name in KNOWLEDGE}
            for product, defects in PRODUCTS.items()
        }
    }
    bench = Benchmark(root, tuple(samples), knowledge)
    write_mmad(bench)
    return bench
