"""JSON Lines for TRL and ms-swift: one question a line, pictures by path.

TRL (vision GRPO and SFT): `prompt` is a chat whose content parts are {"type": "text" | "image"}; `images` are its pictures in
order; SFT adds `completion`, GRPO the column `solution` that reward functions are given. Load with
`load_dataset("json", data_files=...)` and `cast_column("images", [Image()])`.

ms-swift: `messages` with plain text and an `<image>` mark for every picture, `images`, and `solution` for GRPO
(https://swift.readthedocs.io, "Custom dataset").

EMIT's comparison part is no part of either format and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_atomic
from core.mmad import SPLITS, Benchmark, Prompt, Protocol, Question, Sample, build_prompt

Row = dict[str, Any]


def write_rows(
    bench: Benchmark,
    out: Path,
    *,
    row: Callable[[Prompt, Question, list[str], bool], Row],
    answered: bool,
    protocol: Protocol,
    absolute: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write a `<split>.jsonl` for each split that has questions."""
    for split in SPLITS:
        part = bench.split(split)
        if not any(sample.questions for sample in part):
            continue
        target = out / f"{split}.jsonl"
        if target.exists() and not overwrite:
            raise UserError(f"{target} is already there: choose another folder, or pass --overwrite to replace it.")

        def write(path: Path, part: Benchmark = part) -> None:
            with open(path, "w", encoding="utf-8") as file:
                for sample, question in _asked(part):
                    prompt = build_prompt(part, sample, question, protocol)
                    images = [str(part.path(image).absolute()) if absolute else image for image in prompt.images]
                    about = {
                        "task": question.task.value,
                        "dataset": sample.dataset,
                        "product": sample.product,
                        "defect": sample.label,
                        "sample": sample.image,  # not "image": TRL takes that for a picture
                    }
                    line = {**row(prompt, question, images, answered), **about}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")

        write_atomic(target, write)
    return out


def _asked(bench: Benchmark) -> Iterator[tuple[Sample, Question]]:
    for sample in bench:
        for question in sample.questions:
            yield sample, question


def trl_row(prompt: Prompt, question: Question, images: list[str], answered: bool) -> Row:
    """A line for TRL's GRPOTrainer, or SFTTrainer with `answered`."""
    chat = [
        {
            "role": message["role"],
            # Every part has both keys: Arrow wants one schema for all.
            "content": [
                {"type": part["type"], "text": part.get("text")}
                for part in message["content"]
                if part["type"] != "comparison"
            ],
        }
        for message in prompt.messages
    ]
    if answered:
        reply = {"role": "assistant", "content": [{"type": "text", "text": question.answer}]}
        return {"prompt": chat, "completion": [reply], "images": images}
    return {"prompt": chat, "images": images, "solution": question.answer}


def swift_row(prompt: Prompt, question: Question, images: list[str], answered: bool) -> Row:
    """A line for ms-swift."""
    marks = {"image": lambda part: "<image>", "text": lambda part: part["text"], "comparison": lambda part: None}
    messages = []
    for message in prompt.messages:
        texts = [marks[part["type"]](part) for part in message["content"]]
        messages.append({"role": message["role"], "content": "\n".join(text for text in texts if text is not None)})
    if answered:
        return {"messages": [*messages, {"role": "assistant", "content": question.answer}], "images": images}
    return {"messages": messages, "images": images, "solution": question.answer}
