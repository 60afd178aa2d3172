"""Folders that hold their pictures: Parquet for Hugging Face `datasets`, and MMAD's own layout."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import UserError, explain_os_error
from core.files import write_atomic
from core.mmad import SPLITS, Benchmark, Sample, write_mmad
from core.synthesis.atomic import new_folder

# A row group is what a reader has in memory at once; pictures are large.
_ROWS_AT_ONCE = 64


def write_datasets(bench: Benchmark, out: Path, *, overwrite: bool = False) -> Path:
    """A `<split>.parquet` for each split, read by `datasets.load_dataset(str(out))`.

    A row is a sample: `image`, `reference` and `mask` are image columns (None where there is none), `questions` a list of
    {task, question, options, answer}.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, List, Value

    question = {
        "task": Value("string"),
        "question": Value("string"),
        "options": List(Value("string")),
        "answer": Value("string"),
    }
    columns: dict[str, Any] = dict.fromkeys(("key", "dataset", "product", "defect", "source", "text"), Value("string"))
    columns |= dict.fromkeys(("image", "reference", "mask"), Image())
    features = Features(columns | {"questions": List(question)})
    schema = features.arrow_schema
    for split in SPLITS:
        samples = bench.split(split).samples
        if not samples:
            continue
        target = out / f"{split}.parquet"
        if target.exists() and not overwrite:
            raise UserError(f"{target} is already there: choose another folder, or pass --overwrite to replace it.")

        def write(path: Path, samples: tuple[Sample, ...] = samples) -> None:
            with pq.ParquetWriter(path, schema) as writer:
                for start in range(0, len(samples), _ROWS_AT_ONCE):
                    rows = [_row(bench, sample) for sample in samples[start : start + _ROWS_AT_ONCE]]
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))

        write_atomic(target, write)
    return out


def _row(bench: Benchmark, sample: Sample) -> dict[str, Any]:
    def picture(path: Path | None) -> dict[str, Any] | None:
        return {"bytes": _read(path), "path": path.name} if path is not None else None

    reference = bench.reference(sample)
    return {
        "key": sample.image,
        "dataset": sample.dataset,
        "product": sample.product,
        "defect": sample.label,
        "source": sample.source,
        "text": sample.text,
        "image": None if sample.text is not None else picture(bench.path(sample.image)),
        "reference": picture(bench.path(reference) if reference else None),
        "mask": picture(bench.mask_path(sample)),
        "questions": [
            {
                "task": q.task.value,
                "question": q.text,
                "options": [f"{letter}. {text}" for letter, text in q.options.items()],
                "answer": q.answer,
            }
            for q in sample.questions
        ],
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise explain_os_error(error, path) from error


def write_layout(bench: Benchmark, out: Path, *, overwrite: bool = False) -> Path:
    """A copy of the benchmark: its JSON files and every picture, mask and template they name."""
    with new_folder(out, overwrite) as place:
        for path in dict.fromkeys(_named(bench)):
            target = place / path.relative_to(bench.root)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            except OSError as error:
                raise explain_os_error(error, path if not path.is_file() else target) from error
        write_mmad(replace(bench, root=place))
    return out


def _named(bench: Benchmark) -> Iterator[Path]:
    for sample in bench:
        if sample.text is None:
            yield bench.path(sample.image)
        for template in (*sample.similar_templates, *sample.random_templates):
            yield bench.path(template)
        mask = bench.mask_path(sample)
        if mask is not None:
            yield mask
