"""`python -m core.synthesis.exports --data BENCHMARK --format NAME --out FOLDER`: questions for another tool."""

from __future__ import annotations

import argparse
import sys

from core.errors import command


@command
def main(arguments: list[str] | None = None) -> None:
    """Read the flags and export."""
    from core.mmad import SPLITS, Protocol, read_mmad
    from core.synthesis.exports import FORMATS, export

    parser = argparse.ArgumentParser(
        prog="python -m core.synthesis.exports",
        description="Write a benchmark's questions for TRL, ms-swift, datasets, or as a copy in MMAD's layout.",
    )
    add = parser.add_argument
    add("--data", required=True, metavar="BENCHMARK", help="folder with mmad.json")
    add("--format", required=True, choices=FORMATS, help="what to write")
    add("--out", required=True, metavar="FOLDER", help="where to write it")
    add("--splits", nargs="+", choices=SPLITS, default=SPLITS, help="only these splits")
    add("--relative", action="store_true", help="picture paths relative to the benchmark instead of absolute ones")
    add("--no-knowledge", action="store_true", help="leave the descriptions out of the prompts")
    add(
        "--thinking", action=argparse.BooleanOptionalAction, default=None, help="ask for reasoning (GRPO: yes, SFT: no)"
    )
    add("--overwrite", action="store_true", help="replace files that are there")
    flags = parser.parse_args(arguments)

    thinking = flags.format.endswith("grpo") if flags.thinking is None else flags.thinking
    protocol = Protocol(thinking=thinking, heatmap=False, knowledge=not flags.no_knowledge)
    out = export(
        read_mmad(flags.data), flags.format, flags.out, protocol=protocol, splits=tuple(flags.splits),
        absolute=not flags.relative, overwrite=flags.overwrite,
    )  # fmt: skip
    print(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}", file=sys.stderr)


if __name__ == "__main__":
    main()
