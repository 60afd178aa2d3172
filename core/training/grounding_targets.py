"""What a training picture shows, as targets of grounding: the defect that covers a patch, what the picture bears and where."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, grid_sample

from core.errors import UserError
from core.mmad import Benchmark, Sample
from core.pictures import open_image, open_mask
from core.synthesis.names import spoken
from core.synthesis.regions import REGIONS

PLACES = frozenset(word for region in REGIONS for word in region.split())
UNKNOWN = -1.0  # of a target that nobody knows: it counts for nothing
NOTHING = "no"  # the word for a picture that bears none
FINE = 4  # fields along a patch's side in which a mask is kept
STRANGE = 4  # every so many pictures one of no product is made beside them
COVERED = 0.05  # of a patch, from which on it shows the defect


@dataclass(frozen=True)
class Shown:
    """One picture.

    Attributes:
        path: of the picture.
        product: which it shows, as dataset/product.
        kind: the defect's place in `Kinds.names`, None for a normal piece.
        cover: share of each field that the defect covers, float32 [FINE * grid, FINE * grid]; None where there is no mask.
        reference: the normal picture it is compared with, if any.
    """

    path: Path
    product: str
    kind: int | None
    cover: Tensor | None
    reference: Path | None = None

    @property
    def cell(self) -> int | None:
        """The cell of the 3 x 3 grid that holds most of the defect; None where there is no mask."""
        if self.kind is None or self.cover is None:
            return None
        areas = [area.sum().item() for row in self.cover.tensor_split(3, 0) for area in row.tensor_split(3, 1)]
        return areas.index(max(areas)) if max(areas) > 0 else None


@dataclass(frozen=True)
class Pose:
    """How a picture lies, as augmentation: turned, mirrored, nearer or farther, shifted.

    Attributes:
        quarters: of a turn, counter-clockwise; then `mirrored`.
        zoom: 2 shows half of each side; shift: of the view, (right, down) in half sides.
    """

    quarters: int = 0
    mirrored: bool = False
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def drawn(cls, rng: random.Random) -> Pose:
        zoom, shift = rng.uniform(0.85, 1.2), (rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15))
        return cls(rng.randrange(4), rng.random() < 0.5, zoom, shift)

    @property
    def upright(self) -> Pose:
        """Without zoom and shift: nothing leaves the picture."""
        return replace(self, zoom=1.0, shift=(0.0, 0.0))

    def of(self, values: Tensor, *, beyond: str) -> Tensor:
        """Values [C, h, w] in this pose; what lies beyond the border is "zeros" or a "reflection"."""
        values = torch.rot90(values, self.quarters, dims=(-2, -1))
        values = values.flip(-1) if self.mirrored else values
        if self == self.upright:
            return values
        matrix = torch.tensor([[1 / self.zoom, 0, self.shift[0]], [0, 1 / self.zoom, self.shift[1]]])
        grid = affine_grid(matrix[None], [1, *values.shape], align_corners=False)
        return grid_sample(values[None], grid, mode="bilinear", padding_mode=beyond, align_corners=False)[0]

    def shows(self, shown: Shown) -> Shown:
        """The picture's facts in this pose; a defect near the border is reflected beyond it as its pixels are."""
        if shown.cover is None:
            return shown
        return replace(shown, cover=self.of(shown.cover[None], beyond="reflection")[0])


def posed(shown: Shown, rng: random.Random, *, freely: bool = True) -> tuple[Pose, Shown]:
    """A random pose that keeps at least half of the defect in the picture, and the facts in it.

    Args:
        freely: with zoom and shift.
    """
    pose = Pose.drawn(rng)
    for _ in range(4 if freely and shown.cover is not None else 0):
        assert shown.cover is not None
        left = pose.of(shown.cover[None], beyond="zeros").sum()
        if left >= 0.5 * pose.zoom**2 * shown.cover.sum():
            return pose, pose.shows(shown)
        pose = Pose.drawn(rng)
    return pose.upright, pose.upright.shows(shown)


@dataclass(frozen=True)
class Kinds:
    """The defects of a training part, how often each befalls which product, and the words that are said of them.

    Attributes:
        names: of the defects, as they are spoken.
        counts: product -> (its pictures, pictures of each defect).
    """

    names: tuple[str, ...]
    counts: Mapping[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Kinds:
        found: dict[str, list[str]] = defaultdict(list)
        for sample in samples:
            found[product_of(sample)].append(spoken(sample.defect) if sample.defect else "")
        names = tuple(sorted({name for shown in found.values() for name in shown if name}))
        counts = {product: (len(shown), tuple(map(shown.count, names))) for product, shown in found.items()}
        return cls(names, counts)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(sorted({word for text in (*self.names, *REGIONS, NOTHING) for word in text.split()}))

    def gist(self, shown: Shown) -> np.ndarray:
        """float32 [10 + kinds]: whether there is a defect, its cell, its kind; UNKNOWN where nobody knows."""
        target = np.zeros(10 + len(self.names), np.float32)
        if shown.cover is None:
            target[1:10] = UNKNOWN
        if shown.kind is not None:
            target[[0, 10 + shown.kind]] = 1
        cell = shown.cell
        if cell is not None:
            target[1 + cell] = 1
        return target

    def wording(self, shown: Shown) -> np.ndarray:
        """float32 [words]: 1 for those that tell of the defect and its place; UNKNOWN where nobody knows."""
        said = NOTHING if shown.kind is None else self.names[shown.kind]
        cell = shown.cell
        if cell is not None:
            said = f"{said} {REGIONS[cell]}"
        target = np.array([word in said.split() for word in self.words], np.float32)
        if shown.cover is None:
            target[[word in PLACES for word in self.words]] = UNKNOWN
        return target

    def habit(self, product: str) -> np.ndarray:
        """What the product alone tells of the defect, float32 [kinds + words]: log odds of each, against all products.

        Added to what is read off a picture while it learns (logit adjustment, arXiv 2007.07314), so that it learns what it
        sees and not which defects a product used to have: a defect that is new on this product is then still recognised.
        For the softmax over a patch's kinds these odds are an approximation, good where products are defective about as often.
        """
        return self._habits[product]

    @cached_property
    def _habits(self) -> dict[str, np.ndarray]:
        shares = {product: np.divide(defects, pictures) for product, (pictures, defects) in self.counts.items()}
        overall = np.mean(list(shares.values()), axis=0)
        # As if each product had one picture more, an average one.
        own = {
            product: (np.array(defects) + overall) / (pictures + 1)
            for product, (pictures, defects) in self.counts.items()
        }
        return {product: (self._odds(rate) - self._odds(overall)).astype(np.float32) for product, rate in own.items()}

    def _odds(self, rate: np.ndarray) -> np.ndarray:
        """Log odds of the defects, given their rates [kinds], and of the words, [kinds + words]."""
        words = [sum(rate[i] for i, name in enumerate(self.names) if word in name.split()) for word in self.words]
        known = np.clip(np.concatenate([rate, words]), 1e-6, 1 - 1e-6)
        return np.log(known / (1 - known))


def product_of(sample: Sample) -> str:
    return f"{sample.dataset}/{sample.product}"


def shown_in(bench: Benchmark, grid: int, *, similar: bool = True) -> tuple[Kinds, list[Shown]]:
    """The pictures of a training part.

    Args:
        grid: patches along a side.
        similar: which reference comes first, as `Benchmark.reference` takes it.

    Raises:
        UserError: none bears a defect, a picture is missing, or a mask cannot be read.
    """
    samples = [sample for sample in bench if sample.text is None]
    kinds = Kinds.of(samples)
    if not kinds.names:
        raise UserError(
            "No training picture bears a defect, so there is nothing to ground: switch grounding off, or take a snapshot with "
            "defective pictures in the split 'train'."
        )
    found = []
    clean = torch.zeros(FINE * grid, FINE * grid)
    for sample in samples:
        reference = bench.reference(sample, similar=similar)
        # Other references are asked for after this stage.
        for image in filter(None, (sample.image, reference, *sample.similar_templates)):
            if not bench.path(image).is_file():
                raise UserError(f"{bench.path(image)} is missing: put it back, or take a new snapshot.")
        kind = kinds.names.index(spoken(sample.defect)) if sample.defect else None
        path = bench.mask_path(sample) if sample.defect and sample.mask else None
        cover = clean if kind is None else None
        if path is not None and (mask := open_mask(path)).any():
            cover = coverage(mask, FINE * grid)
        against = bench.path(reference) if reference else None
        found.append(Shown(bench.path(sample.image), product_of(sample), kind, cover, against))
    return kinds, found


def coverage(mask: np.ndarray, fields: int) -> Tensor:
    """Share of each field that a mask (bool [H, W]) covers, float32 [fields, fields]."""
    return adaptive_avg_pool2d(torch.as_tensor(mask, dtype=torch.float32)[None], fields)[0]


def patch_target(shown: Shown, grid: int) -> np.ndarray:
    """int64 [grid * grid]: 0 where there is no defect, else 1 + its kind; -1 everywhere without a mask.

    A defect thinner than a twentieth of every patch it crosses still shows in those it covers most.
    """
    if shown.cover is None:
        return np.full(grid * grid, -1, np.int64)
    cover = adaptive_avg_pool2d(shown.cover[None], grid)[0]
    least = min(COVERED, cover.max().item() / 2)
    kind = 0 if shown.kind is None else 1 + shown.kind
    return torch.where(cover > least, kind, 0).flatten().numpy().astype(np.int64)


class Pictures:
    """Collates numbers of pictures into a batch of thumbnails and targets; each is turned, mirrored and lit at random.

    What a number looks like in a pass derives from seed, pass and number alone.

    Args:
        grid: patches along a side.
        strange: pictures of no product come with them, see `_stranger`.
        paired: of a batch, so many pictures come with the reference they are compared with, in the same pose: whether the two lie
            alike is the product's matter.
        limit: bytes of thumbnails that are kept.
    """

    def __init__(
        self,
        kinds: Kinds,
        shown: Sequence[Shown],
        processor: Any,
        grid: int,
        *,
        seed: int,
        strange: bool = False,
        paired: int = 0,
        limit: int = 2**29,
    ) -> None:
        self.kinds, self.shown, self.processor, self.grid, self.seed = kinds, shown, processor, grid, seed
        self.strange, self.paired, self.limit = strange, paired, limit
        # A defect without a mask may leave the picture unseen; and if only normal ones were zoomed, that would give them away.
        self.freely = all(one.cover is not None for one in shown)
        self._kept: dict[Path, Tensor] = {}

    def __call__(self, turns: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Args:
        turns: (number, pass) of each picture.
        """
        pixels, patches, gists, wordings, habits = [], [], [], [], []
        strangers: list[Tensor] = []
        references: list[Tensor] = []
        paired: list[int] = []
        for place, (number, epoch) in enumerate(turns):
            rng = random.Random(f"{self.seed}/{epoch}/{number}")
            pose, shown = posed(self.shown[number], rng, freely=self.freely)
            pixels.append(_lit(pose.of(self._thumbnail(shown.path), beyond="reflection"), rng))
            patches.append(patch_target(shown, self.grid))
            gists.append(self.kinds.gist(shown))
            wordings.append(self.kinds.wording(shown))
            habits.append(self.kinds.habit(shown.product))
            if self.strange and place % STRANGE == 0:
                strangers.append(self._stranger(number, rng))
            if shown.reference and len(paired) < self.paired:
                paired.append(place)
                references.append(_lit(pose.of(self._thumbnail(shown.reference), beyond="reflection"), rng, 0.5))
        batch = {
            "pixel_values": torch.stack(pixels), "patches": torch.as_tensor(np.stack(patches)),
            "gist": torch.as_tensor(np.stack(gists)), "wording": torch.as_tensor(np.stack(wordings)),
            "habit": torch.as_tensor(np.stack(habits)),
        }  # fmt: skip
        if strangers:
            batch["strangers"] = torch.stack(strangers)
        if paired:
            batch |= {"paired": torch.tensor(paired), "references": torch.stack(references)}
        return batch

    def _stranger(self, number: int, rng: random.Random) -> Tensor:
        """A picture of no product: two that lie over each other, in other colours, light and dark exchanged at times; at others
        a plain one. What is kept on the training products alone is lost on all others."""
        one, other = (self._thumbnail(self.shown[n].path) for n in (number, rng.randrange(len(self.shown))))
        if rng.random() < 0.3:
            return Pose.drawn(rng).of(one, beyond="reflection")
        if rng.random() < 0.5:
            share = rng.uniform(0.2, 0.8)
            one = share * one + (1 - share) * other
        one = one[rng.sample(range(3), 3)]
        one = -one if rng.random() < 0.3 else one
        return Pose.drawn(rng).of(one, beyond="reflection")

    def _thumbnail(self, path: Path) -> Tensor:
        if path not in self._kept:
            thumbnail = self.processor.thumbnail(open_image(path))[0].half()
            if (len(self._kept) + 1) * thumbnail.nbytes > self.limit:
                return thumbnail.float()
            self._kept[path] = thumbnail
        return self._kept[path].float()


def _lit(thumbnail: Tensor, rng: random.Random, share: float = 1.0) -> Tensor:
    """Under another light, by `share` of what light may do."""
    gain = torch.tensor([rng.uniform(1 - 0.07 * share, 1 + 0.07 * share) for _ in range(3)])[:, None, None]
    lightness = rng.uniform(1 - 0.2 * share, 1 + 0.2 * share)
    return thumbnail * gain * lightness + rng.uniform(-0.25 * share, 0.25 * share)
