"""Descriptions without a model, a key or a network: plain sentences from what is measured in mask and picture.

They say where, how large, of what shape and how different in brightness and colour; not what a thing is made of or why it
failed. Their `model` is "offline". Without masks the defect is looked for by comparison with normal pictures, and the text
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from PIL import Image

from core.errors import UserError
from core.files import digest
from core.mmad import GOOD, Benchmark, Sample
from core.pictures import open_image, open_mask
from core.synthesis.descriptions.colors import describe_picture
from core.synthesis.descriptions.differences import NormalLook
from core.synthesis.descriptions.items import choose_items, group_samples, in_order, mask_file, picture_path, preferred
from core.synthesis.descriptions.measuring import Measures, measure, shrink, shrink_mask
from core.synthesis.descriptions.sentences import describe_defect
from core.synthesis.descriptions.suggestions import OFFLINE, Failure, Outcome, Suggestion, written
from core.synthesis.names import is_vague, spoken

MOST_PICTURES = 12  # measured per defect
MOST_NORMAL = 8  # looked at per product
FEW_NORMAL = 4  # with fewer, pictures of other defects help to tell what is normal
ENOUGH = 0.66  # share of a defect's pictures it must be found in
GUESSED = "There was no mask: the place was found by comparison with normal pictures and may be wrong."
Groups = dict[str, list[Sample]]


def describe_offline(
    bench: Benchmark,
    *,
    products: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    only_missing: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """`describe` without a model; arguments and result are the same.

    Raises:
        UserError: a named product or label is not in the benchmark.
    """
    items, failures = choose_items(bench, products, labels, only_missing=only_missing, seed=seed)
    groups = group_samples(bench, products)
    suggestions: list[Suggestion] = []
    eye: _Eye | None = None
    for done, item in enumerate(items):
        if stop and stop():
            return Outcome(tuple(suggestions), tuple(failures), stopped=True)
        if eye is None or (eye.dataset, eye.product) != item.key[:2]:
            own = {key[2]: preferred(found, seed) for key, found in groups.items() if key[:2] == item.key[:2]}
            templates = [
                shown.path for i in items if i.key[:2] == item.key[:2] for shown in i.shown if shown.role == "normal"
            ]
            eye = _Eye(bench, (item.dataset, item.product), own, templates)
        try:
            suggestions.append(eye.normal() if item.label == GOOD else eye.defect(item.label))
        except UserError as error:
            failures.append(Failure(*item.key, str(error)))
        if progress:
            progress(done + 1, len(items))
    return Outcome(tuple(suggestions), tuple(failures))


def measure_sample(bench: Benchmark, sample: Sample, look: NormalLook | None = None) -> tuple[Measures | None, bool]:
    """Measure one defective sample; the second value says that the place was guessed for want of a mask.

    Raises:
        UserError: picture or mask cannot be read, or their sizes differ.
    """
    image = open_image(picture_path(bench, sample.image))
    path = mask_file(bench, sample)
    mask = open_mask(path) if path else None
    if mask is not None and mask.shape != (image.height, image.width):
        raise UserError(f"{path} has another size than its picture: draw the mask again at the picture's size.")
    image = shrink(image)
    if mask is not None and mask.any():
        reference = bench.reference(sample)
        return measure(image, shrink_mask(mask), _opened(bench, reference)), False
    return (measure(image, look.find(image)) if look else None), True


def _opened(bench: Benchmark, reference: str | None) -> Image.Image | None:
    """A reference that cannot be opened is no reason not to measure."""
    try:
        return open_image(picture_path(bench, reference)) if reference else None
    except UserError:
        return None


class _Eye:
    """Looks at one product.

    Args:
        groups: label -> samples, preferred ones first.
        templates: normal pictures that are no samples of the benchmark.
    """

    def __init__(self, bench: Benchmark, product: tuple[str, str], groups: Groups, templates: Sequence[str]) -> None:
        self.bench, self.groups, self.templates = bench, groups, templates
        self.dataset, self.product = product
        self.normals = groups.get(GOOD, [])
        self._cache: dict[str, Image.Image] = {}

    def defect(self, label: str) -> Suggestion:
        """Describe a defect from up to twelve pictures of one split, training pictures before others.

        Raises:
            UserError: nothing can be read or measured.
        """
        samples = self.groups[label]
        found: list[Measures] = []
        used: list[Sample] = []
        compared: list[Sample] = []  # pictures the places were guessed with
        look: NormalLook | None = None
        for sample in [s for s in samples if s.split == samples[0].split][:MOST_PICTURES]:
            try:
                if not mask_file(self.bench, sample) and not compared:
                    look, compared = self._normal_look(label)
                measures, _ = measure_sample(self.bench, sample, look)
            except UserError:
                continue
            used.append(sample)
            if measures is not None:
                found.append(measures)
        name = f"{spoken(label)!r} on {spoken(self.product)}"
        if not used:
            raise UserError(f"No picture of {name} can be read: check its folder.")
        if len(found) < ENOUGH * len(used):
            raise UserError(
                f"Without a mask, {name} does not stand out enough from {len(self.normals)} normal picture(s) to be measured: "
                "draw masks, add normal pictures, or describe it by hand."
            )
        text = describe_defect(label, self.product, found, guessed=bool(compared))
        return self._suggestion(label, _defect_title(label), text, used, compared)

    def normal(self) -> Suggestion:
        """Describe the normal state from up to eight pictures.

        Raises:
            UserError: no normal picture can be read.
        """
        chosen = [s for s in self.normals if s.split == self.normals[0].split][:MOST_NORMAL]
        paths = [s.image for s in chosen] or list(self.templates[:MOST_NORMAL])
        pictures = list(self._open(paths).values())
        if not pictures:
            raise UserError(f"No normal picture of {spoken(self.product)} can be read: check its folder {GOOD}/.")
        defects = [spoken(label) for label in self.groups if label != GOOD and not is_vague(label)]
        without = f" It is free of these defects: {', '.join(defects)}." if defects else ""
        text = f"{describe_picture(pictures, self.product)}{without}"
        return self._suggestion(GOOD, "Normal characteristics", text, chosen, [], paths)

    def _normal_look(self, label: str) -> tuple[NormalLook | None, list[Sample]]:
        """What the product looks like without this defect, and the samples that tell."""
        normals = self.normals[:MOST_NORMAL]
        others = [s for other, found in self.groups.items() if other not in {GOOD, label} for s in found[:2]]
        others = others[:MOST_NORMAL] if len(normals) < FEW_NORMAL else []
        pictures = self._open([s.image for s in normals])
        more = self._open([s.image for s in others])
        if not pictures or len(pictures) + len(more) < 2:
            return None, []
        return NormalLook(list(pictures.values()), list(more.values())), [*normals, *others]

    def _open(self, paths: Sequence[str]) -> dict[str, Image.Image]:
        found = {}
        for path in paths:
            try:
                found[path] = self._cache.get(path) or shrink(open_image(picture_path(self.bench, path)))
            except UserError:
                continue
        self._cache.update(found)
        return found

    def _suggestion(
        self,
        label: str,
        title: str,
        text: str,
        used: Sequence[Sample],
        compared: Sequence[Sample],
        paths: Sequence[str] = (),
    ) -> Suggestion:
        images = tuple(paths) or tuple(s.image for s in used)
        return Suggestion(
            self.dataset,
            self.product,
            label,
            written(title, text),
            model=OFFLINE,
            prompt_hash=digest([OFFLINE, label, sorted(images), text]),
            cost=0.0,
            images=images,
            written_from_splits=in_order({s.split for s in (*used, *compared)} or {"unknown"}),
            note=GUESSED if compared else "",
        )


def _defect_title(label: str) -> str:
    name = spoken(label).capitalize()
    return name if is_vague(label) or name.lower().endswith("defect") else f"{name} defect"
