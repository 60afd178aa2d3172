"""A checkpoint to hand on: adapter merged, nothing left to look up, with a model card that says what it is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError, explain_os_error
from core.files import write_atomic
from core.model.layouts import find_checkpoint
from core.model.loading import load_model
from core.model.modeling import EmitForConditionalGeneration
from core.model.processing import EmitProcessor

CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
license: {licence}
base_model: {base}
tags: [emit, internvl, anomaly-detection, industrial-inspection]
---

# {title}

A multimodal model for industrial inspection: it is shown a normal reference and a query picture, and answers questions
about the query. Where a question can be decided by comparing the two, a soft prompt and an anomaly map of the pair are part
of what the language model reads (EMIT, arXiv 2507.21619).

{notes}

| | |
|---|---|
| base | {base} |
| parameters | {parameters:,} ({dtype}) |
| vision tower | {vision_layers} layers, width {vision_width}, tiles of {tile} px |
| language model | {text_type}, {text_layers} layers, width {text_width} |
| comparison | soft prompt {soft_tokens}, map {heatmap}, window {window}, rotations {rotations}, layers {layers} |

## Use

```python
from core.model import load_model

model, processor = load_model("{folder}")
chat = [{{"role": "user", "content": [
    {{"type": "image"}}, {{"type": "image"}}, {{"type": "text", "text": "Is there any defect in the object?"}},
    {{"type": "comparison"}},
]}}]
text = processor.apply_chat_template(chat, add_generation_prompt=True)
inputs = processor(text=text, images=[["reference.png", "query.png"]], return_tensors="pt").to(model.device)
reply = model.generate(**inputs, max_new_tokens=64)[0, inputs["input_ids"].shape[1]:]
print(processor.decode(reply, skip_special_tokens=True))
```

## Limits

It compares the first picture with the last one of a question, at thumbnail resolution: a defect smaller than a patch is
beyond the map. Answers on products unlike those it was trained on are untested. It is an aid, not the last word of an
inspection.
"""


def export_model(
    name_or_path: str | Path,
    target: str | Path,
    *,
    title: str | None = None,
    notes: str = "",
    licence: str = "apache-2.0",
    dtype: torch.dtype | str = torch.bfloat16,
) -> Path:
    """Write a merged, self-contained checkpoint with a model card (`README.md`) to a new folder.

    Args:
        name_or_path: all that `load_model` takes.
        target: a folder that does not exist yet or is empty; it appears whole or not at all.
        title, notes, licence: of the card. Notes are Markdown: what it was trained on, figures with their protocol.
        dtype: of the weights written. Adapters are merged in float32 first.
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists already: choose a new folder.")
    found = find_checkpoint(name_or_path)
    model, processor = load_model(name_or_path, device="cpu", dtype=torch.float32, merge=True)
    cast: Any = model.to
    cast(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
    base = found.base or (found.path if found.kind in {"hub", "internvl"} else "")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".exporting-") as temporary:
            folder = Path(temporary) / "model"
            save(model, processor, folder)
            card = model_card(
                model, title=title or target.name, folder=target.name, base=base, notes=notes, licence=licence
            )
            write_atomic(folder / "README.md", card)
            if target.exists():
                target.rmdir()
            shutil.move(folder, target)
    except OSError as error:
        raise explain_os_error(error, target) from error
    return target


def save(model: EmitForConditionalGeneration, processor: EmitProcessor, folder: str | Path) -> None:
    """Model and processor in one folder, without a path of this machine in its configuration."""
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def model_card(model: Any, *, title: str, folder: str, base: str, notes: str, licence: str) -> str:
    """The card's Markdown; a base that is a folder is named without its path."""
    config = model.config
    vision, text = config.vision_config, config.text_config
    named = base if base.count("/") == 1 and not Path(base).exists() else Path(base).name
    return CARD.format(
        title=title,
        folder=folder,
        base=named or "none (trained from random weights)",
        licence=licence,
        notes=notes.strip() or "What it was trained on is not recorded.",
        parameters=sum(value.numel() for value in model.parameters()),
        dtype=str(model.dtype).removeprefix("torch."),
        vision_layers=vision.num_hidden_layers,
        vision_width=vision.hidden_size,
        tile=vision.image_size[0],
        text_type=text.model_type,
        text_layers=text.num_hidden_layers,
        text_width=text.hidden_size,
        soft_tokens=config.soft_tokens,
        heatmap="on" if config.heatmap else "off",
        window=config.comparison_window,
        rotations=", ".join(map(str, config.comparison_rotations)),
        layers=", ".join(map(str, config.comparison_layers)),
    )
