"""python -m core.evaluation: answer a benchmark's questions, and say honestly what the answers show.

answer    ask a model every question (goes on where it stopped)
table     MMAD's table, and what goes wrong in finding defects
compare   two models on the same questions, with intervals
report    one self-contained HTML file and CSVs
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.errors import UserError, command

EXAMPLES = """examples:
  python -m core.evaluation answer --data W --model data/models/emit-tiny --out answers/base --splits test
  python -m core.evaluation answer --data W --model MODEL --out answers/base --answering letters --processes 2
  OPENAI_API_KEY=... python -m core.evaluation answer --data W --endpoint gpt-4o --out answers/gpt
  python -m core.evaluation table answers/base
  python -m core.evaluation compare answers/base answers/tuned
  python -m core.evaluation report answers/base answers/tuned --data W --out report

exit codes: 0 done; 1 answering broke off, what was answered is kept; 2 something in the input must be put right;
130 stopped by hand (answers so far are kept)."""


ANSWERS = "folder of answers, or a .parquet, .csv or .json file (MMAD's own files too)"
CHECKED = "benchmark (or run folder) the answers must be of; says how many of its questions are missing"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m core.evaluation",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    answer = commands.add_parser(
        "answer",
        help="ask a model every question",
        description="Ask a model every question of a benchmark; what OUT already holds is not asked again.",
    )
    answer.add_argument("--data", required=True, metavar="W", help="benchmark in MMAD's layout, or a run folder")
    who = answer.add_mutually_exclusive_group(required=True)
    who.add_argument("--model", metavar="PATH", help="checkpoint, adapter or run folder")
    who.add_argument("--endpoint", metavar="NAME", help="a model behind OPENAI_BASE_URL (key: OPENAI_API_KEY)")
    answer.add_argument("--out", required=True, metavar="DIR", help="folder for the answers")
    answer.add_argument("--splits", nargs="+", choices=("train", "val", "test"), help="only these (default: all)")
    answer.add_argument("--limit", type=int, metavar="N", help="only the first N pictures")
    answer.add_argument("--shots", type=int, default=1, metavar="K", help="normal references shown (default 1)")
    answer.add_argument(
        "--template", choices=("similar", "random"), default="similar", help="which references (default similar)"
    )
    for name, said in (("knowledge", "the product's descriptions in the prompt"), ("heatmap", "the comparison part")):
        answer.add_argument(
            f"--{name}", action=argparse.BooleanOptionalAction, default=True, help=f"{said} (default on)"
        )
    answer.add_argument("--thinking", action="store_true", help="let the model reason first")
    answer.add_argument("--answering", choices=("generate", "letters"), default="generate",
                        help="free text that is read, or the likeliest letter with P(letter) (default generate)")  # fmt: skip
    answer.add_argument("--seed", type=int, default=0, help="of the descriptions' order in the prompt (default 0)")
    answer.add_argument("--batch-size", type=int, metavar="N", help="questions at once")
    answer.add_argument("--processes", type=int, default=1, metavar="N", help="share the work among N processes")
    answer.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    answer.add_argument("--quantize", choices=("4bit", "8bit"), help="load the model in fewer bits")
    answer.add_argument("--shard", help=argparse.SUPPRESS)

    table = commands.add_parser("table", help="MMAD's table", description="Accuracy by MMAD's rules, in percent.")
    table.add_argument("answers", metavar="ANSWERS", help=ANSWERS)
    table.add_argument("--data", metavar="W", help=CHECKED)
    table.add_argument(
        "--by", choices=("dataset", "product"), default="dataset", help="what a row is (default dataset)"
    )
    table.add_argument("--json", metavar="FILE", help="write it for scripts too")

    compare = commands.add_parser(
        "compare",
        help="two models on the same questions",
        description="The second against the first: difference with a paired bootstrap interval over pictures, exact McNemar p "
        "after Holm.",
    )
    report = commands.add_parser("report", help="HTML and CSVs", description="One self-contained HTML report and CSVs.")
    compare.add_argument("answers", nargs=2, metavar="ANSWERS", help=f"of the first, then of the second: {ANSWERS}")
    compare.add_argument("--data", metavar="W", help=CHECKED)
    compare.add_argument("--json", metavar="FILE", help="write it for scripts too")
    report.add_argument("answers", nargs="+", metavar="ANSWERS", help=f"of one model, or of two to compare: {ANSWERS}")
    report.add_argument("--out", required=True, metavar="DIR", help="folder for report.html and the CSVs")
    report.add_argument("--data", metavar="W", help=f"{CHECKED}; its pictures fill the gallery")
    report.add_argument("--heatmap", metavar="MODEL", help="draw the gallery's heatmaps with this model")
    report.add_argument("--run", metavar="RUN", help="run folder, for difficulty against accuracy (and its questions)")
    report.add_argument("--miss", type=float, default=10.0, metavar="COST", help="cost of a missed defect (default 10)")
    report.add_argument(
        "--overkill", type=float, default=1.0, metavar="COST", help="cost of a wrongly rejected part (default 1)"
    )
    report.add_argument("--prevalence", type=float, metavar="P", help="share of defective parts on the line, 0 to 1")
    report.add_argument("--title", default="Evaluation", help="heading of the page")
    for sub in (compare, report):
        sub.add_argument(
            "--names", nargs="+", metavar="NAME", help="how to call the models (default: their folders' names)"
        )
        sub.add_argument("--draws", type=int, default=2000, metavar="N", help="bootstrap draws (default 2000)")
        sub.add_argument("--across-protocols", action="store_true", help="compare although the protocols differ")
    return top


@command
def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    args.typed = sys.argv[1:] if arguments is None else arguments
    return {"answer": _answer, "table": _table, "compare": _compare, "report": _report}[args.command](args)


def _answer(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from core.evaluation import PartialAnswers, answer_questions, read_answers
    from core.evaluation.guarding import refuse_trained
    from core.mmad import Protocol

    bench = _benchmark(args.data)
    bench = bench.split(*args.splits) if args.splits else bench
    bench = bench.select(bench.samples[: args.limit]) if args.limit is not None else bench
    total = len(bench.questions)
    if not total:
        raise UserError(
            f"{args.data} asks no question in {' and '.join(args.splits or ['any split'])}: choose other splits."
        )
    if args.shots < 0 or args.processes < 1:
        raise UserError("Give 0 or more shots and 1 or more processes.")
    if args.model and args.shard is None:
        refuse_trained(args.model, bench)
    if args.processes > 1 and args.shard is None:
        return _spread(args, total)
    protocol = Protocol(
        args.shots, args.template, args.knowledge, args.thinking, args.heatmap, args.answering, args.seed
    )
    model: Any = args.endpoint
    processor = None
    if args.model:
        from core.model import load_model

        model, processor = load_model(args.model, device=args.device, quantize=args.quantize)
    shard = tuple(map(int, args.shard.split("/"))) if args.shard else None
    # tqdm shows questions per second and the time left; of several processes the first speaks for its own share.
    share = f"process 1 of {shard[1]}" if shard else None
    with tqdm(total=total, unit=" questions", desc=share, disable=shard is not None and shard[0] > 0) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        try:
            answers = answer_questions(
                model, processor, bench, protocol=protocol, out=args.out, batch_size=args.batch_size, shard=shard,
                progress=progress, name=args.model or None,
            )  # fmt: skip
        except PartialAnswers as error:
            bar.close()
            if not len(error.answers):
                raise  # nothing to go on from: the input must be put right
            print(f"error: {error}", file=sys.stderr)
            return 1
    if shard is None:
        _print_accuracy(read_answers(args.out))
        print(f"{len(answers)} answers in {args.out}")
    return 0


def _spread(args: argparse.Namespace, total: int) -> int:
    """The same command in several processes, each with its share of the pictures."""
    from core.evaluation import read_answers
    from core.evaluation.records import AnswerFolder

    threads = str(max(1, (os.cpu_count() or 1) // args.processes))
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "core.evaluation", *args.typed, "--shard", f"{part}/{args.processes}"],
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)},
        )
        for part in range(args.processes)
    ]
    try:
        codes = [process.wait() for process in running]
    except KeyboardInterrupt:
        # They got the same signal and are writing what they have.
        for process in running:
            process.wait()
        raise
    if any(codes):
        broken, kept = sum(map(bool, codes)), len(AnswerFolder(args.out).read())
        print(
            f"error: {broken} of {args.processes} processes broke off; {kept} of {total} questions are answered, kept in "
            f"{args.out}: run the same again to go on.",
            file=sys.stderr,
        )
        return 1 if kept else 2
    answers = read_answers(args.out)
    _print_accuracy(answers)
    print(f"{len(answers)} of {total} answers in {args.out}")
    return 0


def _table(args: argparse.Namespace) -> int:
    from core.evaluation import accuracy_table, detection_table, read_answers
    from core.evaluation.records import labels_of, protocol_of
    from core.evaluation.report import table_json
    from core.files import write_json

    answers = _checked(read_answers(args.answers), args.data)
    table = accuracy_table(answers, by=args.by)
    _print(table)
    _print(detection_table(answers, by=args.by))
    total = answers.attrs.get("total", len(answers))
    print(
        f"{len(answers)} of {total} questions answered; {table.attrs['unparseable']:.1f} % of the replies hold no letter"
    )
    print(f"protocol: {protocol_of(answers) or 'not stated'}")
    for label in labels_of(answers):
        print(f"note: {label}")
    if args.json:
        write_json(args.json, table_json(table, labels_of(answers)))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from core.evaluation import compare_answers
    from core.evaluation.report import table_json
    from core.files import write_json

    tables = _named(args)
    comparison = compare_answers(
        *tables.values(), names=tuple(tables), draws=args.draws, across_protocols=args.across_protocols
    )
    _print(
        comparison.table.rename(columns=dict(zip(("first", "second"), tables, strict=True))), 1, {"p": 4, "p_holm": 4}
    )
    for note in comparison.notes:
        print(f"note: {note}")
    print(comparison.verdict())
    if args.json:
        write_json(args.json, table_json(comparison.table, comparison.labelled))
    return 0


def _report(args: argparse.Namespace) -> int:
    from core.evaluation import Costs, write_report

    # A run's answers are to the questions of its own snapshot.
    args.data = args.data or args.run
    tables = _named(args)
    heatmap = difficulty = None
    if args.heatmap:
        from core.heatmap.pairs import compare_pictures
        from core.model import load_model

        model, processor = load_model(args.heatmap)

        def heatmap(query: str, reference: str) -> Any:
            return compare_pictures(model, processor, query, reference)

    if args.run:
        from core.runs import RunFolder

        difficulty = RunFolder(args.run).difficulty()
    place = write_report(
        tables, args.out, bench=_benchmark(args.data) if args.data else None, difficulty=difficulty,
        costs=Costs(args.miss, args.overkill, args.prevalence), heatmap=heatmap,
        across_protocols=args.across_protocols, title=args.title, draws=args.draws,
    )  # fmt: skip
    print(place)
    return 0


def _named(args: argparse.Namespace) -> dict[str, Any]:
    """Answers by the name given, else by the folder's."""
    from core.evaluation import read_answers

    names = args.names or [Path(path).resolve().name for path in args.answers]
    if len(names) != len(args.answers):
        raise UserError(f"{len(args.answers)} answers but {len(names)} names were given: name each.")
    if len(set(names)) < len(names):
        names = [f"{Path(path).resolve().parent.name}/{Path(path).resolve().name}" for path in args.answers]
    if len(set(names)) < len(names):
        raise UserError("Two answers have the same name: tell them apart with --names.")
    return {name: _checked(read_answers(path), args.data) for name, path in zip(names, args.answers, strict=True)}


def _benchmark(path: str) -> Any:
    """A folder in MMAD's layout, or what a run learned from and is judged on (its folder, or its `snapshot.json`)."""
    from core.mmad import Snapshot, read_mmad

    snapshot = Path(path) if Path(path).suffix == ".json" else Path(path) / "snapshot.json"
    return Snapshot.load(snapshot).benchmark if snapshot.is_file() else read_mmad(path)


def _checked(answers: Any, data: str | None) -> Any:
    """The answers as they are, or held against the benchmark they are said to be of.

    Splits that no answer is of were not asked about, so their questions are not missing.
    """
    from core.evaluation import check_answers

    if data is None:
        return answers
    bench = _benchmark(data)
    checked = check_answers(answers, bench.split(*answers["split"].unique()) if "split" in answers else bench)
    checked.attrs["total"] = max(checked.attrs["total"], answers.attrs.get("total", 0))
    return checked


def _print_accuracy(answers: Any) -> None:
    from core.evaluation import accuracy_table
    from core.evaluation.records import labels_of

    table = accuracy_table(answers)
    _print(table)
    for label in labels_of(answers):
        print(f"note: {label}")
    if silent := table.attrs["unparseable"]:
        print(f"note: {silent:.1f} % of the replies hold no letter and count as wrong")


def _print(table: Any, digits: int = 1, special: dict[str, int] | None = None) -> None:
    shown = table.copy().astype(object)
    for column in shown:
        places = (special or {}).get(column, digits)
        shown[column] = [
            "-" if v != v else f"{v:.{places}f}" if isinstance(v, float) else str(v) for v in table[column]
        ]
    print(shown.rename_axis(index=None).to_string(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
