"""Every level of the reading curriculum can be answered from its own text, and gives nothing away beside."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest

from core.demo.lessons import PICTURE, Passage
from core.demo.reading import LEVELS, facts, lists, mirror, options, passage, report, sentences, vocabulary
from core.model.tiny import build_tokenizer


def text_of(passage: Passage) -> str:
    return "".join(part.text for part in passage.parts)


@pytest.mark.parametrize("level", range(len(LEVELS)), ids=[level.name for level in LEVELS])
def test_a_level_teaches_something_and_shows_no_picture(level: int) -> None:
    for seed in range(30):
        made = passage(level, random.Random(seed))
        assert PICTURE not in text_of(made)
        assert any(part.learned for part in made.parts) and not made.parts[0].learned
        assert made == passage(level, random.Random(seed))


def test_a_mirror_is_the_line_backwards() -> None:
    line, back = (part.text.split() for part in mirror(random.Random(0)).parts)
    assert back == line[::-1]


@pytest.mark.parametrize("write", [lists, options], ids=["lists", "options"])
def test_the_letter_is_the_one_before_the_words(write) -> None:
    for seed in range(50):
        listed: dict[str, str] = {}
        said = ""
        for part in write(random.Random(seed)).parts:
            found = re.findall(r"^(?:<.*)?([A-D])\. (.+)$", part.text, re.M)
            if found:
                listed = {words: letter for letter, words in found}
            elif part.learned and part.text.strip() in "ABCD":
                assert listed[said] == part.text.strip()
            elif part.text.strip() and not part.text.startswith("</answer"):
                said = re.split("</think>|:$", part.text)[0] if part.text != "<think>" else said


def test_the_options_of_a_list_are_equally_long() -> None:
    for seed in range(50):
        first = lists(random.Random(seed)).parts[0].text.splitlines()
        assert len({len(line.split()) for line in first}) == 1


def test_no_letter_follows_a_word_of_its_list_at_once() -> None:
    """There the model copies what followed the word in the list: in 6,000 steps it does not learn to say the letter."""
    for seed in range(50):
        parts = lists(random.Random(seed)).parts
        asked = [before.text for before, reply in pairwise(parts) if reply.learned and reply.text.strip() in "ABCD"]
        assert asked and all(text.endswith((":", "<answer>")) for text in asked)


def test_a_text_answers_its_own_questions() -> None:
    for seed in range(50):
        for asked in re.findall(r"in words: (.+)\n(?:([A-D]\. .+)\n)+", text_of(sentences(random.Random(seed)))):
            assert asked[0]
    letters = []
    for seed in range(300):
        parts = report(random.Random(seed)).parts
        for before, reply in zip(parts, parts[1:], strict=False):
            if reply.learned and "Is there a defect" in before.text:
                letter = re.search(r"([ABCD])(</answer>)?<\|im_end\|>$", reply.text).group(1)
                said = re.search(rf"^{letter}\. (Yes|No)\.$", before.text, re.M).group(1)
                told = text_of(report(random.Random(seed)))
                assert (said == "No") == ("There is no defect." in told or "Nothing is wrong" in told)
                letters.append(letter)
    assert 0.35 < letters.count("A") / len(letters) < 0.65


def test_every_word_of_a_report_is_one_token() -> None:
    tokenizer = build_tokenizer(vocabulary())
    for seed in range(60):
        tokens = tokenizer.tokenize(text_of(report(random.Random(seed))))
        assert not [token for token in tokens if token.startswith("##")], tokens


def test_a_level_is_judged_by_letters_where_it_asks_for_letters() -> None:
    """Else by its words: the letters of a batch are those of earlier levels then, whose mastery holds this one up."""
    for level in LEVELS:
        for seed in range(20):
            learned = " ".join(part.text for part in level.write(random.Random(seed)).parts if part.learned)
            assert bool(re.search(r"\b[A-D]\b", learned)) == level.letters, level.name
    names = [level.name for level in LEVELS]
    assert names.index("reports") < names.index("glossary"), "who finds no letter in a report finds none in the book"


def test_the_fact_that_is_asked_for_is_told() -> None:
    both = 0
    for seed in range(60):
        for told, asked in re.findall(r"in words: (.+)\n(.+\?)\n", text_of(facts(random.Random(seed)))):
            about = [name for name in re.findall(r"The (.+?) (?:is|comes)", told) if re.search(rf"\b{name}\b", asked)]
            assert len(about) >= 1, (told, asked)
            both += told.count("The ") == 2
    assert 60 < both < 120, "of one part or of two"
