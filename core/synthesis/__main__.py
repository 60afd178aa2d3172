"""`python -m core.synthesis --source NAME --root FOLDER --out BENCHMARK`: a benchmark of multiple-choice questions."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from core.errors import UserError, command

EPILOG = """examples:
  python -m core.synthesis --source folder  --root my_product --out data/my_product
  python -m core.synthesis --source mvtec   --root mvtec_anomaly_detection --out data/mvtec --split auto
  python -m core.synthesis --source deeppcb --root DeepPCB/PCBData --out data/deeppcb
  python -m core.synthesis describe data/my_product --model offline --write
The result opens with `python app.py --mmad data/my_product` and trains with `python -m core.demo --data data/my_product`.

sources:
"""
FACTORY = "  factory     Rendered products of the embedded demo: no pictures needed, all from --seed."


@command
def main(arguments: list[str] | None = None) -> None:
    """Read the flags and build; `describe BENCHMARK ...` writes descriptions instead."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["describe"]:
        from core.synthesis.descriptions.command import main as describe

        sys.exit(describe(arguments[1:]))
    from core.files import check_writable
    from core.mmad import Task, read_knowledge
    from core.synthesis.building import build
    from core.synthesis.features import Encode, describe_pixels
    from core.synthesis.sources import SOURCES, about
    from core.synthesis.store import Store, default_path

    parser = argparse.ArgumentParser(
        prog="python -m core.synthesis",
        description="Turn product pictures into an MMAD-format benchmark of multiple-choice questions.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG + "\n".join([*(f"  {name:11} {about(name)}" for name in SOURCES), FACTORY]),
    )
    add = parser.add_argument
    add("--source", required=True, metavar="NAME", help=f"layout of the folder: {', '.join(SOURCES)}, or factory")
    add("--root", metavar="FOLDER", help="the product folder or downloaded data set (factory needs none)")
    add("--out", required=True, metavar="BENCHMARK", help="folder to make; it must not be there yet")
    add("--overwrite", action="store_true", help="replace a benchmark that is there")
    add(
        "--max",
        type=int,
        default=100,
        metavar="N",
        dest="most",
        help="samples per split, product and defect (100; 0: all)",
    )
    add(
        "--split",
        default="own",
        metavar="HOW",
        help="own: as the source says; auto: by name; train, val, test: all there",
    )
    add("--seed", type=int, default=0, help="of every random choice (0)")
    add("--tasks", nargs="+", metavar="TASK", help="only these of MMAD's tasks, e.g. 'Anomaly Detection'")
    add("--knowledge", metavar="FILE", help="descriptions in the form of MMAD's domain_knowledge.json")
    add("--templates", type=int, default=10, metavar="K", help="similar and random normal pictures per sample (10)")
    add("--encode", metavar="MODEL", help="vision model that finds similar pictures: a name such as "
        "openai/clip-vit-base-patch32, or a checkpoint's folder (default: plain pixels, no model)")  # fmt: skip
    add("--pictures", choices=("link", "copy", "symlink"), default="link", help="how pictures get there (hard links)")
    add("--cache", metavar="FILE", help="where masks and features are remembered (in the user's cache folder)")
    add(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the source, e.g. product=bolt"
    )
    add("--json", metavar="FILE", help="write what was made as JSON, - for the screen")
    flags = parser.parse_args(arguments)

    try:
        tasks = tuple(Task.of(name) for name in flags.tasks) if flags.tasks else tuple(Task)
    except ValueError as error:
        raise UserError(f"{error}: use some of {', '.join(task.value for task in Task)}.") from error
    if flags.source == "factory":
        _render(flags.out, flags.seed)
        return
    if flags.root is None:
        raise UserError("--root is missing: give the product folder or the downloaded data set.")
    if flags.most < 0 or flags.templates < 0:
        raise UserError("--max and --templates must not be negative.")
    if flags.json and flags.json != "-":
        check_writable(flags.json)
    encode: Encode = describe_pixels
    if flags.encode:
        from core.model.features import image_encoder

        encode = image_encoder(flags.encode)
    with _Bars() as bars:
        built = build(
            flags.source, flags.root, flags.out, seed=flags.seed, most=flags.most or None, split=flags.split,
            k=flags.templates, tasks=tasks, knowledge=read_knowledge(flags.knowledge) if flags.knowledge else None,
            link=flags.pictures, store=Store(flags.cache or default_path()), overwrite=flags.overwrite,
            encode=encode, progress=bars,
            **_options(flags.option),
        )  # fmt: skip
    questions = built.bench.questions
    table = questions.groupby(["task", "split"], observed=True).size().unstack(fill_value=0)
    print(f"{flags.out}: {len(built.bench):,} samples, {len(questions):,} questions", file=sys.stderr)
    print(table[[name for name in ("train", "val", "test") if name in table]].to_string(), file=sys.stderr)
    for what, why in built.skipped[:20]:
        print(f"left out: {what}: {why}", file=sys.stderr)
    if len(built.skipped) > 20:
        print(f"left out: {len(built.skipped) - 20} more, all listed in {flags.out}/synthesis.json", file=sys.stderr)
    if flags.json:
        summary = {"out": flags.out, "samples": len(built.bench), "questions": len(questions),
                   "tasks": {task: {k: int(v) for k, v in row.items()} for task, row in table.to_dict("index").items()},
                   "skipped": built.skipped}  # fmt: skip
        if flags.json == "-":
            print(json.dumps(summary, ensure_ascii=False, indent=1))
        else:
            from core.files import write_json

            write_json(flags.json, summary)


def _render(out: str, seed: int) -> None:
    from core.synthesis.factory import write_demo

    with _Bars() as bars:
        bench = write_demo(out, seed=seed, progress=lambda done, total: bars("render", done, total))
    print(f"{out}: {len(bench):,} samples, {len(bench.questions):,} questions", file=sys.stderr)


def _options(pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise UserError(f"--option takes NAME=VALUE, not {pair!r}.")
        options[name] = int(value) if value.lstrip("-").isdigit() else value
    return options


class _Bars:
    """One progress bar a stage, on stderr."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self.__exit__()
            self._stage, self._bar = stage, tqdm(total=total or None, desc=stage, unit="", leave=True)
        assert self._bar is not None
        self._bar.update(done - self._bar.n)


if __name__ == "__main__":
    main()
