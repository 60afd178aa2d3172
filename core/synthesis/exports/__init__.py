"""Questions for other tools: TRL, ms-swift, Hugging Face `datasets`, and MMAD's own layout.

    trl-sft, trl-grpo        <out>/{train,val,test}.jsonl: prompt (chat), images, completion or solution
    swift-sft, swift-grpo    <out>/{train,val,test}.jsonl: messages with <image> marks, images, solution
    datasets                 <out>/{train,val,test}.parquet: one row a sample, pictures inside
    mmad                     <out>/mmad.json, domain_knowledge.json and the pictures

Every export asks the leak guard first: a benchmark with a test picture in its training part is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.mmad import SPLITS, Benchmark, Protocol, Snapshot, refuse_leaks
from core.synthesis.exports.jsonl import swift_row, trl_row, write_rows
from core.synthesis.exports.layouts import write_datasets, write_layout

# name -> (writer of rows or folder, options of it)
FORMATS: dict[str, tuple[Callable[..., Path], dict[str, Any]]] = {
    "trl-sft": (write_rows, {"row": trl_row, "answered": True}),
    "trl-grpo": (write_rows, {"row": trl_row, "answered": False}),
    "swift-sft": (write_rows, {"row": swift_row, "answered": True}),
    "swift-grpo": (write_rows, {"row": swift_row, "answered": False}),
    "datasets": (write_datasets, {}),
    "mmad": (write_layout, {}),
}


def export(
    bench: Benchmark | Snapshot,
    name: str,
    out: str | Path,
    *,
    protocol: Protocol | None = None,
    splits: tuple[str, ...] = SPLITS,
    absolute: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write `bench` to the folder `out` in the format `name` (a key of `FORMATS`) and return it.

    Args:
        protocol: how the questions are put (JSON Lines only); thinking for GRPO, plain letters for SFT by default.
        splits: the ones to write.
        absolute: write picture paths that work from anywhere on this machine, else relative to the benchmark's folder.
        overwrite: replace files that are there.

    Raises:
        UserError: unknown format, a leak between training and test, `out` is taken, or the disk is full.
    """
    if name not in FORMATS:
        raise UserError(f"There is no export format {name!r}: use one of {', '.join(FORMATS)}.")
    if isinstance(bench, Snapshot):
        bench.refuse_leaks()
        bench = bench.benchmark
    else:
        refuse_leaks(bench)
    write, options = FORMATS[name]
    if write is write_rows:
        protocol = protocol or Protocol(thinking=not options["answered"], heatmap=False)
        options = {**options, "protocol": protocol, "absolute": absolute}
    return write(bench.split(*splits), Path(out), overwrite=overwrite, **options)
