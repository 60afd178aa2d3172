"""COCO JSON: pictures of one's own product, annotated in any labelling tool (Label Studio, CVAT, Roboflow, ...).

    <root>/annotations.json  <root>/images/*.jpg                 one file, splits by name
    <root>/{train,valid,test}/_annotations.coco.json + pictures  a file for each split (Roboflow)
    <root>/annotations/instances_{train,val,test}*.json          the same as in COCO itself

A category is a defect; polygons, run lengths and plain boxes become masks. A picture without annotations is normal; one
with several categories is labelled "combined", so that nobody is asked for "the" type of it.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014. Format: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import read_json
from core.mmad import GOOD
from core.synthesis.sources.found import Found, Skip, key, log_skip
from core.synthesis.splits import split_of

COMBINED = "combined"
_SPLITS = {"train": "train", "valid": "val", "val": "val", "test": "test"}
_NORMAL = frozenset({"good", "ok", "normal", "background"})


def read(
    root: Path, *, skip: Skip = log_skip, dataset: str = "own", product: str | None = None, annotations: str | None = None,
    images: str | None = None, seed: int = 0,
) -> Iterator[Found]:  # fmt: skip
    """Every annotated picture.

    Args:
        product: its name; the folder's by default.
        annotations: the JSON file, relative to `root`, where it is none of the usual ones.
        images: the folder of the pictures, relative to `root`, where it is none of the usual ones.
        seed: of the split where the files have none.
    """
    files = [root / annotations] if annotations else find_annotations(root)
    if not files:
        raise UserError(f"{root} holds no COCO annotations (*.json): give the folder that does.")
    name = product or root.resolve().name
    read_files = [(file, load(file)) for file in files]
    return _read(root, read_files, dataset, name, images, seed, skip)


def find_annotations(root: Path) -> list[Path]:
    """The annotation files of a folder."""
    places = [root / name / "_annotations.coco.json" for name in _SPLITS]
    places += sorted((root / "annotations").glob("*.json")) or sorted(root.glob("*.json"))
    return [file for file in places if file.is_file()]


def load(file: Path) -> dict[str, Any]:
    """A COCO file.

    Raises:
        UserError: it is not JSON, or lacks images, annotations or categories.
    """
    content = read_json(file)
    for part in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise UserError(f"{file} has no list {part!r}: export it again as COCO JSON.")
    return content


def _read(
    root: Path,
    files: Iterable[tuple[Path, dict[str, Any]]],
    dataset: str,
    product: str,
    images: str | None,
    seed: int,
    skip: Skip,
) -> Iterator[Found]:
    for file, content in files:
        named = f"{file.parent.name if file.parent != root else ''} {file.stem}".lower()
        split = next((value for name, value in _SPLITS.items() if name in named), None)
        bases = [root / images] if images else [
            file.parent, root, root / "images", *(root / "images" / n for n in _SPLITS), *(root / n for n in _SPLITS)
        ]  # fmt: skip
        yield from samples(content, file, bases, dataset, product, split, "coco", seed, skip)


def samples(
    content: dict[str, Any], file: Path, bases: list[Path], dataset: str, product: str, split: str | None, source: str,
    seed: int, skip: Skip,
) -> Iterator[Found]:  # fmt: skip
    """The samples of one COCO file; ids that lead nowhere are listed and left out."""
    names = {c.get("id"): str(c.get("name", "")) for c in content["categories"] if isinstance(c, dict)}
    known = {image.get("id") for image in content["images"] if isinstance(image, dict)}
    regions: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    doubtful: set[Any] = set()  # pictures with an annotation we cannot read: not normal, but of no known kind
    for annotation in content["annotations"]:
        image = annotation.get("image_id") if isinstance(annotation, dict) else None
        if image not in known:
            skip(f"{file.name}, annotation {_id(annotation)}", f"its picture {image!r} is not in the file")
        elif annotation.get("category_id") not in names:
            category = annotation.get("category_id")
            skip(f"{file.name}, annotation {_id(annotation)}", f"its category {category!r} is not in the file")
            doubtful.add(image)
        else:
            regions[image].append(annotation)
    for image in content["images"]:
        name = str(image.get("file_name") or "").replace("\\", "/") if isinstance(image, dict) else ""
        picture = next((base / name for base in bases if name and (base / name).is_file()), None)
        if picture is None or ".." in Path(name).parts or Path(name).is_absolute():
            skip(f"{file.name}: {name or image}", "the picture is not in the folder")
        elif image["id"] in doubtful:
            skip(f"{file.name}: {name}", "one of its annotations has no category")
        else:
            defective = [a for a in regions[image["id"]] if names[a["category_id"]].lower() not in _NORMAL]
            kinds = sorted({names[a["category_id"]] for a in defective})
            defect = None if not kinds else key(kinds[0]).replace("/", "_") if len(kinds) == 1 else COMBINED
            shapes, runs = _shapes(defective, f"{file.name}: {name}", skip)
            flat = name.replace("/", "-")
            side = split or split_of(f"{product}/{flat}", seed)
            yield Found(
                image=key(dataset, product, side, defect or GOOD, flat),
                dataset=dataset,
                product=product,
                defect=defect,
                split=side,
                source=source,
                file=picture,
                shapes=shapes,
                runs=runs,
            )


def _shapes(annotations: list[dict[str, Any]], where: str, skip: Skip) -> tuple[Any, Any]:
    shapes: list[tuple[float, ...]] = []
    runs: list[tuple[int, int, tuple[int, ...]]] = []
    for annotation in annotations:
        try:
            segmentation = annotation.get("segmentation")
            if isinstance(segmentation, dict):
                height, width = segmentation["size"]
                counts = segmentation["counts"]
                runs.append((height, width, tuple(decode_counts(counts) if isinstance(counts, str) else counts)))
            elif segmentation and any(len(polygon) >= 6 for polygon in segmentation):
                shapes += [tuple(float(v) for v in polygon) for polygon in segmentation if len(polygon) >= 6]
            else:
                left, top, width, height = (float(value) for value in annotation["bbox"])
                shapes.append((left, top, left + width, top + height))
        except (KeyError, TypeError, ValueError):
            skip(f"{where}, annotation {_id(annotation)}", "its region cannot be read")
    return tuple(shapes), tuple(runs)


def decode_counts(text: str) -> list[int]:
    """COCO's compressed run lengths: five bits a character from '0' on, from the third on as difference to the last but one.

    >>> decode_counts("52203")
    [5, 2, 2, 2, 5]
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            place, shift = place + 1, shift + 5
        if bits & 16:  # the sign of the last group
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def _id(annotation: Any) -> Any:
    return annotation.get("id") if isinstance(annotation, dict) else annotation
