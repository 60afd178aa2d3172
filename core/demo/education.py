"""How long and on how much the tiny base learns: the settings of its pretraining. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Of the checkpoint's card.
NOTES = """Pretrained by `python -m core.demo pretrain` on procedural pictures of normal products alone: {pictures} pictures,
{seeing} steps of dense targets (which part lies under a patch, its colours, its detail; which neutral mark is drawn on it; for
all patches alike, which marks the picture bears and where; in the last steps, where it differs from another piece of its lot),
{reading} steps of reading lessons on text alone, {telling} steps of telling in plain words what a picture shows, {answering}
steps of chats with options about products, parts, materials, colours, counts and places of parts, and about imagined defects,
some of these with names invented for the lesson, in {minutes:.0f} minutes on {machine}, without the rendering of the pictures.
Reading goes on between the lessons of the last two kinds. Marks are lines, spots and areas drawn on
the finished picture, and changes of the product's own parts: gone, shifted, blurred, a notch in the outline. Most look somewhat
as a defect does: a line as a scratch, a dark spot as a hole, a part that is gone as one that is missing. But readouts that are
thrown away name them, not the language model, which is told of none; and no picture or label of the factory's defects is in its
training: of defects it has read, in texts and in tokens that were given their names. It is the starting point of the demo, not
an inspector: its tower sees what stands out, and its language model has never heard of it."""

# How the base compares two pictures, once that is trained: see core.model.configuration. What grounding teaches shows in the last
# layers; and it teaches what may be compared better than a window does.
COMPARING: dict[str, Any] = {"comparison_places": True, "comparison_layers": (5, 6), "window": 14}
STAGES = ("seeing", "reading", "telling", "answering")
RATES = {"seeing": 1.5e-3, "reading": 1.5e-3, "telling": 1.5e-3, "answering": 1.5e-3}


@dataclass(frozen=True)
class Education:
    """Settings of the pretraining.

    Attributes:
        seeing, reading, telling, answering: optimizer steps of the stages.
        pictures: size of the pool.
        batch_seeing: pictures a step; batch_compared: of these, held against another piece of their lot; batch_tokens: tokens of
            a reading step; batch_chats: chats a step of telling and answering; batch_imagined: imagined defects a step.
        comparing: share of the steps of seeing, its last ones, with changes of parts and comparisons, which from the start
            hold up all else.
        turns: questions in a chat about a picture.
        rate: peak learning rate of each stage, after a warm-up of 50 steps.
        wording: weight of the words in a picture's tokens (core.demo.wording).
    """

    seeing: int = 3400
    reading: int = 4000
    telling: int = 400
    answering: int = 2200
    pictures: int = 6000
    batch_seeing: int = 32
    batch_compared: int = 16
    comparing: float = 0.4
    batch_tokens: int = 2000
    batch_chats: int = 24
    batch_imagined: int = 24
    turns: int = 5
    rate: Mapping[str, float] = field(default_factory=lambda: dict(RATES))
    wording: float = 8.0
    seed: int = 0

    @property
    def steps(self) -> int:
        return sum(getattr(self, stage) for stage in STAGES)

    def stage(self, step: int) -> tuple[str, int]:
        """The stage a step belongs to, and the steps of it done before."""
        for name in STAGES:
            if step < getattr(self, name):
                return name, step
            step -= getattr(self, name)
        raise ValueError("the education is over")


PRESETS = {
    "quick": Education(seeing=150, reading=300, telling=50, answering=100, pictures=1000),
    "full": Education(),
}
