"""Names of defects and products as people read them, and which of them mean the same.

Folder names are codes ("thread_side", "pcb1", "AK"). An option shows the words. Two names that share a word or stand in one
line of `ALIKE` may both be true of one picture, so one is never a wrong option to the other, unless a product itself tells
them apart.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Labels that say that something is wrong, not what: nothing can be asked about their kind.
VAGUE = frozenset({
    "bad", "defect", "defective", "anomaly", "anomalous", "abnormal", "ng", "nok", "combined", "others", "other", "general",
    "logical anomalies", "structural anomalies", "logical anomaly", "structural anomaly", "damage", "surface anomaly",
})  # fmt: skip
SPOKEN = {
    "open": "open circuit", "short": "short circuit", "copper": "spurious copper", "mousebite": "mouse bite",
    "pin-hole": "pinhole", "pcb": "printed circuit board", "vcpill": "capsule pill",
}  # fmt: skip
ALIKE = (
    {"hole", "holes", "pit", "pinhole", "poke", "puncture"},
    {"scratch", "scratches", "abrasion", "scuff", "scrape"},
    {
        "deformation",
        "deformed",
        "bent",
        "bend",
        "squeeze",
        "squeezed",
        "flattening",
        "dent",
        "manipulated",
        "parts",
        "mismatch",
    },
    {"missing", "lack", "absent", "cut"},
    {"contamination", "foreign", "stain", "liquid", "oil", "glue", "color", "colour", "dirt", "dirty", "spot", "metal"},
    {
        "crack",
        "cracked",
        "broken",
        "break",
        "cut",
        "fracture",
        "split",
        "rupture",
        "damage",
        "damaged",
        "chip",
        "chipped",
    },
    {"open", "opened"},
    {"pcb", "circuit", "board"},
    {"pill", "capsule", "tablet", "mint"},
    {"bottle", "can", "juice"},
    {"screw", "bolt", "thread"},
    {"connector", "terminal", "terminalblock", "usb", "plug", "jack", "audiojack"},
    {"fryum", "macaroni", "pasta"},
)
# Wrong options where a corpus of one product has too few of its own.
COMMON_DEFECTS = (
    "scratch", "crack", "hole", "stain", "dent", "missing part", "foreign object", "discoloration", "burr", "blister",
)  # fmt: skip
COMMON_PRODUCTS = (
    "zipper", "toothbrush", "wooden board", "glass bottle", "hazelnut", "leather", "metal nut", "woven carpet",
    "battery", "candle", "transistor", "cardboard box",
)  # fmt: skip
_FILLER = frozenset({"a", "an", "of", "on", "in", "the", "and", "part", "small", "large", "side", "top", "type"})


@lru_cache(maxsize=4096)
def spoken(name: str) -> str:
    """A folder name as words: "thread_side" -> "thread side", "openCap" -> "open cap"."""
    if name.lower() in SPOKEN:
        return SPOKEN[name.lower()]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("_", " ").replace("-", " "))
    return " ".join(word if word.isupper() else word.lower() for word in words.split()) or name


def title(name: str) -> str:
    """`spoken`, as an option shows it: with a capital."""
    words = spoken(name)
    return words[:1].upper() + words[1:]


def is_vague(name: str) -> bool:
    """Whether a label names no kind of defect."""
    return spoken(name).lower() in VAGUE


@lru_cache(maxsize=4096)
def _words(name: str) -> frozenset[str]:
    words = {re.sub(r"\d+$", "", word) for word in re.findall(r"\w+", spoken(name).lower())}
    words |= {word[:-1] for word in words if word.endswith("s") and len(word) > 3}
    return frozenset(words - _FILLER)


@lru_cache(maxsize=65536)
def alike(one: str, other: str) -> bool:
    """Whether both names may be true of the same picture."""
    if spoken(one).lower() == spoken(other).lower():
        return True
    a, b = _words(one), _words(other)
    return bool(a & b) or any(a & group and b & group for group in ALIKE)
