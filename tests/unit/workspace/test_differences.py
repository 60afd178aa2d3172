import pytest

from core.workspace import word_diff

PAIRS = [
    ("a dark scratch", "a bright scratch"),
    ("", "new words"),
    ("all gone", ""),
    ("two  spaces\nand a line", "two spaces\nand lines"),
    ("划痕穿过表面", "划痕横穿过金属表面"),
    ("<b>bold</b> & more", "<i>bold</i> & more"),
]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_parts_put_together_give_both_texts(before, after):
    changes = word_diff(before, after)
    assert "".join(text for kind, text in changes if kind != "added") == before
    assert "".join(text for kind, text in changes if kind != "removed") == after


def test_words_are_compared_not_letters():
    assert word_diff("a dark scratch", "a bright scratch") == [
        ("same", "a "), ("removed", "dark"), ("added", "bright"), ("same", " scratch"),
    ]  # fmt: skip


def test_chinese_is_compared_character_by_character():
    assert ("added", "横") in word_diff("划痕穿过表面", "划痕横穿过表面")
