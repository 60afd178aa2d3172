"""The book of defects says what is known of them, and only that is to be learned."""

from __future__ import annotations

import random
import re

from core.demo.book import found, glossary, named, term
from core.synthesis.factory import PRODUCTS

TEXTS = [texts for product in PRODUCTS.values() for texts in (product.looks, product.effects)]
KNOWN = {(text, defect) for texts in TEXTS for defect, text in texts.items()}


def test_the_glossary_names_the_defect_of_a_sentence() -> None:
    for seed in range(30):
        parts = glossary(random.Random(seed)).parts
        for before, reply in zip(parts, parts[1:], strict=False):
            if reply.learned:
                assert (before.text.strip(), reply.text.rstrip(".")) in KNOWN


def test_every_option_is_named() -> None:
    for seed in range(30):
        parts = named(random.Random(seed)).parts
        options = dict(re.findall(r"^([A-D])\. (.+)$", parts[0].text, re.M))
        names = re.findall(r"([a-z ]+)\.", next(part.text for part in parts if part.learned))
        assert options and set(zip(options.values(), map(str.strip, names), strict=True)) <= KNOWN


def test_the_letter_is_that_of_the_named_defect() -> None:
    for seed in range(30):
        options: dict[str, str] = {}
        name = ""
        for part in found(random.Random(seed)).parts:
            options = dict(re.findall(r"^([A-D])\. (.+)$", part.text, re.M)) or options
            if part.learned:
                assert (options[part.text], name) in KNOWN
            name = part.text.strip().rstrip(".")


def test_a_reason_names_the_defect_and_the_letter_is_its_sentence() -> None:
    reasons = 0
    for seed in range(40):
        parts = term(random.Random(seed)).parts
        for before, reply in zip(parts, parts[1:], strict=False):
            if not reply.learned:
                continue
            defect = re.search(r"There is a ([a-z ]+)\.", before.text).group(1)
            options = dict(re.findall(r"^([A-D])\. (.+)$", before.text, re.M))
            letter = re.search(r"([A-D])(?:</answer>)?<\|im_end\|>$", reply.text).group(1)
            assert (options[letter], defect) in KNOWN
            if "<think>" in reply.text:
                reasons += 1
                assert f"<think>There is a {defect}.</think>" in reply.text
    assert reasons
