r"""From a model's reply to the letter it means.

Evaluation and the rewards read replies with this one function, so that what is trained is what is measured. Only what
the model says last is read: its answer tag, else the text after its reasoning. In it, in this order:

1. stated   "the answer is B", "B is correct", "选B", `\boxed{B}`; the last statement wins
2. alone    a line that is a letter, or begins with one: `B`, `(b)`, `**B.** Scratch`
3. named    one letter that stands alone in capitals; the article of "A scratch" is none
4. worded   the text of one option

A reply that means none or several ("A or B", a list of the options, a refusal) gives None. No torch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

LETTERS = "ABCD"

_TAG = re.compile(r"<answer>(.*?)(?:</answer>|<answer>|$)", re.I | re.S)
_MARKUP = re.compile(r"</?(?!think)[a-z]+\d?>|[*`#$]+|(?<!\w)_+|_+(?!\w)", re.I)
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\\w+\s*\{)?([^{}]*)\}+")

# A letter on its own: not part of a word, a number, "3-D", "USB-C", "C-shaped", "U.S.A." or "20 °C".
_ALONE = r"(?<![A-Za-z0-9'’°&@/.-])(?:(?<=[^.]\.)|(?<!\.))(?P<letter>{})(?![A-Za-z0-9'’&@+]|-[A-Za-z0-9])"
_OPEN = r"[\s\"'“‘(\[{<「【:=>-]*"
# What may stand between "answer is" and the letter.
_FILLER = (
    rf"{_OPEN}(?:(?:most likely|likely|probably|clearly|definitely|therefore|simply|still|be|the|an?|my|final|correct|right|best"
    rf"|option|choice|answer|letter|number|选项|选择|选|答案)(?=[\W_]|[^\x00-\x7f]|$){_OPEN})*"
)
_LETTER = _ALONE.format("[A-H]")
_STATEMENTS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        # "Answer: B", "the right option for this picture is B"
        r"\b(?:answers?|option|choice|conclusion|solution|letter)\b"
        r"(?:[^.!?\n;]{0,80}?(?:\b(?:is|are|be|as|was)\b|[:=])|[\"')]*)" + _FILLER + _LETTER,
        # "I choose B", "go with B", "it must be B", "so B"
        r"\b(?:choose|chose|choosing|select(?:ed|ing)?|pick(?:ed)?|go(?:ing)? (?:with|for)|opt for|lean(?:ing)? (?:to|towards?)"
        r"|(?:must|should|would|has to|have to) be|i(?:'d|’d| would)? say|it(?:'s|’s| is)|left with|match is"
        r"|so|therefore|thus|hence|finally|wait|actually|instead|but)\b,?" + _FILLER + _LETTER,
        # "B is the correct option", "B fits best", "B正确"
        _LETTER + r"[)\]\"'.]*\s*(?:选项)?\s*"
        r"(?:(?:is|would be|must be|seems|looks|appears|remains|是|为|应该是|最)\s*"
        r"(?:to be |clearly |definitely |the |most |therefore |最)*"
        r"(?:correct|right|best|true|accurate|likely|plausible|appropriate|suitable|answer|fitting"
        r"|正确|对的|合适|准确|答案|符合)"
        r"|better\b|(?:fits|matches|describes)\b[^.,;\n]{0,30}\b(?:best|better|more)|(?:更|正确))",
        # 答案是B, 故选B, 应为B
        r"(?:答案|选择|应选|故选|可选|我选|选|应该是|应为|应是|因此|所以|认为是|认为|判断为|即|就是|而是)"
        r"[^。！？\n,;A-Za-z]{0,12}?" + _OPEN + _LETTER,
    )
)
_NAMED = re.compile(_LETTER)
_LINE = re.compile(
    r"[\s\"'“‘(\[{<「【>-]*([A-Ha-h])"
    r"(?:[\s\"'”’)\]}>」】.:,;!。、，-]*$|\s*[)\].:、,」】。-]\s*\S|\s+[-–—=]+>?\s*\S)"
)

_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|except|excluding|unlike|without|instead of|than|reject|rule out|ruled out|ruling out"
    r"|eliminate|exclude|versus|vs\.?)|n['’]t|不(?:会|应该?|可能)?[是为选]?|非|排除|除了)"
    r"\s*(?:(?!but\b|[A-H]\b)\w+\s+){0,2}[^\w]*$",
    re.I,
)
_NOT_AFTER = re.compile(
    r"[)\]\"'.]*\s*(?:选项)?\s*(?:(?:is|was|are|does|do|did|can|could|would|should|may|seems?|looks?)\b\s*(?:\w+\s+){0,3}?"
    r"(?:not\b|wrong|incorrect|false|unlikely|out\b|ruled|excluded|eliminated|never|no\b|inconsistent|invalid|irrelevant)"
    r"|(?:is|does|was|are|would|could|ca)n['’]t|cannot|不|错|被排除|可以排除|排除)",
    re.I,
)
_ANOTHER = re.compile(
    r"[)\]\"'.]*\s*(?:,|/|&|、|\bor\b|\band\b|\bto\b|或者?|和|与|以及|;)\s*(?:or |and )?(?:option |choice |选项)?[(\"']*"
    r"(?P<letter>[A-H])(?![A-Za-z0-9'’])(?!\s+(?:is|are|does|do|was|can|looks?|shows?|would|不|是)\b)"
)
# "A" before one of these is the letter; before any other lower-case word it is the article.
_AFTER_LETTER = re.compile(
    r"\s+(?:is|was|are|because|since|as|seems?|would|looks?|matches|fits|best|and|or|if|but|for|from|with|over|instead|here|by|in|on|given"
    r"|describes|rather|than|due|has|does|can|cannot|must|should|may)\b"
)
_THING_BEFORE = re.compile(
    r"\b(?:type|figure|fig\.|image|picture|photo|class|grade|part|side|point|vitamin|product|sample|panel|region|area|zone"
    r"|row|column|plan|category|version|section|step|view|component|terminal|pin|phase)\s*$",
    re.I,
)
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|unable|cannot|can['’]?t|can not|not able|impossible|not possible|insufficient|not enough)\b"
    r"|抱歉|对不起|无法|不能|不足以",
    re.I,
)
# "I'm sorry, I cannot tell" declines; "No, I cannot see any defect" does not.
_DECLINES = re.compile(r"\b(?:determine|tell|say|judge|answer|assist|help|access|view|provide)\b", re.I)
# What would hold under a condition is no answer; "if I had to choose" is no condition.
_UNDER_CONDITION = re.compile(
    r"\bif\b(?!\s+(?:i|we|you|one|forced|pressed|required|asked|necessary)\b)[^.!?;\n]*$", re.I
)
# The options named one after another: "A: scratch, B: hole, C: dent".
_LABEL = r"(?<![A-Za-z]){}\s?(?:[.:)、]|\s-)\s?[^\n]{{1,80}}?"
_LISTED = re.compile(_LABEL.format("A") + _LABEL.format("B") + r"(?<![A-Za-z])[CD]\s?(?:[.:)、]|\s-)")
# After a first word that is an option ("Yes", "No"): the rest of the sentence only explains it.
_EXPLAINED = (
    r"(?:\s*(?:[,.;:!\n-]|$)|\s+(?:there|it|this|the|i|visible|obvious|apparent|defects?|anomal\w+|damage|signs?)\b)"
)
_NO_WORD = re.compile(
    r"\b(?:no|not|without|any|neither|nor|isn['’]t|aren['’]t|instead of|rather than|free of)(?:\s+\w+){0,2}\s*$"
    r"|(?:没有|无|不是|非)\s*$"
)
# Babble may go on for pages; what it means stands at its beginning or its end, and patterns take time.
_HEAD, _TAIL = 800, 3200


def parse_answer(reply: object, options: Mapping[str, str] | None = None) -> str | None:
    """The letter `reply` means, or None when that cannot be told.

    Args:
        reply: what the model wrote; anything but a text (None, NaN) means nothing.
        options: letter -> text of the options. Without them only the letters A to D are read, never an option's text:
            the mode of the rewards.

    Example:
        >>> parse_answer("A is tempting, but the answer is **C**."), parse_answer("A scratch."), parse_answer("B or C")
        ('C', None, None)
        >>> parse_answer("A scratch.", {"A": "Hole.", "B": "Scratch."})
        'B'
    """
    if not isinstance(reply, str):
        return None
    keys = {key.strip().upper(): key for key in options} if options is not None else {key: key for key in LETTERS}
    text = _last_words(unicodedata.normalize("NFKC", reply))
    if not text:
        return None
    for read in (_stated, _alone, _named):
        letter = read(text)
        if letter == _SEVERAL:
            return None
        if letter is not None:
            return keys.get(letter)
    return _worded(text, options) if options else None


_SEVERAL = "several"


def _last_words(reply: str) -> str:
    """What counts of a reply: the last answer tag, else what follows the reasoning; without markup."""
    tags = _TAG.findall(reply)
    if tags:
        reply = tags[-1]
    else:
        reply = re.split(r"</think>", reply, flags=re.I)[-1]
        # Reasoning that was cut off never came to an answer.
        reply = re.split(r"<think>", reply, flags=re.I)[0]
    reply = _BOXED.sub(r" answer: \1 ", reply)
    reply = _MARKUP.sub("", reply).strip()
    return reply if len(reply) <= _HEAD + _TAIL else f"{reply[:_HEAD]}\n...\n{reply[-_TAIL:]}"


def _is_article(text: str, match: re.Match[str]) -> bool:
    """Is this "A" (or "a") the article of running text?"""
    letter, end = match["letter"], match.end("letter")
    if letter not in "Aa":
        return False
    followed = re.match(r"\s+[a-z]", text[end:]) is not None
    if letter == "a":
        return re.match(r"\s+\w", text[end:]) is not None
    return followed and not _AFTER_LETTER.match(text, end)


def _denied(text: str, match: re.Match[str]) -> bool:
    start, end = match.span("letter")
    # Only within the sentence, and for a statement also inside it ("the answer is not A").
    before = re.split(r"[.!?;\n。！？]", text[max(0, start - 100) : start])[-1]
    return bool(_NOT_BEFORE.search(before) or _UNDER_CONDITION.search(before) or _NOT_AFTER.match(text, end))


def _meant(text: str, found: Iterator[re.Match[str]]) -> Iterator[tuple[int, str]]:
    """(position, letter) of matches that are neither articles nor denied; "A or B" is `_SEVERAL`."""
    for match in found:
        start, end = match.span("letter")
        if _is_article(text, match) or _THING_BEFORE.search(text[max(0, start - 20) : start]) or _denied(text, match):
            continue
        other = _ANOTHER.match(text, end)
        several = other is not None and other["letter"] != match["letter"].upper()
        yield start, _SEVERAL if several else match["letter"].upper()


def _stated(text: str) -> str | None:
    # "option: A: scratch, B: hole, C: dent" states nothing.
    listed = {match.start() for match in _LISTED.finditer(text)}
    found = [
        place for pattern in _STATEMENTS for place in _meant(text, pattern.finditer(text)) if place[0] not in listed
    ]
    return max(found)[1] if found else None


def _alone(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip()]
    heads = [(match[1], len(line.strip()) <= 4) for line in lines if (match := _LINE.match(line))]
    if not heads:
        return None
    if any(_LISTED.match(line.strip()) for line in lines):
        return _SEVERAL
    letters = {letter.upper() for letter, _ in heads}
    if any(
        (other := _ANOTHER.match(line, match.end(1))) and other["letter"] != match[1].upper()
        for line in lines
        if (match := _LINE.match(line))
    ):
        return _SEVERAL
    if len(letters) == 1:
        # A lower-case letter before running text is rather a word or an enumeration.
        return heads[-1][0].upper() if heads[-1][0].isupper() or len(lines) == 1 or heads[-1][1] else None
    # Several lines with letters are a list of the options, unless the last line is nothing but a letter.
    last = _LINE.match(lines[-1])
    others_speak = len(heads) < len(lines) or any(not short for _, short in heads)
    return last[1].upper() if last and len(lines[-1].strip()) <= 4 and others_speak else _SEVERAL


def _named(text: str) -> str | None:
    letters = {letter for _, letter in _meant(text, _NAMED.finditer(text))}
    if not letters:
        return None
    return letters.pop() if len(letters) == 1 else _SEVERAL


def _plain(text: str) -> str:
    """Lower-case words with single spaces; punctuation and underscores are spaces."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _worded(text: str, options: Mapping[str, str]) -> str | None:
    """The option whose text the reply gives; None unless it is exactly one."""
    said = _plain(text)
    words = {key: _plain(option) for key, option in options.items() if _plain(option)}
    same = [key for key, option in words.items() if option == said]
    if same:
        return same[0] if len(same) == 1 else None
    # "yes" and "no" are words of any sentence: only the first word of the reply counts.
    short = {key: option for key, option in words.items() if len(option) <= 3 and option.isascii()}
    refused = _REFUSAL.search(text)
    if not (refused and _DECLINES.search(text)):
        first = [key for key, option in short.items() if re.match(option + _EXPLAINED, text, re.I)]
        if first:
            return first[0] if len(first) == 1 else None
    if refused:
        return None
    found: list[tuple[int, int, str]] = []
    for key, option in words.items():
        if key in short:
            continue
        edge = (r"(?<!\w)", r"(?!\w)") if option.isascii() else ("", "")
        for match in re.finditer(edge[0] + re.escape(option) + edge[1], said):
            if not _NO_WORD.search(said[max(0, match.start() - 60) : match.start()]):
                found.append((*match.span(), key))
    # "scratch" inside "deep scratch" is not a second option.
    outer = {
        key
        for start, end, key in found
        if not any(s <= start and end <= e and (e - s) > (end - start) for s, e, _ in found)
    }
    return outer.pop() if len(outer) == 1 else None
