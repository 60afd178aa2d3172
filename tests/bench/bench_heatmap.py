"""`anomaly_map` against the broadcast cosine it replaces: time and memory, in one run on one machine.

Batch 1, 32 x 32 patches, width 1024, one layer (then four times that layer), four rotations. Memory is what a fresh process
needs at its peak beyond its inputs; on a GPU, what the allocator handed out at most.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor

from core.heatmap import anomaly_map

GRID, WIDTH, ROTATIONS, WINDOW, CHUNK = 32, 1024, 4, 6, 256


def broadcast_map(query: list[Tensor], reference: list[Tensor]) -> Tensor:
    """The same map with `cosine_similarity` over broadcast pairs, 256 reference patches at a time."""
    patches = GRID * GRID
    place = torch.arange(patches, device=query[0].device)
    row, column = place // GRID, place % GRID
    total = torch.zeros(len(query[0]), patches, device=query[0].device)
    for features, references in zip(query, reference, strict=True):
        best = torch.full_like(total, -1)
        for start in range(0, references.shape[1], CHUNK):
            chunk = references[:, start : start + CHUNK]
            cosine = torch.nn.functional.cosine_similarity(features[:, :, None], chunk[:, None], dim=-1)
            there = torch.arange(start, start + chunk.shape[1], device=place.device) % patches
            far = (row[:, None] - row[there]).abs() > WINDOW
            far |= (column[:, None] - column[there]).abs() > WINDOW
            best = torch.maximum(best, cosine.masked_fill(far, 0).amax(-1))
        total += best
    return (1 - total / len(query)).view(-1, 1, GRID, GRID)


def matrix_map(query: list[Tensor], reference: list[Tensor]) -> Tensor:
    return anomaly_map(query, reference, window=WINDOW)


def inputs(layers: int, device: str) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    query = [torch.randn(1, GRID**2, WIDTH, device=device) for _ in range(layers)]
    reference = [torch.randn(1, ROTATIONS * GRID**2, WIDTH, device=device) for _ in range(layers)]
    return query, reference


def peak_memory(device: str) -> int:
    """Bytes this process has held at its peak."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _measured(function: Callable, layers: int, device: str, repeats: int, queue) -> None:  # noqa: ANN001
    """Best wall and processor time of `repeats`, and the peak memory beyond the inputs, in a process of its own."""
    torch.set_num_threads(2)
    query, reference = inputs(layers, device)
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    torch.mm(torch.ones(64, 64, device=device), torch.ones(64, 64, device=device))  # the library's own start-up
    wait()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = peak_memory(device)
    times, worked = [], []
    for _ in range(repeats):
        start, started = time.perf_counter(), time.process_time()
        found = function(query, reference)
        wait()
        times.append(time.perf_counter() - start)
        worked.append(time.process_time() - started)
    queue.put((min(times), min(worked), peak_memory(device) - before, found.cpu().numpy()))


def measure(function: Callable, layers: int, device: str, repeats: int) -> tuple[float, float, float, Tensor]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(function, layers, device, repeats, queue))
    process.start()
    *figures, found = queue.get()
    process.join()
    return *figures, torch.from_numpy(found)


def main() -> None:
    """Wall time says what one waits; processor time says the same of a machine that others use at the time."""
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        wall, work, memory, expected = measure(broadcast_map, 1, device, 1 if device == "cpu" else 5)
        print(
            f"{device}: broadcast, 1 layer         {wall:8.3f} s wall {work:8.3f} s processor {memory / 2**20:6.0f} MiB"
        )
        for layers in (1, 4):
            fast, fast_work, fast_memory, found = measure(matrix_map, layers, device, 7)
            print(
                f"{device}: matrix products, {layers} layer(s) {fast:8.4f} s wall {fast_work:8.4f} s processor "
                f"{fast_memory / 2**20:6.1f} MiB: {layers * wall / fast:.0f}x the speed of {layers} x broadcast "
                f"({layers * work / fast_work:.0f}x by processor time), 1/{memory / max(fast_memory, 1):.0f} of its memory"
                + (f", largest difference {(expected - found).abs().max():.0e}" if layers == 1 else "")
            )


if __name__ == "__main__":
    main()
