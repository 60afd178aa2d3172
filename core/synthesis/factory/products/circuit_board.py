"""Printed circuit board: chips, capacitors, resistors, a connector, traces, pads and mounting holes."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.synthesis.factory import printing, shapes
from core.synthesis.factory.catalogue import Lot, Part, Plan, Product, Rng, fork
from core.synthesis.factory.scene import Colour, Patch

_MASKS: dict[str, Colour] = {
    "green": (0.10, 0.36, 0.22),
    "blue": (0.10, 0.22, 0.45),
    "red": (0.52, 0.12, 0.12),
    "black": (0.13, 0.14, 0.15),
}
_TIN, _GOLD, _BLACK = (0.80, 0.80, 0.80), (0.85, 0.70, 0.38), (0.11, 0.11, 0.12)


def lot(rng: Rng) -> Lot:
    side = float(rng.choice([-1, 1]))
    return {
        "mask": str(rng.choice(list(_MASKS))),
        "half": (float(rng.uniform(0.80, 0.86)), float(rng.uniform(0.70, 0.80))),
        "pins": int(rng.integers(5, 9)),
        "side": side,
        "chip": (float(rng.uniform(0.20, 0.26)), float(rng.uniform(0.18, 0.24))),
        "capacitors": int(rng.integers(2, 5)),
        "resistors": int(rng.integers(4, 8)),
        "layout": int(rng.integers(2**31)),
        "name": str(rng.choice(["A7-02", "MX-4", "CTRL 3", "PSU-9", "RX20"])),
    }


def build(p: Patch, lot: Lot, rng: Rng, plan: Plan) -> dict[str, Any]:
    w, h = lot["half"]
    layout = np.random.default_rng(lot["layout"])
    mask = _MASKS[lot["mask"]]
    d = shapes.box(p.x, p.y, w, h, 0.04)
    tone = 1 + 0.05 * p.texture("fibre", rng, 0.9) + 0.03 * p.texture("cloud", rng, 1.6)
    p.paint(
        shapes.cover(d, p.px),
        mask,
        tone=tone,
        part=1,
        gloss=0.25,
        rough=0.35,
        height=0.08 * shapes.chamfer(d, 0.012) + 0.0004 * p.texture("fibre", rng, 0.7),
    )
    _traces(p, layout, w, h, mask)
    for sx in (-1, 1):
        for sy in (-1, 1):
            q = p.at(sx * (w - 0.09), sy * (h - 0.09), 0.09)
            ring = shapes.circle(q.x, q.y, 0.065)
            q.paint(shapes.cover(ring, q.px), _GOLD, part=6, gloss=0.5, rough=0.35, metal=0.8, relief=0.004)
            q.paint(shapes.cover(ring + 0.028, q.px), (0.06, 0.06, 0.06), height=-0.02, gloss=0, metal=0)
    moved = plan.befalls("misplaced part", "chip")
    turn = float(plan.rng.choice([-1, 1])) * plan.between(0.10, 0.35) if moved else 0.0
    cx, cy = float(layout.uniform(-0.12, 0.12)), float(layout.uniform(-0.12, 0.1))
    cw, ch = lot["chip"]
    rng, chip_rng = fork(rng), fork(rng)
    if plan.befalls("missing part", "chip"):
        _pads(p.at(cx, cy, cw + ch), cw, ch)
    else:
        _chip(p.at(cx, cy, cw + ch, turn), cw, ch, lot["name"], chip_rng, plan)
    side = lot["side"]
    _connector(p.at(side * (w - 0.14), 0.02, 0.5), lot["pins"], plan, rng)
    gone, askew = (
        plan.pick("missing part", "capacitor", lot["capacitors"]),
        plan.pick("misplaced part", "capacitor", lot["capacitors"]),
    )
    for k in range(lot["capacitors"]):
        y = -h + 0.24 + k * (2 * h - 0.48) / max(1, lot["capacitors"] - 1)
        if k == askew:
            y += plan.between(0.05, 0.09)
        _capacitor(p.at(-side * (w - 0.24), y, 0.14), k == gone, fork(rng))
    gone, askew = (
        plan.pick("missing part", "resistor", lot["resistors"]),
        plan.pick("misplaced part", "resistor", lot["resistors"]),
    )
    for k in range(lot["resistors"]):
        x = -0.42 + 0.84 * k / max(1, lot["resistors"] - 1)
        y = (h - 0.12) * (1 if k % 2 else -1)
        turn = plan.between(0.35, 1.2) if k == askew else float(rng.normal(0, 0.02))
        _resistor(p.at(x, y, 0.08, turn), k == gone)
    ink = printing.Decal(0.3, 0.08).text(0, 0, lot["name"], 0.075).ink()
    q = p.at(cx - 0.02, h - 0.27, 0.2)
    q.paint(printing.sample(ink, q, 0.3, 0.08) * 0.9, (0.9, 0.9, 0.88))
    counts = {
        "capacitor": lot["capacitors"] - plan.befalls("missing part", "capacitor"),
        "resistor": lot["resistors"] - plan.befalls("missing part", "resistor"),
    }
    return {"colours": {"board": lot["mask"]}, "counts": counts}


def _traces(p: Patch, layout: Rng, w: float, h: float, mask: Colour) -> None:
    copper = tuple(min(1.0, c * 1.25 + 0.06) for c in mask)
    best = np.full(p.x.shape, 9.0, np.float32)
    for _ in range(9):
        x, y = float(layout.uniform(-w + 0.15, w - 0.15)), float(layout.uniform(-h + 0.1, h - 0.1))
        for _ in range(3):
            step = float(layout.uniform(0.15, 0.5)) * float(layout.choice([-1, 1]))
            nx, ny = ((x + step, y), (x, y + step), (x + step * 0.5, y + step * 0.5))[int(layout.integers(3))]
            nx, ny = float(np.clip(nx, -w + 0.08, w - 0.08)), float(np.clip(ny, -h + 0.08, h - 0.08))
            reach = max(abs(nx - x), abs(ny - y)) / 2 + 0.05
            q = p.at((x + nx) / 2, (y + ny) / 2, reach)
            rows, columns = p.window((x + nx) / 2, (y + ny) / 2, reach)
            mx, my = (x + nx) / 2, (y + ny) / 2
            np.minimum(
                best[rows, columns],
                shapes.segment(q.x, q.y, (x - mx, y - my), (nx - mx, ny - my), 0.008),
                out=best[rows, columns],
            )
            x, y = nx, ny
        via = p.at(x, y, 0.05)
        dv = shapes.circle(via.x, via.y, 0.022)
        via.paint(shapes.cover(dv, p.px), _TIN, metal=0.7, gloss=0.4, relief=0.003)
        via.paint(shapes.cover(dv + 0.012, p.px), (0.05, 0.06, 0.05), metal=0.0)
    p.paint(shapes.cover(best, p.px) * 0.9, copper, relief=0.003)


def _pads(q: Patch, cw: float, ch: float) -> None:
    for sy in (-1, 1):
        pitch = 2 * cw / 7
        u = (q.x + cw) / pitch
        local = (u - np.floor(u) - 0.5) * pitch
        d = np.maximum(np.abs(local) - pitch * 0.24, np.abs(q.y - sy * (ch + 0.035)) - 0.032)
        d = np.maximum(d, np.abs(q.x) - cw)
        q.paint(shapes.cover(d, q.px), _TIN, gloss=0.5, rough=0.35, metal=0.8, height=0.085)


def _chip(q: Patch, cw: float, ch: float, name: str, rng: Rng, plan: Plan) -> None:
    for sy in (-1, 1):
        pitch = 2 * cw / 7
        u = (q.x + cw) / pitch
        local = (u - np.floor(u) - 0.5) * pitch
        reach = sy * q.y - ch
        d = np.maximum(np.maximum(np.abs(local) - pitch * 0.2, np.abs(reach - 0.02) - 0.05), np.abs(q.x) - cw)
        q.paint(
            shapes.cover(d, q.px),
            _TIN,
            gloss=0.5,
            rough=0.3,
            metal=0.85,
            part=3,
            height=0.09 + 0.08 * np.clip(1 - reach / 0.05, 0, 1),
        )
    d = shapes.box(q.x, q.y, cw, ch, 0.008)
    q.paint(
        shapes.cover(d, q.px),
        _BLACK,
        tone=1 + 0.10 * q.texture("white", rng, 0.9),
        part=2,
        metal=0.0,
        height=0.09 + 0.11 * shapes.chamfer(d, 0.02) + 0.0006 * q.texture("white", rng, 0.9),
        gloss=0.16,
        rough=0.6,
    )
    dot = shapes.circle(q.x + cw - 0.05, q.y + ch - 0.05, 0.018)
    q.paint(shapes.cover(dot, q.px), _BLACK, relief=-0.01)
    decal = printing.Decal(2 * cw, 2 * ch).text(0, -0.045, name, 0.10).text(0, 0.06, "4821 KR", 0.07)
    ink = decal.ink()
    if plan.befalls("misprint", "chip"):
        ink = printing.spoil(ink, plan.rng, plan.amount)
    q.paint(printing.sample(ink, q, 2 * cw, 2 * ch) * 0.75, (0.75, 0.75, 0.72))


def _connector(q: Patch, pins: int, plan: Plan, rng: Rng) -> None:
    half = pins * 0.042 + 0.03
    d = shapes.box(q.x, q.y, 0.095, half, 0.012)
    q.paint(
        shapes.cover(d, q.px),
        (0.90, 0.89, 0.84),
        tone=1 + 0.02 * q.texture("cloud", rng, 1.0),
        part=4,
        metal=0.0,
        height=0.1 + 0.14 * shapes.chamfer(d, 0.012),
        gloss=0.25,
        rough=0.5,
    )
    well = shapes.box(q.x, q.y, 0.062, half - 0.03, 0.01)
    q.paint(shapes.cover(well, q.px), (0.62, 0.61, 0.57), height=0.12)
    gone = plan.pick("missing part", "pin", pins)
    bent = plan.pick("misplaced part", "pin", pins)
    for k in range(pins):
        y = (k - (pins - 1) / 2) * 0.084
        if k == gone:
            continue
        lean = plan.between(0.02, 0.035) if k == bent else 0.0
        s = q.at(lean, y + lean, 0.06, 0.5 if k == bent else 0.0)
        d = shapes.box(s.x, s.y, 0.026, 0.017, 0.004)
        s.paint(
            shapes.cover(d, s.px),
            _GOLD,
            part=5,
            height=0.13 + 0.07 * shapes.bevel(d, 0.015),
            gloss=0.6,
            rough=0.3,
            metal=0.9,
        )


def _capacitor(q: Patch, gone: bool, rng: Rng) -> None:
    if gone:
        for sx in (-1, 1):
            dot = shapes.circle(q.x - sx * 0.04, q.y, 0.02)
            q.paint(shapes.cover(dot, q.px), _TIN, metal=0.7, gloss=0.4)
        ring = np.abs(shapes.circle(q.x, q.y, 0.095)) - 0.006
        q.paint(shapes.cover(ring, q.px) * 0.8, (0.9, 0.9, 0.88))
        return
    d = shapes.circle(q.x, q.y, 0.095)
    q.paint(
        shapes.cover(d, q.px),
        (0.16, 0.17, 0.22),
        part=7,
        height=0.1 + 0.22 * shapes.bevel(d, 0.012),
        gloss=0.3,
        rough=0.4,
    )
    top = d + 0.014
    q.paint(
        shapes.cover(top, q.px),
        (0.78, 0.78, 0.79),
        tone=1 + 0.03 * q.texture("streak", rng, 0.6),
        height=0.32,
        metal=0.75,
        gloss=0.4,
        rough=0.4,
    )
    q.paint(shapes.cover(top, q.px) * (q.x < -0.035), (0.14, 0.14, 0.17), metal=0.1)
    score = np.minimum(np.abs(q.x + q.y), np.abs(q.x - q.y)) * 0.707 - 0.004
    q.paint(shapes.cover(score, q.px) * shapes.cover(d + 0.04, q.px), relief=-0.006)


def _resistor(q: Patch, gone: bool) -> None:
    body, end = shapes.box(q.x, q.y, 0.052, 0.028, 0.004), np.abs(q.x) - 0.034
    ends = np.maximum(shapes.box(q.x, q.y, 0.058, 0.03, 0.005), -end)
    q.paint(shapes.cover(ends, q.px), _TIN, height=0.1 if gone else 0.12, gloss=0.5, rough=0.35, metal=0.8)
    if not gone:
        middle = np.maximum(body, end)
        q.paint(shapes.cover(middle, q.px), (0.13, 0.12, 0.12), part=8, height=0.125, gloss=0.3, rough=0.4, metal=0.0)


PRODUCT = Product(
    name="circuit_board",
    words="printed circuit board",
    category="board",
    parts=(
        Part("board", "circuit board"),
        Part("chip", "plastic"),
        Part("chip leg", "steel"),
        Part("connector", "plastic"),
        Part("pin", "brass"),
        Part("mounting hole", "copper"),
        Part("capacitor", "aluminium"),
        Part("resistor", "plastic"),
    ),
    lot=lot,
    build=build,
    turn="quarter",
    ground=("bench", "white", "mat"),
    landmarks=("connector",),
    defects={
        "missing part": ("capacitor", "resistor", "pin", "chip"),
        "misplaced part": ("chip", "resistor", "pin"),
        "misprint": ("chip",),
        "scratch": ("board",),
        "broken edge": ("board",),
        "stain": ("board", "chip"),
        "foreign object": ("board",),
        "crack": ("board", "chip"),
        "discolouration": ("board",),
        "thread": ("board",),
    },
    good="All components sit square on their pads: the chip in the middle, capacitors along one side, resistors along the "
    "edges and a connector with a full row of pins.",
    looks={
        "missing part": "Bare pads or an empty place show where a component should be soldered.",
        "misplaced part": "A component is turned or shifted away from its pads.",
        "misprint": "The lettering on the chip is doubled, smeared or incomplete.",
        "scratch": "A thin bright line is scored through the solder mask.",
        "broken edge": "A piece of the board is broken off and pale glass fibre shows.",
        "stain": "Flux or dirt has dried on the board in a cloudy patch.",
        "foreign object": "A loose chip or crumb lies between the components.",
        "crack": "A dark jagged line splits the board or a component.",
        "discolouration": "An area of the board is browned or bleached, as after overheating.",
        "thread": "A fibre lies across the components.",
    },
    effects={
        "missing part": "The circuit is open and the device does not work.",
        "misplaced part": "Solder joints are open or shorted and the circuit fails.",
        "misprint": "The type of the component can no longer be verified.",
        "scratch": "A copper trace may be cut or laid bare.",
        "broken edge": "The board no longer fits its housing and inner layers may be open.",
        "stain": "Residues attract moisture and let currents creep.",
        "foreign object": "A conductive particle can short two traces.",
        "crack": "Traces break with the next vibration.",
        "discolouration": "Heat has damaged the laminate and its insulation.",
        "thread": "The fibre draws moisture and can disturb coating.",
    },
    purpose="carry and connect electronic components",
)
