"""Reading lessons: how the tiny base learns to choose among lettered options, on text alone.

A curriculum of levels, each a step towards a benchmark's prompt. A level ends when it is mastered: mixed together
from the start, none is learned (1.2 million tokens left every letter at chance), one after the other each takes minutes.

    echo       a line of random words is repeated: to copy is the first thing attention must learn
    mirror     it is repeated backwards: to find a word again and tell what stood before it
    lists      lettered lists of random words: find the letter of a word
    options    the same with what the factory says of products, in the chat's form, thinking aloud
    sentences  a text tells one thing, options follow, the answer is a bare letter
    facts      a text tells of one part or two, one of them is asked for in the benchmark's words
    reports    a text tells of several parts and maybe of a defect; questions of all seven tasks follow
    glossary, named, found
               what each defect of a product looks like and leads to (`core.demo.book`)
    book       a named defect and its sentence, with options; and reports beside it

Defects occur here as words in texts, as a general model has read of them. No picture of one is in the base's education.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from core.demo.book import asked_of_texts, found, glossary, named, term
from core.demo.lessons import (
    COLOURS,
    DESCRIBE,
    LETTERS,
    MATERIALS,
    PART_NAMES,
    Asked,
    Chat,
    Part,
    Passage,
    reading_facts,
    sentence,
    turn,
)
from core.mmad.vocabulary import Task
from core.synthesis.factory import DEFECTS, PRODUCTS
from core.synthesis.factory.asking import QUESTIONS
from core.synthesis.names import title
from core.synthesis.questions import TEXTS
from core.synthesis.regions import WORDINGS

Rng = random.Random


@dataclass(frozen=True)
class Level:
    """A lesson of the curriculum.

    Attributes:
        write: makes one passage.
        mastered: share of right letters at which the next level begins.
        letters: False where it asks for words, which are then judged: letters occur in passages of earlier levels alone.
    """

    name: str
    write: Callable[[Rng], Passage]
    mastered: float
    letters: bool = True


@cache
def vocabulary() -> list[str]:
    """Texts whose words shall be single tokens: all that the factory and its questions say."""
    texts = [DESCRIBE, *TEXTS.values(), *QUESTIONS.values(), *(d.words for d in DEFECTS.values()), *DEFECTS]
    for product in PRODUCTS.values():
        texts += [product.name.replace("_", " "), product.words, product.good, product.purpose]
        texts += [*product.looks.values(), *product.effects.values(), *(part.name for part in product.parts)]
    texts += [*_phrases(), *COLOURS, *MATERIALS]
    return texts + [" ".join(part.text for part in _report_example())]


def _report_example() -> tuple[Part, ...]:
    rng = random.Random(0)
    return tuple(part for _ in range(40) for part in report(rng).parts)


@cache
def _words() -> list[str]:
    return sorted({word.strip(".,:;?!").lower() for text in _phrases() + _sentences() for word in text.split()} - {""})


@cache
def _phrases() -> list[str]:
    names = {word for wordings in WORDINGS for word in wordings} | set(PART_NAMES) | set(COLOURS) | set(MATERIALS)
    return sorted(names | set(DEFECTS) | {title(name) for name in PRODUCTS} | {str(n) for n in range(13)})


@cache
def _sentences() -> list[str]:
    return [text for p in PRODUCTS.values() for text in (*p.looks.values(), *p.effects.values(), f"To {p.purpose}.")]


def echo(rng: Rng) -> Passage:
    line = " ".join(rng.sample(_words(), rng.randint(6, 14))) + "\n"
    return Passage((Part(line), Part(line, learned=True), Part(line, learned=True)))


def mirror(rng: Rng) -> Passage:
    words = rng.sample(_words(), rng.randint(6, 14))
    back = " ".join(reversed(words)) + "\n"
    return Passage((Part(" ".join(words) + "\n"), Part(back, learned=True)))


def lists(rng: Rng) -> Passage:
    parts = []
    for _ in range(3):
        length = rng.choice((1, 1, 2))  # the same for all options, or it would give them away
        options = [" ".join(rng.sample(_words(), length)) for _ in LETTERS]
        parts.append(Part("".join(f"{letter}. {text}\n" for letter, text in zip(LETTERS, options, strict=True))))
        plainly = rng.random() < 0.4
        for place in rng.sample(range(4), 2):  # asked for all four, the last would be known without looking
            if plainly:
                # With a colon: right behind a word the model copies what followed it in the list, and never learns otherwise.
                parts += [Part(f"{options[place]}:"), Part(f" {LETTERS[place]}", learned=True)]
            else:
                parts += _found(options[place], LETTERS[place])
            parts.append(Part("\n"))
    return Passage(tuple(parts))


def _found(text: str, letter: str) -> list[Part]:
    return [
        Part("<think>"),
        Part(f"{text}</think><answer>", learned=True),
        Part(letter, learned=True),
        Part("</answer>"),
    ]


def options(rng: Rng) -> Passage:
    parts = []
    for _ in range(2):
        said = _drawn(rng, 4)
        chat = "".join(f"{letter}. {sentence(text)}\n" for letter, text in zip(LETTERS, said, strict=False))
        parts.append(Part(f"<|im_start|>user\n{chat}<|im_end|>\n<|im_start|>assistant\n"))
        for place in rng.sample(range(len(said)), min(2, len(said))):
            parts += _found(sentence(said[place]), LETTERS[place])
            parts.append(Part("<|im_end|>\n"))
    return Passage(tuple(parts))


def _drawn(rng: Rng, most: int) -> list[str]:
    """2 to `most` different texts of one kind."""
    count, kind = rng.choice((2, 3, most, most, most)), rng.random()
    if kind < 0.2:
        return rng.sample(_sentences(), count)
    if kind < 0.7:
        return rng.sample(_phrases(), count)
    return [" ".join(rng.sample(_words(), rng.choice((1, 2, 3)))) for _ in range(count)]


def sentences(rng: Rng) -> Passage:
    chat = Chat()
    for _ in range(3):
        right, *wrong = _drawn(rng, 4)
        question, reply = turn(
            Asked("", sentence(right), [sentence(text) for text in wrong]), rng, thinking=rng.random() < 0.2
        )
        chat.add(f"Query product, in words: {right}{question}", reply)
    return chat.passage()


def facts(rng: Rng) -> Passage:
    """Which of two sentences is meant has to be found before its end is: reports ask for that among much else."""
    chat = Chat()
    for _ in range(3):
        known = reading_facts(rng, count=rng.randint(1, 2))
        question, reply = turn(rng.choice(known).asked, rng, thinking=rng.random() < 0.2)
        chat.add(f"Query product, in words: {' '.join(fact.told for fact in known)}\n{question}", reply)
    return chat.passage()


def report(rng: Rng) -> Passage:
    """A product in words, as in a text sample, and questions of all tasks about it."""
    product = PRODUCTS[rng.choice(list(PRODUCTS))]
    defect = rng.choice([*product.defects, None, None]) if rng.random() < 0.8 else None
    cell = rng.randrange(9)
    facts = reading_facts(rng, count=2)
    told = [fact.told for fact in facts]
    asked = [fact.asked for fact in facts]
    asked.append(Asked(TEXTS[Task.OBJECT_CLASSIFICATION], title(product.name),
                       [title(n) for n in rng.sample([n for n in PRODUCTS if n != product.name], 3)]))  # fmt: skip
    yes, no = "Yes.", "No."
    asked.append(Asked(TEXTS[Task.DISCRIMINATION], yes if defect else no, [no if defect else yes]))
    if defect:
        place = rng.choice(WORDINGS[cell])
        told.append(rng.choice((f"There is a {defect} at the {place}.", f"At the {place} lies a {defect}.")))
        far = [c for c in range(9) if c != cell]
        asked.append(Asked(TEXTS[Task.DEFECT_LOCALIZATION], sentence(rng.choice(WORDINGS[cell])),
                           [sentence(rng.choice(WORDINGS[c])) for c in rng.sample(far, 3)]))  # fmt: skip
        others = rng.sample([name for name in DEFECTS if name != defect], 3)
        asked.append(Asked(TEXTS[Task.DEFECT_CLASSIFICATION], title(defect), [title(name) for name in others]))
        for task, texts in ((Task.DEFECT_DESCRIPTION, product.looks), (Task.DEFECT_ANALYSIS, product.effects)):
            asked.append(asked_of_texts(task, texts, defect, rng))
    else:
        told.append(rng.choice(("There is no defect.", "Nothing is wrong with it.")))
    rng.shuffle(told)
    chat, about = Chat(), f"Query product, in words: A {product.words}. {' '.join(told)}\n"
    for number, question in enumerate(rng.sample(asked, min(len(asked), 4))):
        text, reply = turn(question, rng, thinking=rng.random() < 0.35)
        chat.add(about * (number == 0) + text, reply)
    return chat.passage()


def book(rng: Rng) -> Passage:
    """The book of defects in the chat's form, and reports beside it."""
    return (term if rng.random() < 0.5 else report)(rng)


# What a defect looks like and leads to only the book tells, so reports alone end at about four fifths.
LEVELS = (
    Level("echo", echo, 0.9, letters=False), Level("mirror", mirror, 0.85, letters=False),
    Level("lists", lists, 0.9), Level("options", options, 0.9), Level("sentences", sentences, 0.9),
    Level("facts", facts, 0.85), Level("reports", report, 0.78), Level("glossary", glossary, 0.9, letters=False),
    Level("named", named, 0.9, letters=False), Level("found", found, 0.8), Level("book", book, 2.0),
)  # fmt: skip


def passage(level: int, rng: Rng) -> Passage:
    """One passage of a level, or sometimes of one before it, so that nothing is forgotten."""
    if level and rng.random() < 0.2:
        level = rng.randrange(level)
    return LEVELS[level].write(rng)
