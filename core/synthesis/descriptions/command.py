"""`python -m core.synthesis describe BENCHMARK ...`: suggestions for a benchmark's domain knowledge, and text samples."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.errors import UserError, command

EPILOG = """examples:
  python -m core.synthesis describe data/my_product --model offline
  python -m core.synthesis describe data/my_product --model gpt-4o --dry-run
  python -m core.synthesis describe data/my_product --model gpt-4o --write
  python -m core.synthesis describe data/my_product --model llava --base-url http://127.0.0.1:11434/v1 --json texts.json
  python -m core.synthesis describe data/my_product --text-samples --write
The key is taken from OPENAI_API_KEY. A run that was stopped or killed goes on where it was when it is started again.
Exit code: 0 all texts are there, 1 some failed (they are listed), 2 nothing could be done, 130 stopped.
"""


def add_describe_command(subparsers: Any) -> None:
    """Hook the command into a parser with subcommands; `parser.parse_args().run(flags)` carries it out."""
    parser = subparsers.add_parser(
        "describe", help="suggest descriptions", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG
    )
    _add_flags(parser)
    parser.set_defaults(run=run)


@command
def main(arguments: list[str] | None = None) -> None:
    """Read the flags and describe."""
    parser = argparse.ArgumentParser(
        prog="python -m core.synthesis describe",
        description="Suggest descriptions of products and defects, by a vision model or measured offline.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    _add_flags(parser)
    run(parser.parse_args(arguments))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("benchmark", metavar="BENCHMARK", help="folder with mmad.json")
    add(
        "--model", default="offline", help="a vision model of the server; offline: measured, without a server (default)"
    )
    add("--base-url", metavar="URL", help="an OpenAI-compatible server (OPENAI_BASE_URL, else OpenAI's own)")
    add("--products", nargs="+", metavar="NAME", help="only these, as product or dataset/product")
    add("--labels", nargs="+", metavar="NAME", help="only these: good, or names of defects")
    add("--only-missing", action="store_true", help="leave out what is described already")
    add("--text-samples", action="store_true", help="make text samples for products without defect pictures instead")
    add("--write", action="store_true", help="write into the benchmark; texts that are there are kept")
    add("--replace", action="store_true", help="with --write: replace texts that are there")
    add("--json", metavar="FILE", help="write the result to a file, - for the screen")
    add("--dry-run", action="store_true", help="ask nothing; print calls, tokens and cost to expect")
    add("--batch", action="store_true", help="use the Batch API: cheaper, takes up to a day")
    add("--variant", type=int, default=0, metavar="N", help="another number asks for other texts")
    add("--workers", type=int, default=4, metavar="N", help="calls at the same time (4)")
    add("--timeout", type=float, default=120, metavar="S", help="seconds to wait for one answer (120)")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="setting of the call, e.g. temperature=0.2")
    add("--cache", metavar="FOLDER", help="where answers are kept (in the user's cache folder)")
    add("--prompts", metavar="FILE", help="prompts in place of the ones that ship (descriptions/prompts.yaml)")
    add("--prices", metavar="FILE", help="price table in place of the one that ships (descriptions/prices.yaml)")
    add("--seed", type=int, default=0, help="of the choice of pictures (0)")


def run(flags: argparse.Namespace) -> None:
    """Carry out parsed flags.

    Raises:
        UserError: as `describe`; or some texts could not be written (what could be is).
    """
    from core.files import check_writable
    from core.mmad import read_mmad, write_mmad
    from core.mmad.storage import QUESTIONS_FILE
    from core.synthesis.descriptions import Endpoint, describe, merge_knowledge, text_samples

    bench = read_mmad(flags.benchmark)
    # A paid answer must not be lost to a typing error in a path.
    if flags.json and flags.json != "-":
        check_writable(flags.json)
    if flags.write and not flags.dry_run:
        check_writable(bench.root / QUESTIONS_FILE)
    endpoint = None
    if flags.model != "offline":
        endpoint = Endpoint(
            flags.model, flags.base_url, timeout=flags.timeout, workers=flags.workers, options=_options(flags.option)
        )
    common: dict[str, Any] = {
        "endpoint": endpoint, "products": flags.products, "cache": flags.cache, "prompts": flags.prompts,
        "prices": flags.prices, "seed": flags.seed, "dry_run": flags.dry_run,
    }  # fmt: skip
    with _Bar() as bar:
        common.update(progress=bar.update, stop=bar.stopped.is_set)
        if flags.text_samples:
            result: Any = text_samples(bench, flags.model, **common)
        else:
            result = describe(
                bench, flags.model, labels=flags.labels, only_missing=flags.only_missing, variant=flags.variant,
                batch=flags.batch, **common,
            )  # fmt: skip
    _report(result, flags.dry_run and flags.model != "offline")
    if flags.json:
        _write_json(flags.json, result)
    nothing = not len(result) and bool(result.failures)
    if flags.write and not flags.dry_run and not nothing:
        if flags.text_samples:
            new = {sample.image: sample for sample in result}
            samples = (*(s for s in bench if s.image not in new), *new.values())
            write_mmad(replace(bench, samples=samples))
        else:
            write_mmad(replace(bench, knowledge=merge_knowledge(bench.knowledge, result, replace=flags.replace)))
        print(f"written to {flags.benchmark}", file=sys.stderr)
    elif not flags.json and not flags.dry_run:
        for thing in result:
            head = "/".join(thing.key) if hasattr(thing, "key") else thing.image
            print(f"{head}\n  {' '.join(thing.text.split())}")
    if result.stopped:
        sys.exit(130)
    if result.failures and not flags.dry_run:
        if nothing:
            raise UserError(f"Nothing could be written: {result.failures[0].reason}")
        sys.exit(1)


def _report(result: Any, dry: bool) -> None:
    """Counts on stderr, so that stdout stays the result."""
    usage = result.estimate if dry else result.usage
    cost = "at an unknown price" if usage.cost is None else f"about ${usage.cost:.2f}"
    line = f"{usage.calls} calls ({usage.retries} repeated), {usage.tokens_in:,} tokens in, {usage.tokens_out:,} out, {cost}"
    print(f"{'to expect: ' if dry else ''}{line}; {usage.cached} texts were there already", file=sys.stderr)
    for failure in result.failures:
        print(f"  no text for {failure.dataset}/{failure.product}/{failure.label}: {failure.reason}", file=sys.stderr)
    leaked = sum(1 for thing in result if getattr(thing, "from_test", False))
    if leaked:
        print(
            f"  {leaked} texts rest on test pictures or on texts of unknown origin: say so beside figures",
            file=sys.stderr,
        )
    if result.stopped:
        print("stopped; start it again to go on", file=sys.stderr)


def _write_json(target: str, result: Any) -> None:
    from core.files import write_json
    from core.mmad.storage import entry

    things = [{"image": t.image, **entry(t)} if hasattr(t, "image") else asdict(t) for t in result]
    value = {
        "texts": things, "failures": [asdict(f) for f in result.failures], "estimate": asdict(result.estimate),
        "usage": asdict(result.usage), "stopped": result.stopped,
    }  # fmt: skip
    if target == "-":
        print(json.dumps(value, ensure_ascii=False, indent=1))
    else:
        write_json(Path(target), value)


def _options(pairs: list[str]) -> dict[str, Any]:
    options = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found or not name:
            raise UserError(f"--option {pair!r} must be NAME=VALUE, e.g. temperature=0.2.")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


class _Bar:
    """A progress bar, and Ctrl-C as a request to stop after the calls under way."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._bar: Any = None
        self._former: Any = None

    def update(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=total, unit=" texts", file=sys.stderr)
        self._bar.n = done
        self._bar.refresh()

    def __enter__(self) -> _Bar:
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, *_: object) -> None:
        if self.stopped.is_set():
            raise KeyboardInterrupt
        self.stopped.set()

    def __exit__(self, *_: object) -> None:
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)
        if self._bar is not None:
            self._bar.close()
