"""`render`: one picture of one piece, with its exact mask, part map and facts.

The same piece is built twice, once as it should be and once spoiled; both are lit alike and compared before sensor noise.
The mask is where the maps differ *and* the difference can be seen, so it holds neither a shadow beside the defect nor a
change too faint for anybody. Contrast is turned down to what the difficulty asks for, measured in grey levels.

Three seeds stand behind a picture: the lot (what all its pieces share: colours, proportions, station), the piece (its own
grain and the spread of its parts) and the shot (pose, light, noise). All derive from `seed` unless `lot` is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from core.errors import UserError
from core.synthesis.factory import tiles
from core.synthesis.factory.camera import Camera, develop, expose
from core.synthesis.factory.catalogue import NO_PLAN, Defect, Plan, Product
from core.synthesis.factory.defects import DEFECTS
from core.synthesis.factory.defects.spot import Spot
from core.synthesis.factory.grounds import lay, scatter_dust
from core.synthesis.factory.lighting import Light, shade
from core.synthesis.factory.materials import MATERIALS
from core.synthesis.factory.products import PRODUCTS
from core.synthesis.factory.scene import HEIGHT, Patch, Pose

Array = np.ndarray
SIZE = 224
VISIBLE = 7.0  # grey levels (of 255) of the strongest channel from which a difference counts as seen
PLAIN, FAINT = 70.0, 15.0  # mean contrast in grey levels at difficulty 0 and 1
TRIES = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered picture.

    Attributes:
        image: uint8 [H, W, 3].
        mask: bool [H, W], exact defect pixels; all False on a normal piece.
        parts: uint8 [H, W], label of the part seen at each pixel (see `Product.parts`), 0 for the ground.
        meta: product, words, category, materials, colours, counts, visible (names of parts in sight), orientation,
            landmarks (name -> cell 0..8 of the 3 x 3 grid), defect, difficulty,
            contrast (mean grey levels within the mask), seed, lot.
    """

    image: Array
    mask: Array
    parts: Array
    meta: Mapping[str, Any]


def render(
    product: str,
    defect: str | None,
    seed: int,
    difficulty: float = 0.3,
    *,
    lot: int | None = None,
    cell: int | None = None,
    size: int = SIZE,
) -> Picture:
    """One picture; the same arguments give the same picture.

    Args:
        product, defect: names in `PRODUCTS` and `DEFECTS`; None for a normal piece.
        difficulty: 0 plain .. 1 barely visible.
        lot: seed of the production lot; pieces of one lot share colours, proportions and station. Default: from `seed`.
        cell: 0..8, the cell of the 3 x 3 grid a surface defect should lie in, where the product allows it.
        size: side in pixels, 32 to 512.

    Raises:
        UserError: no such product or defect, or the defect cannot befall the product.
    """
    made, kind = _look_up(product, defect)
    if not 32 <= size <= tiles.SIZE:
        raise UserError(f"Pictures can be 32 to {tiles.SIZE} pixels wide, not {size}.")
    if lot is None:
        lot = seed
    design = made.lot(_rng(product, "lot", lot))
    station = _rng(product, "station", lot)
    light, camera, ground = Light.of(station), _camera(station), made.ground and str(station.choice(made.ground))
    shot = _rng(product, "shot", seed)
    light, camera = light.jittered(shot), camera.jittered(shot)
    pose, quarter = _pose(made, shot)

    def build(plan: Plan) -> tuple[Patch, Mapping[str, Any], Array]:
        piece = _rng(product, "piece", seed)
        table = Patch.empty(size, Pose(scale=pose.scale))
        if ground:
            lay(table, ground, piece)
        below = table.maps.copy()
        turned = Patch.empty(size, pose)
        scene = Patch(turned.x, turned.y, turned.px, table.maps, table.parts)
        facts = made.build(scene, design, piece, plan)
        if ground:
            scatter_dust(table, _rng(product, "dust", seed))
        return scene, facts, below

    scene, facts, below = build(NO_PLAN)
    mask, contrast = np.zeros((size, size), bool), 0.0
    stage = _Stage(made, scene, facts, below, build, light, camera)
    if kind is not None:
        scene, facts, mask, contrast = _spoil(stage, kind, seed, difficulty, cell)
    image = expose(stage.levels(scene), camera, shot)
    meta = {
        "product": product, "words": made.words, "category": made.category,
        "materials": {part.name: MATERIALS[part.material].words for part in made.parts},
        "colours": dict(facts.get("colours", {})), "counts": dict(facts.get("counts", {})),
        "orientation": quarter, "angle": round(math.degrees(pose.angle) % 360, 1),
        "visible": visible_parts(made, scene.parts), "landmarks": _landmarks(made, scene.parts), "defect": defect,
        "difficulty": round(float(difficulty), 3), "contrast": round(contrast, 1), "seed": seed, "lot": lot,
    }  # fmt: skip
    return Picture(image, mask, scene.parts, meta)


def render_pair(
    product: str, defect: str | None, seed: int, difficulty: float = 0.3, **options: Any
) -> tuple[Picture, Picture]:
    """A query and a normal reference of the same lot: another piece, another pose, light and noise (MMAD's similar
    templates). Arguments as for `render`."""
    lot = options.pop("lot", None)
    lot = seed if lot is None else lot
    query = render(product, defect, seed, difficulty, lot=lot, **options)
    options.pop("cell", None)
    return query, render(product, None, seed + 1_000_003, 0.0, lot=lot, **options)


def _look_up(product: str, defect: str | None) -> tuple[Product, Defect | None]:
    if product not in PRODUCTS:
        raise UserError(f"The factory makes no {product!r}: choose one of {', '.join(PRODUCTS)}.")
    made = PRODUCTS[product]
    if defect is not None and defect not in made.defects:
        raise UserError(f"A {product} cannot have {defect!r}: choose one of {', '.join(made.defects)}.")
    return made, DEFECTS[defect] if defect is not None else None


def _rng(product: str, role: str, seed: int) -> np.random.Generator:
    # Names enter by their bytes: `hash` differs from process to process.
    return np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, *f"{product}/{role}".encode()])


def _camera(station: np.random.Generator) -> Camera:
    return Camera(
        exposure=float(station.uniform(0.95, 1.08)),
        balance=(float(station.uniform(0.97, 1.03)), float(station.uniform(0.96, 1.04))),
        vignette=float(station.uniform(0.05, 0.22)), blur=float(station.uniform(0.2, 0.36)),
        noise=float(station.uniform(1.4, 2.6)),
    )  # fmt: skip


def _pose(product: Product, rng: np.random.Generator) -> tuple[Pose, int]:
    """The pose and, for products that lie in quarter turns, which one (degrees clockwise)."""
    quarter = 90 * int(rng.integers(4)) if product.turn == "quarter" else 0
    wobble = (
        float(rng.uniform(-math.pi, math.pi))
        if product.turn == "any"
        else float(np.clip(rng.normal(0, 0.05), -0.12, 0.12))
    )
    x, y = rng.uniform(-0.05, 0.05, 2)
    return Pose(float(x), float(y), math.radians(quarter) + wobble, float(rng.uniform(*product.size))), quarter


def visible_parts(product: Product, parts: Array) -> list[str]:
    """Names of the parts that can be seen.

    Args:
        parts: which lies under each pixel, uint8 [H, W].
    """
    areas = np.bincount(parts.ravel(), minlength=len(product.parts) + 1)
    return [part.name for part, area in zip(product.parts, areas[1:], strict=False) if area >= parts.size // 1500]


def _landmarks(product: Product, parts: Array) -> dict[str, int]:
    """Cell (0..8) of each landmark's middle; one too near a cell's border is left out, as it has no clear place."""
    found = {}
    for name in product.landmarks:
        rows, columns = np.nonzero(parts == product.label(name))
        if len(rows) < 12:
            continue
        place = (rows.mean() / parts.shape[0] * 3, columns.mean() / parts.shape[1] * 3)
        if all(min(abs(value - 1), abs(value - 2)) > 0.12 for value in place):
            found[name] = int(place[0]) * 3 + int(place[1])
    return found


@dataclass
class _Stage:
    """A piece under its light, before the camera's noise: what spoiling it needs to know."""

    product: Product
    scene: Patch
    facts: Mapping[str, Any]
    below: Array
    build: Callable[[Plan], tuple[Patch, Mapping[str, Any], Array]]
    light: Light
    camera: Camera

    def levels(self, scene: Patch, window: tuple[slice, slice] | None = None) -> Array:
        size = scene.parts.shape[0]
        top, left = (window[0].start, window[1].start) if window else (0, 0)
        return develop(shade(scene, self.light, window), self.camera, top, left, size)


def _spoil(
    stage: _Stage, kind: Defect, seed: int, difficulty: float, cell: int | None
) -> tuple[Patch, Mapping[str, Any], Array, float]:
    """Spoil the piece until the defect can be seen: (scene, facts, mask, contrast)."""
    size = stage.scene.parts.shape[0]
    amount = float(np.clip(1.0 - difficulty, 0.0, 1.0))
    wanted = PLAIN * (FAINT / PLAIN) ** float(difficulty)
    best = None
    for attempt in range(3 * TRIES):
        if attempt >= TRIES and best is not None and best[0]:
            break  # faint, but seen: only what cannot be seen at all is tried on
        rng = _rng(stage.product.name, f"defect{attempt}", seed)
        target = str(rng.choice(stage.product.defects[kind.name]))
        facts = stage.facts
        if kind.paint is None:
            scene, facts, _ = stage.build(Plan(kind.name, target, amount, rng))
        else:
            scene = stage.scene.copy()
            spot = _place(stage, kind, scene, target, amount, rng, cell if attempt < TRIES - 2 else None)
            if spot is None:
                continue
            kind.paint(spot)
        mask, contrast = _difference(stage, scene)
        if kind.fades and contrast > wanted * 1.15:
            # Turn the defect down towards the piece as it should be; maps mix linearly, light nearly so.
            share = np.float32(wanted / contrast)
            scene.maps = stage.scene.maps + (scene.maps - stage.scene.maps) * share
            mask, contrast = _difference(stage, scene)
        shown = mask.sum() * min(1.0, contrast / FAINT)
        if best is None or shown > best[0]:
            best = (shown, scene, facts, mask, contrast)
        if shown >= 30 * (size / SIZE) ** 2 and contrast >= 0.7 * FAINT:
            break
        amount = min(1.0, amount * 1.3 + 0.15)
        wanted *= 1.25
    if best is None or not best[0]:
        raise RuntimeError(f"{stage.product.name}, seed {seed}: no {kind.name} that can be seen")
    return best[1:]


def _place(
    stage: _Stage, kind: Defect, scene: Patch, target: str, amount: float, rng: np.random.Generator, cell: int | None
) -> Spot | None:
    """A spot on the target part, in the wanted cell where the part reaches it; None when the part is not in sight."""
    size = scene.parts.shape[0]
    made = stage.product
    label = made.label(target)
    where = scene.parts == label
    if kind.edge:
        solid = scene.parts > 0
        rim = solid & ~ndimage.binary_erosion(solid, iterations=2, border_value=1)
        where = where & rim if (where & rim).any() else rim
    elif where.sum() > 200:
        inner = ndimage.binary_erosion(where, iterations=max(2, size // 56))
        # Of a fine weave next to nothing is left.
        where = inner if inner.sum() > 100 else where
    margin = size // 16  # a defect cut off by the picture's border is unfair
    where[:margin] = where[-margin:] = where[:, :margin] = where[:, -margin:] = False
    # Where the part does not reach the wanted cell another one is taken, the middle last: most things lie there anyway.
    others = sorted(rng.permutation(9).tolist(), key=lambda number: number == 4)
    cells = others if cell is None else [cell, *others]
    thirds = np.minimum(np.arange(size) * 3 // size, 2)
    for choice in cells:
        rows, columns = np.nonzero(where & (thirds[:, None] == choice // 3) & (thirds[None, :] == choice % 3))
        if len(rows) > 8:
            break
    else:
        return None
    pick = int(rng.integers(len(rows)))
    x, y = float(scene.x[rows[pick], columns[pick]]), float(scene.y[rows[pick], columns[pick]])
    turn = float(rng.uniform(0, 2 * math.pi))
    rows_, columns_ = scene.window(x, y, 0.75)
    patch = scene.at(x, y, 0.75, turn)
    parts = patch.parts
    within = (parts > 0) if (kind.edge or not made.confine) else (parts == label)
    heading = math.atan2(-y, -x) - turn
    return Spot(
        patch, stage.below[:, rows_, columns_], within.astype(np.float32),
        MATERIALS[made.parts[label - 1].material], amount, rng, heading + math.pi,
    )  # fmt: skip


def _difference(stage: _Stage, spoiled: Patch) -> tuple[Array, float]:
    """The mask [H, W] of what changed and can be seen, and the mean contrast in it (grey levels)."""
    change = _changed(stage.scene, spoiled)
    size = change.shape[0]
    mask = np.zeros_like(change)
    if not change.any():
        return mask, 0.0
    rows, columns = np.flatnonzero(change.any(1)), np.flatnonzero(change.any(0))
    apron = 12  # light is worked out a little beyond, as neighbours cast shadows
    window = (slice(max(0, rows[0] - apron), min(size, rows[-1] + apron + 1)),
              slice(max(0, columns[0] - apron), min(size, columns[-1] + apron + 1)))  # fmt: skip
    difference = np.abs(stage.levels(spoiled, window) - stage.levels(stage.scene, window)).max(0)
    inside = change[window]
    seen = (difference > VISIBLE) & inside
    seen = ndimage.binary_closing(np.pad(seen, 2), iterations=2)[2:-2, 2:-2] & ndimage.binary_dilation(inside)
    labels, count = ndimage.label(seen, np.ones((3, 3)))
    if count > 1:
        # Specks are chance, not defect: keep what is at least a twentieth of the largest piece.
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        seen = (areas >= max(3, areas.max() // 20))[labels]
    mask[window] = seen
    return mask, float(difference[seen].mean()) if seen.any() else 0.0


def _changed(scene: Patch, spoiled: Patch) -> Array:
    """Pixels whose maps differ: what the defect itself occupies, without its shadow."""
    difference = np.abs(spoiled.maps - scene.maps)
    colour = np.maximum(np.maximum(difference[0], difference[1]), difference[2])
    finish = np.maximum(np.maximum(difference[HEIGHT + 1], difference[HEIGHT + 2]), difference[HEIGHT + 3])
    return colour * 12.0 + difference[HEIGHT] * (3.0 / scene.px) + finish * 2.0 > 0.12
