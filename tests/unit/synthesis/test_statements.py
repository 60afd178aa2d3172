"""Short statements out of long descriptions: what can be seen, what it means, nothing that leans on another sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.synthesis.names import alike, is_vague, spoken, title
from core.synthesis.statements import differ, statements

TEXT = """<Hole Defect>
 Description: To identify the "hole" defect, look for changes. 1. **Shape and Size**: The rim of the opening is jagged and round.
 - **Depth:** Dark shade inside the opening of the capsule shows its depth clearly.
 - It is often near the edge of the capsule and may be small.
 The opening compromises the shell of the capsule and lets powder escape. Short one."""


def test_looks_and_effects_are_told_apart() -> None:
    found = statements(TEXT, "capsule")
    assert found.looks == (
        "The rim of the opening is jagged and round.",
        "Dark shade inside the opening of the product shows its depth clearly.",
    )
    assert found.effects == ("The opening compromises the shell of the product and lets powder escape.",)


def test_a_title_needs_no_brackets() -> None:
    found = statements("Hole\n Description: The rim of the opening is jagged and round.", "capsule")
    assert found.looks == ("The rim of the opening is jagged and round.",)


def test_statements_that_say_the_same_do_not_differ() -> None:
    assert not differ("A white gap crosses the dark track.", "The dark track is crossed by a white gap crosses.")
    assert differ("A white gap crosses the dark track.", "An isolated speck lies on the bare board.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("thread_side", "Thread side"),
        ("pcb", "Printed circuit board"),
        ("openCap", "Open cap"),
        ("AK", "AK"),
        ("Größe", "Größe"),
    ],
)
def test_names_are_spoken(name: str, words: str) -> None:
    assert title(name) == words and spoken(name).lower() == words.lower()


def test_names_that_may_both_be_true() -> None:
    assert (
        alike("scratch", "scratch_neck")
        and alike("hole", "pit")
        and alike("capsules", "capsule")
        and alike("pcb1", "pcb")
    )
    assert not alike("scratch", "hole") and not alike("candle", "zipper")
    assert is_vague("logical_anomalies") and is_vague("BAD") and not is_vague("crack")


@pytest.mark.parametrize("name", ["mmad_domain_knowledge.json", "emit_domain_knowledge_MPDD_Real-IAD.json"])
def test_most_published_descriptions_yield_statements(shared_data: Path, name: str) -> None:
    knowledge = json.loads((shared_data / "knowledge" / name).read_text())
    found = [
        statements(text, product)
        for products in knowledge.values()
        for product, texts in products.items()
        for text in texts.values()
    ]
    assert sum(bool(f.looks) for f in found) > 0.8 * len(found)
    assert sum(bool(f.effects) for f in found) > 0.5 * len(found)


def test_the_boards_six_defects_each_have_both() -> None:
    from core.synthesis.sources.deeppcb import DEFECTS, knowledge

    texts = knowledge()["DeepPCB"]["pcb"]
    assert set(texts) == {"good", *DEFECTS.values()}
    for label, text in texts.items():
        found = statements(text, "pcb")
        assert len(found.looks) >= 2 and (found.effects or label == "good"), label
