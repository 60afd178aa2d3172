"""`python -m core.demo`: the whole of EMIT as one command, how its tiny base was made, and the proof that it helps."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from core.errors import command

# name -> what it does; each is a module here with `add_flags` and `act`
COMMANDS = {
    "proof": "Train every arm with every seed, judge it on the whole test split, keep a small summary of each.",
    "baselines": "Judge what needs no language model: the heatmap alone, and the difference to the reference.",
    "controls": "Ask a tuned model with the wrong picture and without the heatmap: does it look?",
    "report": "Make table and figures of the proof from its summaries.",
    "score": "Base and shipped adapter on a fresh test split; the last line is JSON.",
    "thirty": "A page of thirty test answers of base and tuned, to be read by a person.",
}
EPILOG = """examples:
  python -m core.demo --preset smoke                      the loop on the embedded demo, in minutes
  python -m core.demo --data W --preset demo --json out.json   the same on your benchmark (see python -m core.synthesis)
  python -m core.demo pretrain --out pretrained           make the tiny base anew; killed, it goes on where it was

further commands (each takes --help):
  pretrain    Pretrain the tiny base on normal factory products.
""" + "\n".join(f"  {name:11} {about}" for name, about in COMMANDS.items())


def loop_flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.demo",
        description="From a benchmark to SFT, difficulty-aware GRPO and the table of base and tuned.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument(
        "--data",
        metavar="ROOT",
        help="a benchmark in MMAD's layout; large: the demo with more to learn from (default: the embedded demo)",
    )
    parser.add_argument("--preset", default="smoke", help="settings of the run: smoke, demo, full, ... (smoke)")
    parser.add_argument("--base", metavar="MODEL", help="model to start from (default: the preset's)")
    parser.add_argument("--workspace", default="workspace", metavar="DIR", help="where runs are kept (workspace)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (0)")
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    return parser


def pretrain_flags() -> argparse.ArgumentParser:
    from core.demo.education import PRESETS

    parser = argparse.ArgumentParser(
        prog="python -m core.demo pretrain", description="Pretrain the tiny base on normal factory products."
    )
    parser.add_argument(
        "--out", default="workspace/pretraining", metavar="DIR", help="its folder (workspace/pretraining)"
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full", help="how long it learns (full)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and lessons (0)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    return parser


@command
def main(arguments: list[str] | None = None) -> None:
    """Read the flags and go."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        module = import_module(f"core.demo.{name}")
        parser = argparse.ArgumentParser(
            prog=f"python -m core.demo {name}", description=f"{COMMANDS[name]}\n\n{module.__doc__}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        module.add_flags(parser.add_argument)
        module.act(parser.parse_args(arguments[1:]))
        return
    if name == "pretrain":
        flags = pretrain_flags().parse_args(arguments[1:])
        from dataclasses import replace

        from core.demo.education import PRESETS
        from core.demo.pretrain import pretrain
        from core.files import check_writable

        check_writable(Path(flags.out) / "state")
        place = pretrain(Path(flags.out), replace(PRESETS[flags.preset], seed=flags.seed), device=flags.device)
        print(f"The checkpoint is {place}.")
        return
    flags = loop_flags().parse_args(arguments)
    from core.demo.loop import format_table, run_loop
    from core.files import check_writable, write_json

    if flags.json:
        check_writable(flags.json)
    result = run_loop(flags.data, preset=flags.preset, workspace=flags.workspace, base=flags.base, seed=flags.seed)
    print(format_table(result))
    if flags.json:
        write_json(flags.json, result)


if __name__ == "__main__":
    main()
