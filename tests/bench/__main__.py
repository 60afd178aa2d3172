"""`make bench`: every `bench_*.py` here has a `main()` that prints ratios of two things measured in one run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    for name in names or found:
        if name not in found:
            sys.exit(f"error: no benchmark {name!r}; there are {', '.join(found)}.")
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.bench.bench_{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
