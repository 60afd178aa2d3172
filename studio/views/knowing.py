"""What the knowledge in a model's prompts knew of the test: it stands beside every figure that was got with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.errors import UserError
from core.files import read_json
from core.mmad.leaks import FROM_TEST_IMAGES, NAMES_DEFECTS
from studio import markup
from studio.i18n import say
from studio.views.sources import Source

if TYPE_CHECKING:
    import pandas as pd

WORDS = {NAMES_DEFECTS: "compare.knows.names", FROM_TEST_IMAGES: "compare.knows.images"}


def labels(source: Source, answers: pd.DataFrame) -> tuple[str, ...]:
    """The labels of a source's figures; answers that carry none are looked up in `table.json` of their run."""
    from core.evaluation.records import labels_of, protocol_of

    if "labels" in answers:
        return labels_of(answers)
    protocol = protocol_of(answers)
    if source.answers is None or protocol is None or not protocol.knowledge:
        return ()
    try:
        return tuple(map(str, read_json(source.answers.parent / "table.json").get("labels", ())))
    except (UserError, AttributeError):
        return ()


def cautions(pairs: Iterable[tuple[Source, pd.DataFrame]], lang: str) -> str:
    """A notice for each label of each source, as HTML; empty when there is nothing to say."""
    return "".join(
        markup.notice(say(lang, WORDS.get(label, "compare.knows.other"), model=source.label, label=label), "warn")
        for source, answers in pairs
        for label in labels(source, answers)
    )
