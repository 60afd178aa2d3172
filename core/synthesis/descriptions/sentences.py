"""From measures to plain sentences. Over several pictures only what most of them share is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.synthesis.descriptions.measuring import Measures
from core.synthesis.names import spoken

# Where each region of the 3 x 3 grid lies, in reading order.
WHERE = (
    "in the upper left", "at the top in the middle", "in the upper right",
    "on the left side", "in the center", "on the right side",
    "in the lower left", "at the bottom in the middle", "in the lower right",
)  # fmt: skip
FEW = 4  # with fewer pictures nothing is said about where a defect tends to be
MOSTLY = 0.6  # share of the pictures that a statement must hold for


def describe_defect(defect: str, product: str, measures: Sequence[Measures], *, guessed: bool = False) -> str:
    """A text of several sentences about a defect measured on one or more pictures.

    Args:
        guessed: the places were found by comparison with normal pictures, not read from masks.
    """
    name, thing = spoken(defect), spoken(product)
    lead = "Compared with normal pieces, " if guessed else ""
    lines = [
        f"{lead}the defect {name!r} on the {thing} shows as {shape_words(measures)}.",
        f"{_size_sentence(measures)}",
        f"{_look_sentence(measures)}",
        f"{_place_sentence(measures)}",
    ]
    return " ".join(_capital(line) for line in lines if line)


def describe_one(measures: Measures) -> str:
    """What a single picture shows, without the defect's name: for text samples and for reading along."""
    one = [measures]
    places = " and ".join(WHERE[p] for p in measures.places[:2])
    there = "There are" if measures.parts > 1 else "There is"
    line = f"{there} {shape_words(one)} {places or 'all over the picture'}."
    return " ".join(_capital(s) for s in (line, _size_sentence(one), _look_sentence(one)) if s)


def shape_words(measures: Sequence[Measures]) -> str:
    """ "a thin diagonal line", "several separate round spots", "a compact round area", "an irregular patch"."""
    several = _share(m.parts > 1 for m in measures) >= MOSTLY
    kind = Counter(_kind(m) for m in measures).most_common(1)[0]
    if kind[1] < MOSTLY * len(measures):
        return "several separate areas of varying shape" if several else "an area of varying shape"
    direction = _direction(measures, "run" if several else "runs") if kind[0] == "line" else ""
    one, many = {
        "line": ("a long, narrow mark", "several separate long, narrow marks"),
        "oblong": ("an oblong area", "several separate oblong areas"),
        "round": ("a compact, roundish spot", "several separate compact, roundish spots"),
        "irregular": ("an irregularly shaped area", "several separate irregularly shaped areas"),
    }[kind[0]]
    return (many if several else one) + direction


def _kind(m: Measures) -> str:
    if m.elongation >= 3.5:
        return "line"
    if m.solidity < 0.7:
        return "irregular"
    return "oblong" if m.elongation >= 1.8 else "round"


def _direction(measures: Sequence[Measures], run: str) -> str:
    names = Counter(
        ("horizontal", "rising to the right", "vertical", "falling to the right")[round(m.angle / 45) % 4]
        for m in measures
    )
    name, count = names.most_common(1)[0]
    if count < MOSTLY * len(measures):
        return " of varying direction"
    return {"horizontal": f" that {run} horizontally", "vertical": f" that {run} vertically"}.get(name, f" {name}")


def _size_sentence(measures: Sequence[Measures]) -> str:
    shares = np.array([m.share for m in measures])
    low, high = np.quantile(shares, [0.1, 0.9])
    size = "tiny" if np.median(shares) < 0.003 else "small" if np.median(shares) < 0.02 else (
        "medium-sized" if np.median(shares) < 0.1 else "large")  # fmt: skip
    if high < 1.5 * low or len(measures) == 1:
        return f"It is {size} and covers about {percent(float(np.median(shares)))} of the picture."
    return f"It is usually {size} and covers between {percent(float(low))} and {percent(float(high))} of the picture."


def percent(share: float) -> str:
    """A share in words of one or two digits: 0.0004 -> "0.04 %", 0.257 -> "26 %"."""
    value = 100 * share
    if value < 0.01:
        return "less than 0.01 %"
    return f"{value:.0f} %" if value >= 9.5 else f"{value:.1g} %"


def _look_sentence(measures: Sequence[Measures]) -> str:
    words = colour_words(measures)
    rough = np.array([m.roughness for m in measures])
    if _share(rough > 1.6) >= MOSTLY:
        words.append("more uneven in brightness")
    elif _share(rough < 0.6) >= MOSTLY:
        words.append("more even in brightness")
    against = (
        "the same place on a normal piece" if _share(m.aligned for m in measures) >= MOSTLY else "its surroundings"
    )
    if not words:
        return f"{_undirected(measures)} {against}."
    return f"It is {_and(words)} than {against}."


def _undirected(measures: Sequence[Measures]) -> str:
    """For defects without a common direction: that they hardly differ, or that they differ now so and now so."""
    light = np.array([abs(m.lightness) for m in measures])
    color = np.array([np.hypot(m.red_green, m.yellow_blue) for m in measures])
    if _share(light > 4) >= MOSTLY:
        return "It is sometimes lighter and sometimes darker than"
    return "It has another color than" if _share(color > 6) >= MOSTLY else "Its brightness and color hardly differ from"


def colour_words(measures: Sequence[Measures]) -> list[str]:
    """Comparatives that hold for most of the pictures: "much darker", "redder", "less colorful"."""
    words = []
    light = np.array([m.lightness for m in measures])
    for sign, name in ((-1, "darker"), (1, "lighter")):
        if _share(sign * light > 4) >= MOSTLY:
            amount = float(np.median(sign * light))
            words.append(f"{'much ' if amount > 25 else 'slightly ' if amount < 9 else ''}{name}")
    inside, outside = (np.array([getattr(m, side)[1:] for m in measures]) for side in ("inside", "outside"))
    fade = np.hypot(*outside.T) - np.hypot(*inside.T)
    if _share(fade > 8) >= MOSTLY:
        words.append("less colorful")
        return words
    shift = np.array([[m.red_green, m.yellow_blue] for m in measures])
    for column, names in enumerate((("greener", "redder"), ("bluer", "yellower"))):
        for sign, name in zip((-1, 1), names, strict=True):
            if _share(sign * shift[:, column] > 6) >= MOSTLY:
                words.append(name)
    return words


def _place_sentence(measures: Sequence[Measures]) -> str:
    main = Counter(m.places[0] for m in measures if m.places)
    if not main:
        return "It spreads over the whole picture."
    if len(measures) < FEW:
        return f"It was seen {_and([WHERE[place] for place in main])}."
    place, count = main.most_common(1)[0]
    if count >= MOSTLY * len(measures):
        return f"It is mostly found {WHERE[place]}."
    columns = Counter(
        {side: sum(c for p, c in main.items() if p % 3 == i) for i, side in enumerate(("left", "", "right"))}
    )
    rows = Counter(
        {side: sum(c for p, c in main.items() if p // 3 == i) for i, side in enumerate(("upper", "", "lower"))}
    )
    for sides in (rows, columns):
        side, count = sides.most_common(1)[0]
        if side and count >= 0.75 * len(measures):
            return f"It is mostly found in the {side} third."
    return "It can occur at various places."


def _share(values: object) -> float:
    return float(np.mean(list(values)))  # type: ignore[call-overload]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
