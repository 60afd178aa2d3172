"""Light: from maps to linear light, as one large lamp, a soft room and what metal mirrors of both.

Normals come from the height map. Matt and glossy surfaces take Lambert and Blinn-Phong terms; metal looks up a drawn
room (soft boxes over dark walls) in the direction it mirrors. Occlusion and cast shadows are found on the height map at
half size, where they are cheap and soft at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from core.synthesis.factory.scene import GLOSS, HEIGHT, METAL, ROUGH, Patch

Array = np.ndarray
ROOM = 64  # side of the mirrored room's map


@dataclass(frozen=True)
class Light:
    """One lighting of a scene.

    Attributes:
        azimuth: where the lamp stands, radians in the picture plane (0 right, pi/2 below).
        elevation: radians above the table.
        key, ambient: strengths of lamp and room.
        colour: tint of the lamp, linear, about 1.
        slope: brightness gradient over the picture (x, y).
        room: [64, 64] what metal sees, by mirrored direction.
    """

    azimuth: float
    elevation: float
    key: float
    ambient: float
    colour: tuple[float, float, float]
    slope: tuple[float, float]
    room: Array

    @classmethod
    def of(cls, station: np.random.Generator) -> Light:
        """The light of an inspection station: the same for a whole lot."""
        azimuth = float(station.uniform(-math.pi * 0.95, -math.pi * 0.05))  # from behind, as photographers light
        warmth = float(station.uniform(-0.06, 0.06))
        return cls(
            azimuth, float(station.uniform(0.75, 1.1)), float(station.uniform(0.72, 0.86)),
            float(station.uniform(0.3, 0.42)), (1 + warmth, 1.0, 1 - warmth), (0.0, 0.0),
            _room(station, azimuth),
        )  # fmt: skip

    def jittered(self, rng: np.random.Generator) -> Light:
        """The same station at another moment: lamp a little elsewhere, a little brighter or darker. No defect."""
        strength = float(rng.uniform(0.92, 1.08))
        return replace(
            self,
            azimuth=self.azimuth + float(rng.normal(0, 0.12)),
            elevation=self.elevation + float(rng.normal(0, 0.03)),
            key=self.key * strength,
            ambient=self.ambient * strength * float(rng.uniform(0.95, 1.05)),
            slope=(float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05))),
            room=np.roll(self.room, tuple(int(n) for n in rng.integers(-2, 3, 2)), (0, 1)),
        )


def _room(rng: np.random.Generator, azimuth: float) -> Array:
    """A studio as metal mirrors it: grey walls, a bright soft box at the lamp, a strip light, a dark floor."""
    line = (np.arange(ROOM, dtype=np.float32) + 0.5) * (2.0 / ROOM) - 1.0
    x, y = line[None, :], line[:, None]
    room = 0.42 + 0.18 * np.clip(-(x * math.cos(azimuth + 0.6) * -1 + y * 0.8), -1, 1)
    for turn, distance, width, length, strength in (
        (0.0, 0.62, 0.34, 0.6, 1.5), (2.3, 0.75, 0.12, 0.7, 0.9), (-1.9, 0.35, 0.1, 0.5, 0.45),
    ):  # fmt: skip
        angle = azimuth + turn + float(rng.normal(0, 0.2))
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle)
        room = room + strength * _window(along - distance, width, 0.16) * _window(across, length, 0.2)
    room = room - 0.14 * _window(np.hypot(x, y), 0.16, 0.2)  # the camera's own dark lens
    return ndimage.gaussian_filter(np.clip(room, 0.03, 2.2), 1.0).astype(np.float32)


def _window(distance: Array, half: float, soft: float) -> Array:
    return 1.0 / (1.0 + np.exp((np.abs(distance) - half) * (4.0 / soft)))


def shade(scene: Patch, light: Light, where: tuple[slice, slice] | None = None) -> Array:
    """Linear light [3, h, w] of the scene, or of a window of it."""
    size = scene.parts.shape[0]
    window = where or (slice(0, size), slice(0, scene.parts.shape[1]))
    maps = scene.maps[(slice(None), *window)]
    height = maps[HEIGHT]
    # Slopes in the picture plane; steep walls are held back, or every edge would be black or burnt.
    nx, ny = _slopes(_soft(height), 1.0 / scene.px)
    inverse = 1.0 / np.sqrt(1.0 + nx * nx + ny * ny)
    nx *= inverse
    ny *= inverse

    ce, se = math.cos(light.elevation), math.sin(light.elevation)
    lx, ly = math.cos(light.azimuth) * ce, math.sin(light.azimuth) * ce
    lambert = np.maximum(nx * lx + ny * ly + inverse * se, 0.0)
    shadow, open_sky = _shadows(height, scene.px, light)
    diffuse = light.key * lambert * shadow + light.ambient * open_sky * (0.75 + 0.25 * inverse - 0.12 * ny)

    # Half vector between lamp and the camera above.
    norm = 1.0 / math.sqrt(lx * lx + ly * ly + (se + 1.0) ** 2)
    half = (nx * lx + ny * ly + inverse * (se + 1.0)) * norm
    sharp = 1.0 - maps[ROUGH]
    sharpness = 6.0 + 150.0 * sharp * sharp
    highlight = maps[GLOSS] * np.exp((half - 1.0) * sharpness) * (0.15 + 0.85 * shadow) * (0.4 + 1.2 * sharp)
    # A glossy skin mirrors more of the room at its flanks.
    highlight += maps[GLOSS] * 0.12 * (1.0 - inverse) * open_sky

    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] * (2.0 / size) - 1.0
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] * (2.0 / size) - 1.0
    metal = maps[METAL]
    result = np.empty((3, *height.shape), np.float32)
    if metal.max() > 0.01:
        mirrored = (
            _mirror(nx, ny, inverse, rows, columns, light.room) * (0.35 + 0.65 * open_sky) * (0.55 + 0.45 * shadow)
        )
        base = diffuse + metal * (0.18 * diffuse + 1.05 * mirrored - diffuse)
    else:
        base = diffuse
    gradient = 1.0 + light.slope[0] * columns + light.slope[1] * rows
    base *= gradient
    highlight *= gradient
    for channel, tint in enumerate(light.colour):
        result[channel] = (maps[channel] * base + highlight) * np.float32(tint)
    return result


def _soft(height: Array) -> Array:
    """A three-tap blur: a wall of one pixel would mirror the room in stairs."""
    padded = np.pad(height, 1, mode="edge")
    wide = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    return 0.25 * wide[:-2] + 0.5 * wide[1:-1] + 0.25 * wide[2:]


def _slopes(height: Array, per_unit: float) -> tuple[Array, Array]:
    nx, ny = np.empty_like(height), np.empty_like(height)
    nx[:, 1:-1] = height[:, :-2] - height[:, 2:]
    nx[:, 0], nx[:, -1] = nx[:, 1], nx[:, -2]
    ny[1:-1] = height[:-2] - height[2:]
    ny[0], ny[-1] = ny[1], ny[-2]
    scale = np.float32(0.5 * per_unit)
    nx *= scale
    ny *= scale
    np.clip(nx, -1.8, 1.8, out=nx)
    np.clip(ny, -1.8, 1.8, out=ny)
    return nx, ny


def _mirror(nx: Array, ny: Array, nz: Array, rows: Array, columns: Array, room: Array) -> Array:
    # Mirrored direction of a view from above; the place adds what a near camera sees of the room.
    scale = np.float32(ROOM / 2)
    u = ((2.0 * nx * nz + 0.22 * columns + 1.0) * scale).astype(np.int32)
    v = ((2.0 * ny * nz + 0.22 * rows + 1.0) * scale).astype(np.int32)
    np.clip(u, 0, ROOM - 1, out=u)
    np.clip(v, 0, ROOM - 1, out=v)
    return room.reshape(-1)[(v << 6) + u]


def _shadows(height: Array, px: float, light: Light) -> tuple[Array, Array]:
    """Share of the lamp's light and of the room's light that reaches each pixel, both [H, W]."""
    h, w = height.shape
    even_h, even_w = h - h % 2, w - w % 2
    small = 0.25 * (
        height[0:even_h:2, 0:even_w:2] + height[1:even_h:2, 0:even_w:2]
        + height[0:even_h:2, 1:even_w:2] + height[1:even_h:2, 1:even_w:2]
    )  # fmt: skip
    if small.size == 0 or small.max() - small.min() < 1e-4:
        flat = np.ones_like(height)
        return flat, flat
    unit = 2.0 * px  # object units a half-size pixel spans
    dx, dy = math.cos(light.azimuth), math.sin(light.azimuth)
    rise = math.tan(light.elevation)
    blocked = np.zeros_like(small)
    for reach in (1.0, 2.0, 3.5, 5.5, 8.0, 12.0):
        shifted = _shift(small, int(round(dy * reach)), int(round(dx * reach)))
        np.maximum(blocked, (shifted - small) - reach * unit * rise * 0.8, out=blocked)
    blocked = np.clip(blocked * (1.0 / (2.5 * unit)), 0.0, 1.0)
    blocked = ndimage.uniform_filter(blocked, 3, mode="nearest")
    around = ndimage.uniform_filter(ndimage.uniform_filter(small, 7, mode="nearest"), 5, mode="nearest")
    sky = np.clip(1.0 - np.maximum(around - small, 0.0) * (0.35 / (2.0 * unit)), 0.35, 1.0)
    return 1.0 - 0.8 * _enlarge(blocked, h, w), _enlarge(sky, h, w)


def _shift(values: Array, rows: int, columns: int) -> Array:
    """values at (row + rows, column + columns), edges repeated."""
    h, w = values.shape
    return values[np.clip(np.arange(h) + rows, 0, h - 1)[:, None], np.clip(np.arange(w) + columns, 0, w - 1)]


def _enlarge(values: Array, height: int, width: int) -> Array:
    """Twice the size, linearly interpolated, cut or padded to [height, width]."""
    tall = np.empty((values.shape[0] * 2, values.shape[1]), np.float32)
    above, below = np.vstack([values[:1], values[:-1]]), np.vstack([values[1:], values[-1:]])
    tall[0::2], tall[1::2] = 0.75 * values + 0.25 * above, 0.75 * values + 0.25 * below
    wide = np.empty((tall.shape[0], values.shape[1] * 2), np.float32)
    left, right = np.hstack([tall[:, :1], tall[:, :-1]]), np.hstack([tall[:, 1:], tall[:, -1:]])
    wide[:, 0::2], wide[:, 1::2] = 0.75 * tall + 0.25 * left, 0.75 * tall + 0.25 * right
    if wide.shape != (height, width):
        wide = np.pad(wide, ((0, height - wide.shape[0]), (0, width - wide.shape[1])), mode="edge")
    return wide
