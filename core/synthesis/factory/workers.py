"""Rendering lots to files, in this process or in several: `python -m core.synthesis.factory.workers` takes one lot a line
as JSON on standard input and answers with one line when its files are there.

Processes of our own rather than `multiprocessing`: nothing of the calling program (a server, a test) is imported again.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image

from core.errors import UserError, command
from core.files import write_atomic, write_json
from core.synthesis.factory.plans import LotPlan, Shot, as_json, from_json
from core.synthesis.factory.rendering import Picture, render


def make_lot(root: Path, lot: LotPlan) -> None:
    """Render a lot's pictures and masks, then write its record (facts of every picture)."""
    records: dict[str, Any] = {}
    for shot in (*lot.references, *lot.samples):
        picture = render(shot.product, shot.defect, shot.seed, shot.difficulty, lot=lot.seed, cell=shot.cell)
        _save(root, shot, picture)
        records[shot.image] = dict(picture.meta)
    write_json(record_path(root, lot), {"lot": as_json(lot), "pictures": records}, indent=None)


def record_path(root: Path, lot: LotPlan) -> Path:
    return root / ".factory" / lot.product / f"{lot.name}.json"


def _save(root: Path, shot: Shot, picture: Picture) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture.image).save(buffer, "JPEG", quality=95, subsampling=0)
    _write(root / shot.image, buffer.getvalue())
    if shot.mask:
        buffer = io.BytesIO()
        Image.fromarray(picture.mask.astype(np.uint8) * 255).convert("1").save(buffer, "PNG")
        dataset, product, _ = shot.image.split("/", 2)
        _write(root / dataset / product / shot.mask, buffer.getvalue())


def _write(path: Path, content: bytes) -> None:
    # Whole or not there, but without waiting for the disk: a lot counts once its record is written.
    write_atomic(path, lambda temporary: temporary.write_bytes(content))


def make_lots(root: Path, lots: Sequence[LotPlan], workers: int, done: Callable[[LotPlan], None]) -> None:
    """Render lots with `workers` processes; `done` is called in the caller's thread after each."""
    waiting = list(lots)
    if workers > 1 and len(waiting) > 2:
        waiting = _in_processes(root, waiting, workers, done)
    for lot in waiting:
        make_lot(root, lot)
        done(lot)


def _in_processes(root: Path, lots: list[LotPlan], workers: int, done: Callable[[LotPlan], None]) -> list[LotPlan]:
    """Returns the lots no process finished (a process may be killed): the caller makes them itself."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    home = str(Path(__file__).resolve().parents[3])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH", ""))))
    open_lots, finished = list(reversed(lots)), SimpleQueue[LotPlan | None]()
    missing = {lot.product + lot.name: lot for lot in lots}
    processes: list[subprocess.Popen[str]] = []

    def feed(process: subprocess.Popen[str]) -> None:
        assert process.stdin and process.stdout
        try:
            while open_lots:
                lot = open_lots.pop()
                process.stdin.write(json.dumps(as_json(lot)) + "\n")
                process.stdin.flush()
                if not process.stdout.readline().strip():
                    break
                finished.put(lot)
            process.stdin.close()
        except (OSError, IndexError, ValueError):
            pass
        finally:
            finished.put(None)

    try:
        for _ in range(workers):
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "core.synthesis.factory.workers", str(root)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
                )
            )  # fmt: skip
            Thread(target=feed, args=(processes[-1],), daemon=True).start()
        ended = 0
        while ended < workers:
            lot = finished.get()
            if lot is None:
                ended += 1
                continue
            missing.pop(lot.product + lot.name)
            done(lot)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill() if missing else None
            process.wait()
    return list(missing.values())


@command
def main() -> None:
    if len(sys.argv) != 2:
        raise UserError("Give the benchmark folder; lots come as JSON lines on standard input.")
    for line in sys.stdin:
        make_lot(Path(sys.argv[1]), from_json(json.loads(line)))
        print("done", flush=True)


if __name__ == "__main__":
    main()
