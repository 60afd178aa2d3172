"""`python -m core.mmad BENCHMARK`: audit a benchmark in MMAD's layout and print what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from core.errors import command


@command
def main(arguments: list[str] | None = None) -> None:
    """Print the findings; exit code 1 when there are some."""
    from tqdm import tqdm

    from core.files import write_json
    from core.mmad import audit, near_duplicates, read_mmad

    parser = argparse.ArgumentParser(prog="python -m core.mmad", description="Audit a benchmark in MMAD's layout.")
    parser.add_argument("root", metavar="BENCHMARK", help="folder with mmad.json")
    parser.add_argument("--near", action="store_true", help="also list test pictures that look like training pictures")
    parser.add_argument("--most", type=int, default=20, metavar="N", help="findings to print of each kind (20; 0: all)")
    parser.add_argument("--json", metavar="FILE", help="write all findings as JSON")
    flags = parser.parse_args(arguments)

    bench = read_mmad(flags.root)
    with tqdm(total=len(bench), desc="audit", unit="") as bar:
        findings = audit(bench, progress=lambda done, total: _advance(bar, done))
    rows = findings.to_dict("records")
    if flags.near:
        rows += [
            {"kind": "near duplicate", "image": leak.test, "message": f"{leak.distance} bits from {leak.train}"}
            for leak in near_duplicates(bench)
        ]
    if flags.json:
        write_json(flags.json, rows)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of_kind = [row for row in rows if row["kind"] == kind]
        print(f"{kind}: {len(of_kind):,}")
        for row in of_kind[: flags.most or None]:
            print(f"  {row['image']}: {row['message']}" if row["image"] else f"  {row['message']}")
    print(f"{len(bench):,} samples, {len(bench.questions):,} questions, {len(rows):,} findings")
    if rows:
        sys.exit(1)


def _advance(bar: Any, done: int) -> None:
    bar.update(done - bar.n)


if __name__ == "__main__":
    main()
