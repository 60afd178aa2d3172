"""Looking for what is wrong with a benchmark before anybody trains on it: a table of findings to work through."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.files import file_digest
from core.mmad.vocabulary import GOOD, Benchmark, Question, Sample, Task
from core.pictures import image_size, open_mask

if TYPE_CHECKING:
    import pandas as pd

# kind -> what to do about it, in the order of the table
KINDS = {
    "missing picture": "the file is not there",
    "broken picture": "it cannot be opened",
    "missing mask": "the mask's file is not there",
    "broken mask": "the mask cannot be opened",
    "mask size": "the mask has another size than the picture",
    "empty mask": "a defect sample without a defect in its mask",
    "missing template": "a reference is not there",
    "template is query": "the reference shows the very picture that is asked about",
    "duplicate picture": "two samples have the same picture",
    "label against folder": "folder, label and answer contradict each other",
    "answer outside options": "the right letter is none of the options",
    "unbalanced letters": "one letter is right too often",
}
Finding = tuple[str, str, str]  # kind, image ("" for the whole benchmark), message


def audit(bench: Benchmark, *, progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
    """What is wrong with `bench`, one finding a row: kind (a key of `KINDS`), image, message. Empty when nothing is.

    Opens masks, but of pictures only the headers. Pairs that a source declares aligned may look the same.
    """
    import pandas as pd

    rows: list[Finding] = [*_letters(bench), *_duplicates(bench)]
    with ThreadPoolExecutor(4) as pool:
        for done, found in enumerate(pool.map(lambda sample: list(_sample(bench, sample)), bench.samples), 1):
            rows += found
            if progress:
                progress(done, len(bench))
    order = {kind: place for place, kind in enumerate(KINDS)}
    rows.sort(key=lambda row: order[row[0]])
    return pd.DataFrame(rows, columns=["kind", "image", "message"])


def _sample(bench: Benchmark, sample: Sample) -> Iterator[Finding]:
    yield from _labels(sample)
    yield from _templates(bench, sample)
    if sample.text is not None:
        return
    size = None
    try:
        if not _path(bench, sample.image).is_file():
            yield "missing picture", sample.image, "the file is not there"
        else:
            size = image_size(_path(bench, sample.image))
    except UserError as error:
        yield "broken picture", sample.image, str(error)
    yield from _mask(bench, sample, size)


def _mask(bench: Benchmark, sample: Sample, size: tuple[int, int] | None) -> Iterator[Finding]:
    try:
        path = bench.mask_path(sample)
    except ValueError as error:
        yield "missing mask", sample.image, str(error)
        return
    if path is None:
        return
    if not path.is_file():
        yield "missing mask", sample.image, f"{sample.mask} is not there"
        return
    try:
        mask = open_mask(path)
    except UserError as error:
        yield "broken mask", sample.image, str(error)
        return
    if size and mask.shape != size[::-1]:
        yield (
            "mask size",
            sample.image,
            f"the mask is {mask.shape[1]} x {mask.shape[0]}, the picture {size[0]} x {size[1]} pixels",
        )
    if not mask.any() and sample.defect:
        yield "empty mask", sample.image, f"labelled {sample.defect!r}, but nothing is marked: it is a normal picture"


def _templates(bench: Benchmark, sample: Sample) -> Iterator[Finding]:
    aligned = sample.similar_templates[:1] if sample.extra.get("aligned") else ()
    for template in dict.fromkeys((*sample.similar_templates, *sample.random_templates)):
        path = _path(bench, template)
        if not path.is_file():
            yield "missing template", sample.image, f"{template} is not there"
        elif sample.text is None and template not in aligned and _same(path, _path(bench, sample.image)):
            yield "template is query", sample.image, f"its template {template} is the same picture"


def _same(one: Path, other: Path) -> bool:
    # Sizes first: almost no file has to be read.
    if one == other:
        return True
    return other.is_file() and one.stat().st_size == other.stat().st_size and file_digest(one) == file_digest(other)


def _path(bench: Benchmark, image: str) -> Path:
    try:
        return bench.path(image)
    except ValueError:
        return Path()  # a folder: reported as a missing file


def _labels(sample: Sample) -> Iterator[Finding]:
    parts = sample.image.split("/")
    # MVTec's tree says the split and the label; others may only say the label.
    if GOOD in parts[2:-1] and sample.defect:
        yield "label against folder", sample.image, f"it lies in {GOOD!r} and is labelled {sample.defect!r}"
    elif sample.defect is None and parts[-2] != GOOD and "defect" in sample.extra and sample.text is None:
        yield "label against folder", sample.image, f"it lies in {parts[-2]!r} and is labelled normal"
    for question in sample.questions:
        if question.answer not in question.options:
            yield (
                "answer outside options",
                sample.image,
                f"{question.type}: {question.answer!r} is none of {', '.join(question.options)}",
            )
        elif (says := _says_defective(question)) is not None and says != (sample.defect is not None):
            yield (
                "label against folder",
                sample.image,
                f"labelled {sample.label!r}, but the answer is {'yes' if says else 'no'}",
            )


def _says_defective(question: Question) -> bool | None:
    """What the right answer of a discrimination question states; None where that cannot be told."""
    if question.task is not Task.DISCRIMINATION or not re.search(
        r"\b(defect|anomal|abnormal|flaw)", question.text, re.I
    ):
        return None
    word = re.match(r"\s*(yes|no)\b", question.options[question.answer], re.I)
    return word.group(1).lower() == "yes" if word else None


def _duplicates(bench: Benchmark) -> Iterator[Finding]:
    sizes: dict[int, list[str]] = defaultdict(list)
    for sample in bench:
        path = _path(bench, sample.image)
        if sample.text is None and path.is_file():
            sizes[path.stat().st_size].append(sample.image)
    for images in sizes.values():
        if len(images) > 1:
            first: dict[str, str] = {}
            for image in images:
                before = first.setdefault(file_digest(bench.path(image)), image)
                if before != image:
                    sides = {bench.by_image[before].split, bench.by_image[image].split}
                    across = f", across {' and '.join(sorted(sides))}" if len(sides) > 1 else ""
                    yield "duplicate picture", image, f"the same picture as {before}{across}"


def _letters(bench: Benchmark) -> Iterator[Finding]:
    """A letter's count that lies more than four standard deviations from its share is no accident."""
    counts: dict[tuple[Task, tuple[str, ...]], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for sample in bench:
        for question in sample.questions:
            counts[question.task, tuple(question.options)][question.answer] += 1
    for (task, letters), found in counts.items():
        total, share = sum(found.values()), 1 / len(letters)
        for letter in letters:
            if abs(found[letter] - total * share) > 4 * (total * share * (1 - share)) ** 0.5:
                message = f"{task.value}: {letter} is right in {found[letter]:,} of {total:,} questions"
                yield "unbalanced letters", "", f"{message}, about {round(total * share):,} would be even"
