"""The camera: lens blur, vignette, exposure, tone curve and sensor noise turn linear light into an 8-bit picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.synthesis.factory import tiles

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera setting.

    Attributes:
        exposure: factor on the light.
        balance: white balance, factors on red and blue.
        vignette: darkening at the corners, 0..1.
        blur: weight of the neighbours, 0 sharp to 0.5.
        noise: standard deviation at mid grey, in grey levels of 255.
    """

    exposure: float = 1.0
    balance: tuple[float, float] = (1.0, 1.0)
    vignette: float = 0.12
    blur: float = 0.3
    noise: float = 2.0

    def jittered(self, rng: np.random.Generator) -> Camera:
        """Another shot of the same camera: none of this is a defect."""
        return replace(
            self,
            exposure=self.exposure * float(rng.uniform(0.94, 1.06)),
            balance=(self.balance[0] * float(rng.uniform(0.985, 1.015)), self.balance[1] * float(rng.uniform(0.985, 1.015))),
            blur=float(np.clip(self.blur + rng.uniform(-0.12, 0.15), 0.1, 0.48)),
            noise=self.noise * float(rng.uniform(0.7, 1.5)),
        )  # fmt: skip


def develop(light: Array, camera: Camera, top: int = 0, left: int = 0, size: int | None = None) -> Array:
    """Linear light [3, h, w] to levels [3, h, w] in 0..255 (float32), without noise.

    `top`, `left` and `size` place a window in its picture, for the vignette.
    """
    h, w = light.shape[1:]
    size = size or h
    rows = (np.arange(top, top + h, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    columns = (np.arange(left, left + w, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    gain = camera.exposure * (1.0 - camera.vignette * 0.5 * (rows[:, None] ** 2 + columns**2))
    levels = _soften(light, camera.blur)
    levels[0] *= gain * np.float32(camera.balance[0])
    levels[1] *= gain
    levels[2] *= gain * np.float32(camera.balance[1])
    # A shoulder for highlights (they roll off instead of clipping), then gamma 2.
    np.maximum(levels, 0.0, out=levels)
    levels *= (1.0 + levels * np.float32(0.22)) / (1.0 + levels * np.float32(0.55))
    np.sqrt(levels, out=levels)
    levels *= 255.0 * 1.1
    return np.minimum(levels, 255.0, out=levels)


def expose(levels: Array, camera: Camera, rng: np.random.Generator) -> Array:
    """Levels [3, h, w] to the picture [h, w, 3] uint8, with sensor noise (shot noise: stronger in the light)."""
    h, w = levels.shape[1:]
    luma = tiles.crop("white", rng, h, w)
    picture = np.empty((h, w, 3), np.uint8)
    spread = np.sqrt(levels[1] * np.float32(1 / 180.0) + 0.25) * np.float32(camera.noise)
    shared = luma * spread * 0.8
    for channel in range(3):
        noisy = levels[channel] + shared + tiles.crop("white", rng, h, w) * (spread * np.float32(0.6))
        picture[:, :, channel] = np.clip(noisy + 0.5, 0, 255)
    return picture


def _soften(light: Array, weight: float) -> Array:
    """A separable three-tap blur: `weight` is shared by the two neighbours."""
    side, middle = np.float32(weight / 2), np.float32(1 - weight)
    result = light * middle
    result[:, :, 1:-1] += (light[:, :, :-2] + light[:, :, 2:]) * side
    result[:, :, 0] += (light[:, :, 0] + light[:, :, 1]) * side
    result[:, :, -1] += (light[:, :, -1] + light[:, :, -2]) * side
    tall = result * middle
    tall[:, 1:-1] += (result[:, :-2] + result[:, 2:]) * side
    tall[:, 0] += (result[:, 0] + result[:, 1]) * side
    tall[:, -1] += (result[:, -1] + result[:, -2]) * side
    return tall
