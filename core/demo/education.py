"""How long and on how much the tiny base learns: the settings of its pretraining. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Education:
    """Settings of the pretraining.

    Attributes:
        seeing, answering: optimizer steps of the two stages.
        pictures: size of the pool.
        batch_seeing: pictures a step; batch_answering: chats a step.
        turns: questions in a chat.
        rate: peak learning rate; warm-up over the first 50 steps of each stage, then half a cosine to a tenth.
        dense: weight of the dense targets while answering.
    """

    seeing: int = 600
    answering: int = 2400
    pictures: int = 6000
    batch_seeing: int = 32
    batch_answering: int = 16
    turns: int = 4
    rate: float = 1e-3
    dense: float = 0.5
    seed: int = 0


PRESETS = {
    "quick": Education(seeing=200, answering=400, pictures=2000, batch_answering=8),
    "full": Education(),
}
