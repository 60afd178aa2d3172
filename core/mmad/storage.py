"""MMAD on disk: `mmad.json` and `domain_knowledge.json` in, the same JSON content out, unknown keys included.

    <root>/mmad.json               image path -> {image_path, conversation: [...], mask_path, similar_templates, ...}
    <root>/domain_knowledge.json   dataset -> product -> "good" | defect -> text
    <root>/<dataset>/<product>/... the pictures

Optional keys of our own stand beside MMAD's: `split`, `source`, `defect` (where the folder does not tell) and `query_text`
(a text sample). Anything else is kept as it is. MMAD's data is CC BY-NC-SA 4.0 and never part of this project.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import read_json, write_json
from core.mmad.vocabulary import GOOD, SPLITS, Benchmark, Knowledge, Question, Sample, Task

QUESTIONS_FILE = "mmad.json"
KNOWLEDGE_FILE = "domain_knowledge.json"
_QUESTION_KEYS = ("Question", "Answer", "Options", "type")


class BadEntry(UserError):
    """An entry of `mmad.json` that cannot be used; the sentence names it."""


def read_mmad(root: str | Path) -> Benchmark:
    """Read a benchmark folder in MMAD's layout; no picture is opened.

    Per image only `conversation` with `Question`, `Answer`, `Options` and `type` is required.

    Raises:
        UserError: the folder or `mmad.json` is missing, not JSON, or an entry lacks a required key (it is named).
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds {QUESTIONS_FILE}.")
    if not (root / QUESTIONS_FILE).is_file():
        raise UserError(f"{root} holds no {QUESTIONS_FILE}: give the folder of a benchmark in MMAD's layout.")
    entries = read_json(root / QUESTIONS_FILE)
    if not isinstance(entries, dict):
        raise UserError(f"{root / QUESTIONS_FILE} must be an object of image paths: fetch or export it again.")
    knowledge_file = root / KNOWLEDGE_FILE
    knowledge = read_knowledge(knowledge_file) if knowledge_file.is_file() else {}
    try:
        samples = tuple(parse_sample(image, entry) for image, entry in entries.items())
    except BadEntry as error:
        raise UserError(f"{root / QUESTIONS_FILE}: {error}") from error
    return Benchmark(root, samples, knowledge)


def write_mmad(bench: Benchmark, root: str | Path | None = None) -> Path:
    """Write `mmad.json` and `domain_knowledge.json` into `root` (the benchmark's own by default) and return it.

    Pictures are not copied. Reading the result gives the same benchmark.
    """
    root = Path(root) if root is not None else bench.root
    write_json(root / KNOWLEDGE_FILE, bench.knowledge)
    # Last: a benchmark is there when its questions are.
    write_json(root / QUESTIONS_FILE, {sample.image: entry(sample) for sample in bench.samples})
    return root


def read_knowledge(path: str | Path) -> Knowledge:
    """Read a `domain_knowledge.json`.

    Raises:
        UserError: missing, not JSON, or not dataset -> product -> defect -> text.
    """
    value = read_json(path)
    nested = isinstance(value, dict) and all(
        isinstance(products, dict)
        and all(
            isinstance(texts, dict) and all(isinstance(t, str) for t in texts.values()) for texts in products.values()
        )
        for products in value.values()
    )
    if not nested:
        raise UserError(f"{path} must be dataset -> product -> defect -> text, as in MMAD: export it again.")
    return value


def _text_or_none(value: Any) -> str | None:
    return value or None


def _split(value: Any) -> str:
    return "test" if value is None else value


def _source(value: Any) -> str:
    return "mmad" if value is None else value


def _paths(value: Any) -> tuple[str, ...]:
    return tuple(value or ())


# key in the file, field of Sample, what a valid value looks like, value -> field. An absent key is None.
_FIELDS: tuple[tuple[str, str, Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    ("mask_path", "mask", lambda value: value is None or isinstance(value, str), _text_or_none),
    ("similar_templates", "similar_templates", lambda value: value is None or _is_texts(value), _paths),
    ("random_templates", "random_templates", lambda value: value is None or _is_texts(value), _paths),
    ("split", "split", lambda value: value is None or value in SPLITS, _split),
    ("source", "source", lambda value: value is None or isinstance(value, str), _source),
    ("query_text", "text", lambda value: value is None or isinstance(value, str), _text_or_none),
)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def parse_sample(image: str, entry: Any) -> Sample:
    """The sample of one entry of `mmad.json`; no picture is opened.

    Raises:
        BadEntry: the entry lacks a required key or holds something else than it should.
    """
    if not isinstance(entry, dict):
        raise BadEntry(f"the entry of {image!r} is not an object: repair it.")
    if not isinstance(entry.get("conversation"), list):
        raise BadEntry(f"the entry of {image!r} lacks the required list 'conversation': add it.")
    parts = image.split("/")
    if len(parts) < 3 or ".." in parts or "" in parts or "\\" in image or ":" in parts[0]:
        raise BadEntry(f"the path {image!r} must be dataset/product/.../picture with '/' below the benchmark folder.")
    for key, _, valid, _ in _FIELDS:
        if not valid(entry.get(key)):
            raise BadEntry(f"the entry of {image!r} has {key!r}: {str(entry[key])[:80]!r}, which is not allowed there.")
    if not isinstance(entry.get("defect", ""), str | None):
        raise BadEntry(f"the entry of {image!r} has a 'defect' that is not a name: use a text or null.")
    return Sample(
        image=image,
        dataset=parts[0],
        product=parts[1],
        defect=entry.get("defect", _defect_of(image)),
        questions=tuple(_question(image, item) for item in entry["conversation"]),
        # The entry as it was: what makes writing exact, unknown, absent and empty keys included.
        extra=entry,
        **{field: read(entry.get(key)) for key, field, _, read in _FIELDS},
    )


def _defect_of(image: str) -> str | None:
    """The defect is the picture's folder; normal is the folder `good`, not the substring (GoodsAD!)."""
    folder = image.split("/")[-2]
    return None if folder == GOOD else folder


def _question(image: str, item: Any) -> Question:
    if not isinstance(item, dict):
        raise BadEntry(f"a question of {image!r} is not an object: repair it.")
    for key in _QUESTION_KEYS:
        if key not in item:
            raise BadEntry(f"a question of {image!r} lacks the required key {key!r}: add it.")
    options = item["Options"]
    if not isinstance(options, dict) or not options or not all(isinstance(text, str) for text in options.values()):
        raise BadEntry(f"a question of {image!r} has no 'Options' of letter -> text: repair it.")
    if not isinstance(item["Question"], str) or not isinstance(item["Answer"], str):
        raise BadEntry(f"a question of {image!r} has a 'Question' or 'Answer' that is not text: repair it.")
    try:
        Task.of(item["type"])
    except ValueError as error:
        names = ", ".join(task.value for task in Task)
        raise BadEntry(f"a question of {image!r} has the unknown type {item['type']!r}: use one of {names}.") from error
    extra = {key: value for key, value in item.items() if key not in _QUESTION_KEYS}
    return Question(item["Question"], options, item["Answer"], item["type"], extra)


def entry(sample: Sample) -> dict[str, Any]:
    """The sample's value in `mmad.json`; what was read and not changed is written as it was."""
    fresh = {"image_path": sample.image, "mask_path": "", "similar_templates": [], "random_templates": []}
    result = dict(sample.extra) if "conversation" in sample.extra else {**fresh, **sample.extra}
    result["conversation"] = [
        {"Question": q.text, "Answer": q.answer, "Options": dict(q.options), "type": q.type, **q.extra}
        for q in sample.questions
    ]
    for key, field, _, read in _FIELDS:
        value = getattr(sample, field)
        if value != read(result.get(key)):
            result[key] = list(value) if isinstance(value, tuple) else value
    if sample.defect != result.get("defect", _defect_of(sample.image)):
        result["defect"] = sample.defect
    return result
