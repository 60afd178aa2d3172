"""DeepPCB: aligned pairs of printed-circuit-board pictures, cut into crops with one type of defect or none.

    <root>/group00041/00041/00041003_temp.jpg      640 x 640, the same place without a defect
    <root>/group00041/00041/00041003_test.jpg      the tested board
    <root>/group00041/00041_not/00041003.txt       boxes: x1 y1 x2 y2 type, one a line

Types: 1 open, 2 short, 3 mousebite, 4 spur, 5 copper, 6 pin-hole. Dark is copper, white is bare board.

Tang et al., "Online PCB defect detector on a new PCB defect dataset", arXiv 1902.06197. MIT licence.
https://github.com/tangsanli5201/DeepPCB

One picture shows up to 12 defects of several types, so it cannot be one multiple-choice sample. A crop is taken round
every defect, with the defect at a random place of it; boxes of other types stay outside, no box is cut. Places are chosen
so that each of the nine regions is the right answer about equally often. The reference is the same crop of the template.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import read_json
from core.mmad import GOOD, Knowledge
from core.pictures import open_image
from core.synthesis.regions import summarise
from core.synthesis.sources.found import Box, Found, Skip, folders, key, log_skip, pictures
from core.synthesis.splits import split_groups

DEFECTS = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}
# Boards are kept apart: the groups we know have a fixed side, others are split by name.
SPLITS = {
    "group00041": "train", "group13000": "train", "group20085": "train",
    "group44000": "val", "group50600": "val",
    "group77000": "test", "group92000": "test",
}  # fmt: skip
DATASET, PRODUCT = "DeepPCB", "pcb"
_MARGIN = 6  # pixels a clean crop keeps from every box
_TRIES = 40


def read(
    root: Path, *, skip: Skip = log_skip, seed: int = 0, size: int = 160, most: int | None = None, repeat: int = 1
) -> Iterator[Found]:
    """Crops of all boards, as many clean as defective ones in each split.

    Args:
        size: of a crop, in pixels.
        most: crops per split and defect; boards are drawn in random order until they are reached. None: all.
        repeat: crops taken round each defect.
    """
    groups = {folder.name: _pairs(folder, skip) for folder in folders(root)}
    groups = {name: pairs for name, pairs in groups.items() if pairs}
    if not groups:
        raise UserError(f"{root} holds no group*/ folders with *_temp.jpg and *_test.jpg: give DeepPCB's folder.")
    splits = SPLITS | split_groups([name for name in groups if name not in SPLITS], seed)
    return _read(groups, splits, _Cutter(seed, size, most, repeat, skip))


def knowledge() -> Knowledge:
    """What the defects look like, written for this project from the data set's paper."""
    return read_json(Path(__file__).with_name("deeppcb_knowledge.json"))


def _pairs(group: Path, skip: Skip) -> list[tuple[Path, Path, Path]]:
    """(test, template, boxes) of one board group."""
    found = []
    for file in pictures(group, deep=True):
        if file.stem.endswith("_test"):
            stem = file.stem.removesuffix("_test")
            template = file.with_name(f"{stem}_temp{file.suffix}")
            boxes = file.parent.parent / f"{file.parent.name}_not" / f"{stem}.txt"
            if template.is_file() and boxes.is_file():
                found.append((file, template, boxes))
            else:
                skip(str(file), f"its {'boxes' if template.is_file() else 'template'} are not there")
    return found


def _read(groups: dict[str, list[tuple[Path, Path, Path]]], splits: dict[str, str], cutter: _Cutter) -> Iterator[Found]:
    order = [(group, pair) for group, pairs in groups.items() for pair in pairs]
    random.Random(cutter.seed).shuffle(order)
    for group, (test, template, boxes) in order:
        if not cutter.full(splits[group]):
            try:
                yield from cutter.cut(group, splits[group], test, template, read_boxes(boxes))
            except UserError as error:
                cutter.skip(str(test), str(error))


def read_boxes(path: Path) -> list[tuple[Box, str]]:
    """(box, defect) of one annotation file.

    Raises:
        UserError: a line is not five numbers with a known type.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            try:
                left, top, right, bottom, kind = (int(value) for value in line.replace(",", " ").split())
                found.append(((left, top, right, bottom), DEFECTS[kind]))
            except (ValueError, KeyError) as error:
                raise UserError(
                    f"{path}, line {number}: {line[:40]!r} is not 'x1 y1 x2 y2 type': repair it."
                ) from error
    return found


@dataclass
class _Cutter:
    """Takes crops of one picture after another and keeps the count of what there is already."""

    seed: int
    size: int
    most: int | None
    repeat: int
    skip: Skip
    defects: Counter[tuple[str, str]] = field(default_factory=Counter)  # (split, defect)
    clean: Counter[str] = field(default_factory=Counter)  # split
    places: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (split, defect, region)

    def full(self, split: str) -> bool:
        """Whether this split has all it may have."""
        if self.most is None:
            return False
        return all(self.defects[split, defect] >= self.most for defect in DEFECTS.values()) and (
            self.clean[split] >= self.most * len(DEFECTS)
        )

    def cut(self, group: str, split: str, test: Path, template: Path, boxes: list[tuple[Box, str]]) -> Iterator[Found]:
        """The crops of one picture."""
        order = random.Random(f"{self.seed}/{test.name}")
        tested = np.asarray(open_image(test).convert("L"), np.int16)
        wanted = np.asarray(open_image(template).convert("L"), np.int16)
        if tested.shape != wanted.shape:
            raise UserError(f"{test} and its template have different sizes: export them again.")
        if min(tested.shape) < self.size:
            raise UserError(f"{test} is smaller than a crop of {self.size} pixels: use a smaller --size.")
        stem = test.stem.removesuffix("_test")
        taken = 0
        for number, (box, defect) in enumerate(boxes * self.repeat):
            if self.most is None or self.defects[split, defect] < self.most:
                place = self._round(box, defect, split, boxes, tested.shape, order)
                if place:
                    taken += 1
                    inside = [_shift(other, place) for other, _ in boxes if _within(other, place)]
                    yield self._found(group, split, defect, f"{stem}-{number}", test, template, place, inside)
        # As many clean crops as defective ones; a board without room for one is made up for by a later one.
        wished = sum(self.defects[split, defect] for defect in DEFECTS.values()) - self.clean[split]
        for number in range(min(wished, taken + 2)):
            place = self._empty(boxes, tested, wanted, order)
            if place:
                self.clean[split] += 1
                yield self._found(group, split, None, f"{stem}-clean{number}", test, template, place, [])

    def _round(
        self,
        box: Box,
        defect: str,
        split: str,
        boxes: list[tuple[Box, str]],
        shape: tuple[int, ...],
        order: random.Random,
    ) -> Box | None:
        """A crop that holds `box`, cuts no box and holds no other type, in the region that is rarest so far."""
        lows = [max(0, box[2] - self.size), max(0, box[3] - self.size)]
        highs = [min(box[0], shape[1] - self.size), min(box[1], shape[0] - self.size)]
        if lows[0] > highs[0] or lows[1] > highs[1]:
            return None
        best: tuple[int, Box, int] | None = None
        for _ in range(_TRIES):
            left, top = order.randint(lows[0], highs[0]), order.randint(lows[1], highs[1])
            place = (left, top, left + self.size, top + self.size)
            touched = [(other, kind) for other, kind in boxes if _overlap(other, place)]
            if all(kind == defect and _within(other, place) for other, kind in touched):
                mask = np.zeros((self.size, self.size), bool)
                for other, _ in touched:
                    x1, y1, x2, y2 = _shift(other, place)
                    mask[y1:y2, x1:x2] = True
                region = summarise(mask).ranked[0]
                count = self.places[split, defect, region]
                if best is None or count < best[0]:
                    best = (count, place, region)
        if best is None:
            return None
        self.defects[split, defect] += 1
        self.places[split, defect, best[2]] += 1
        return best[1]

    def _empty(
        self, boxes: list[tuple[Box, str]], tested: np.ndarray, wanted: np.ndarray, order: random.Random
    ) -> Box | None:
        """A crop away from every box that shows copper and board, and is not its template pixel by pixel."""
        for _ in range(_TRIES):
            left, top = (order.randint(0, length - self.size) for length in (tested.shape[1], tested.shape[0]))
            place = (left, top, left + self.size, top + self.size)
            wide = (left - _MARGIN, top - _MARGIN, left + self.size + _MARGIN, top + self.size + _MARGIN)
            if not any(_overlap(box, wide) for box, _ in boxes):
                seen, ideal = (p[top : top + self.size, left : left + self.size] for p in (tested, wanted))
                if 0.1 < float((seen > 127).mean()) < 0.9 and (np.abs(seen - ideal) > 64).any():
                    return place
        return None

    def _found(
        self,
        group: str,
        split: str,
        defect: str | None,
        name: str,
        test: Path,
        template: Path,
        place: Box,
        inside: list[Box],
    ) -> Found:
        return Found(
            image=key(DATASET, PRODUCT, group, defect or GOOD, f"{name}.png"),
            dataset=DATASET,
            product=PRODUCT,
            defect=defect,
            split=split,
            source="deeppcb",
            file=test,
            box=place,
            shapes=tuple(inside),
            reference=(template, place),
        )


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _within(a: Box, b: Box) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def _shift(box: Box, place: Box) -> Box:
    return (box[0] - place[0], box[1] - place[1], box[2] - place[0], box[3] - place[1])
