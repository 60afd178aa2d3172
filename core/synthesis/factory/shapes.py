"""Shapes as signed distances (negative inside, in object units) and what is made of them: coverage, bevels, domes.

A distance gives an anti-aliased edge for the price of one clip, so nothing is supersampled; its profile towards the edge
is the height that light falls on.
"""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def circle(x: Array, y: Array, radius: float) -> Array:
    return np.sqrt(x * x + y * y) - radius


def ellipse(x: Array, y: Array, a: float, b: float) -> Array:
    """Close to the true distance near the outline, which is all that coverage needs."""
    inner = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    outer = np.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2)
    return inner * (inner - 1.0) / np.maximum(outer, 1e-6)


def box(x: Array, y: Array, half_width: float, half_height: float, radius: float = 0.0) -> Array:
    dx = np.abs(x) - (half_width - radius)
    dy = np.abs(y) - (half_height - radius)
    outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
    return outside + np.minimum(np.maximum(dx, dy), 0) - radius


def polygon(x: Array, y: Array, sides: int, inradius: float, radius: float = 0.0) -> Array:
    """Regular polygon with rounded corners."""
    sector = 2 * math.pi / sides
    angle = np.arctan2(y, x)
    local = angle - sector * np.round(angle / sector)
    length = np.sqrt(x * x + y * y)
    along, across = length * np.cos(local), length * np.abs(np.sin(local))
    inner = inradius - radius
    corner = inner * math.tan(sector / 2)
    beyond = np.maximum(across - corner, 0)
    dx = along - inner
    return np.where(beyond > 0, np.sqrt(np.maximum(dx, 0) ** 2 + beyond**2), dx) - radius


def segment(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float], radius: float) -> Array:
    (ax, ay), (bx, by) = start, end
    ux, uy = bx - ax, by - ay
    t = np.clip(((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy + 1e-9), 0, 1)
    dx, dy = x - ax - t * ux, y - ay - t * uy
    return np.sqrt(dx * dx + dy * dy) - radius


def polyline(x: Array, y: Array, points: Array) -> Array:
    """Distance to an open line through `points` [n, 2]."""
    best = np.full(np.broadcast(x, y).shape, 9.0, np.float32)
    for start, end in zip(points[:-1], points[1:], strict=True):
        np.minimum(best, segment(x, y, tuple(start), tuple(end), 0.0), out=best)
    return best


def cover(distance: Array, px: float, soft: float = 1.0) -> Array:
    """Share of a pixel that lies inside, 0..1; `soft` widens the edge beyond one pixel."""
    return np.clip(0.5 - distance * (1.0 / (px * soft)), 0.0, 1.0)


def bevel(distance: Array, width: float) -> Array:
    """0 at the edge, rising as a quarter circle to 1 at `width` inside."""
    t = np.clip(distance * (-1.0 / width), 0.0, 1.0)
    return np.sqrt(t * (2.0 - t))


def chamfer(distance: Array, width: float) -> Array:
    """0 at the edge, rising straight to 1 at `width` inside."""
    return np.clip(distance * (-1.0 / width), 0.0, 1.0)


def step(values: Array, low: float, high: float) -> Array:
    """Smooth rise from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
