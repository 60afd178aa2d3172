"""`python -m core.demo report`: table and figures of the proof, made again from the committed summaries.

For every benchmark with summaries: accuracy per task (mean and standard deviation over seeds, and how many runs stand behind
each row), averages on the unseen parts, price, the claims with their tests, baselines and controls. The text goes between
the markers of the README, the figures into a folder; `--json` writes the averages for scripts.

Two tests stand beside each claim. McNemar (exact, two-sided) pools the questions of all seeds; the same questions return with
every seed, so it speaks for these trained models. The paired t-test over seeds takes each seed as one observation; it speaks
for the recipe, and needs many seeds to say much.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.demo.arms import ARMS, BASE
from core.demo.baselines import ABOUT
from core.demo.summaries import PARTS, TASKS, mcnemar, part_masks, read_asked, read_summaries, rights
from core.errors import UserError, explain_os_error
from core.files import check_writable, read_json, write_atomic, write_json

BEGIN, END = "<!-- proof:begin -->", "<!-- proof:end -->"
AVERAGE = "Average"
SHORT = {
    "Anomaly Detection": "detect", "Defect Classification": "classify", "Defect Localization": "locate",
    "Defect Description": "describe", "Defect Analysis": "analyse", "Object Classification": "object",
    "Object Analysis": "object detail",
}  # fmt: skip
PART_WORDS = {
    "all": "all",
    "instances": "unseen instances",
    "defects": "unseen defect of the product",
    "products": "unseen products",
}
HOW = (
    "Measured by `python -m core.demo proof`, put together by `python -m core.demo report` from the summaries in `data/proof`. "
    "The McNemar test pools the questions of all seeds, which are the same in each: it speaks for these trained models. The "
    "t-test takes each seed as one observation: it speaks for the recipe."
)
# second minus first
CLAIMS = ((BASE, "emit"), ("grpo", "emit"), ("sft", "emit"))


@dataclass(frozen=True)
class Bench:
    """The summaries of one benchmark: arm -> seed -> summary, in the order of the table."""

    name: str
    folder: Path
    arms: Mapping[str, Mapping[int, dict[str, Any]]]

    @property
    def trained(self) -> list[str]:
        """The arms that are trained, in the order of the table."""
        return [arm for arm in self.arms if arm not in ABOUT and arm != BASE]

    @property
    def controls(self) -> list[dict[str, Any]]:
        return [read_json(path) for path in sorted((self.folder / "controls").glob("*.json"))]

    def values(self, arm: str, column: str, part: str = "all") -> list[float]:
        """Percent of every run of an arm; [] where it has none."""
        found = (run["parts"].get(part, {}).get(column) for run in self.arms.get(arm, {}).values())
        return [value for value in found if value is not None]

    def pairs(self, first: str, second: str) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
        """(seed, run, run) of the seeds both have; the base has no seed and goes with every one."""
        one, two = self.arms.get(first, {}), self.arms.get(second, {})
        return [(seed, one[0] if first == BASE else one[seed], run) for seed, run in two.items()
                if (first == BASE and one) or seed in one]  # fmt: skip


def read_bench(folder: Path) -> Bench | None:
    """The summaries in a folder, None where there is none.

    Raises:
        UserError: runs of two recipes (settings, base or training pictures) would stand in one table.
    """
    found = read_summaries(folder)
    recipes: dict[str, list[str]] = {}
    arms: dict[str, dict[int, dict[str, Any]]] = {}
    for run in found:
        if "recipe" in run:
            recipes.setdefault(run["recipe"], []).append(run["file"])
        arms.setdefault(run["arm"], {})[run["seed"]] = run
    if len(recipes) > 1:
        old = min(recipes.values(), key=len)
        raise UserError(
            f"{folder} mixes runs of {len(recipes)} recipes (settings, base or pictures): remove {', '.join(old)}, or make "
            "all anew under another name."
        )
    order = [name for name in (*ABOUT, *ARMS) if name in arms]
    return Bench(folder.name, folder, {arm: dict(sorted(arms[arm].items())) for arm in order}) if order else None


def read_all(out: Path) -> list[Bench]:
    """Every benchmark below `out`, the demo first.

    Raises:
        UserError: there is no summary at all.
    """
    folders = sorted(
        (path for path in out.glob("*") if path.is_dir()), key=lambda path: (path.name != "demo", path.name)
    )
    found = [bench for bench in map(read_bench, folders) if bench]
    if not found:
        raise UserError(f"There is no summary in {out}: make some with python -m core.demo proof.")
    return found


# Tests -----------------------------------------------------------------------------------------------------------------


def claim(bench: Bench, first: str, second: str, part: str = "all") -> dict[str, Any] | None:
    """How much better `second` is than `first`, and whether that is shown; None without a common seed.

    Returns:
        seeds, difference (points, mean over seeds), spread (standard deviation of the seeds' differences; None for one),
        fixed, regressed, p (McNemar over the questions of all seeds), p_seeds (paired t-test; None for fewer than 2).
    """
    pairs = [
        (seed, one, two)
        for seed, one, two in bench.pairs(first, second)
        if one["asked"] == two["asked"] and part in one["parts"]
    ]
    if not pairs:
        return None
    differences = [two["parts"][part][AVERAGE] - one["parts"][part][AVERAGE] for _, one, two in pairs]
    masks = [part_masks(read_asked(bench.folder, one["asked"]))[part] for _, one, _ in pairs]
    first_right, second_right = (
        np.concatenate([rights(run["right"])[mask] for run, mask in zip(runs, masks, strict=True)])
        for runs in ([one for _, one, _ in pairs], [two for _, _, two in pairs])
    )
    return {
        "seeds": [seed for seed, _, _ in pairs], "difference": float(np.mean(differences)), "spread": spread(differences),
        **mcnemar(first_right, second_right), "p_seeds": _paired(differences),
    }  # fmt: skip


def spread(values: list[float]) -> float | None:
    """Standard deviation (n - 1), None for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _paired(differences: list[float]) -> float | None:
    from scipy.stats import ttest_1samp

    if len(differences) < 2 or np.std(differences) == 0:
        return None
    return float(ttest_1samp(differences, 0.0).pvalue)


def gain(bench: Bench, arm: str) -> float | None:
    """Points over the base, mean over seeds."""
    base, own = bench.values(BASE, AVERAGE), bench.values(arm, AVERAGE)
    return float(np.mean(own) - np.mean(base)) if base and own and arm != BASE else None


def minutes(bench: Bench, arm: str) -> float:
    """Training, mean over seeds; 0 for what is not trained."""
    return float(np.mean([sum(run.get("minutes", {}).values()) for run in bench.arms[arm].values()]))


# Text ------------------------------------------------------------------------------------------------------------------


def markdown(benches: Iterable[Bench], figures: Mapping[str, list[tuple[str, str]]]) -> str:
    """All tables.

    Args:
        figures: benchmark -> (path as the text shall name it, what it shows).
    """
    benches = list(benches)
    named = dict.fromkeys(arm for bench in benches for arm in bench.arms)
    rows = "\n".join(f"- **{arm}**: {ABOUT[arm] if arm in ABOUT else ARMS[arm].about}" for arm in named)
    blocks = [f"## What EMIT gains\n\n{HOW}\n\n{rows}"]
    for bench in benches:
        shown = "\n\n".join(f"![{said}]({path})" for path, said in figures.get(bench.name, []))
        blocks.append("\n\n".join(filter(None, [
            f"### {bench.name}", _about(bench), _task_table(bench), _part_table(bench), _claim_table(bench), _ablations(bench),
            _control_table(bench), shown,
        ])))  # fmt: skip
    return "\n\n".join(blocks)


def _about(bench: Bench) -> str:
    runs = [run for seeds in bench.arms.values() for run in seeds.values()]
    machines = sorted({_machine(run["machine"]) for run in runs})
    dates = sorted({run["date"] for run in runs})
    main = next((bench.arms[arm] for arm in ("emit", BASE, *bench.arms) if arm in bench.arms), {})
    first = next(iter(main.values()))
    seeds = sorted({seed for arm in bench.trained for seed in bench.arms[arm]})
    trained = f" (seeds {', '.join(map(str, seeds))})" if seeds else ""
    lines = [
        f"{first['questions']} test questions, {len(runs)} runs{trained}",
        f"preset {first['preset']}" if first.get("preset") else "",
        f"protocol: {first['protocol']}", *machines, dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
    ]  # fmt: skip
    notes = sorted({label for run in runs for label in run.get("labels", [])})
    others = {run["protocol"]: arm for arm, found in bench.arms.items() for run in found.values()
              if run["protocol"] != first["protocol"] and arm not in ABOUT}  # fmt: skip
    notes += [f"{arm} is judged under another protocol ({protocol})" for protocol, arm in others.items()]
    return "; ".join(filter(None, lines)) + "." + "".join(f" Note: {note}." for note in notes)


def _machine(machine: Mapping[str, Any]) -> str:
    words = [f"{machine['cores']} CPU cores, {machine['memory_gb']} GB"]
    return ", ".join([*words, machine["gpu"]] if machine.get("gpu") else words)


def _task_table(bench: Bench) -> str:
    tasks = [task for task in TASKS if any(bench.values(arm, task) for arm in bench.arms)]
    rows = [
        [
            arm,
            str(len(seeds)),
            *(_mean(bench.values(arm, task)) for task in tasks),
            _mean(bench.values(arm, AVERAGE), "**"),
        ]
        for arm, seeds in bench.arms.items()
    ]
    legend = "Accuracy in percent, mean ± standard deviation over the runs, each with its own seed."
    return f"{legend}\n\n" + _table(["", "runs", *(SHORT[task] for task in tasks), "average"], rows)


def _part_table(bench: Bench) -> str:
    parts = [part for part in PARTS if any(bench.values(arm, AVERAGE, part) for arm in bench.arms)]
    rows = []
    for arm, seeds in bench.arms.items():
        if arm in ABOUT:
            continue
        spent, more = minutes(bench, arm), gain(bench, arm)
        tokens = float(np.mean([run.get("tokens", 0) for run in seeds.values()]))
        rows.append([
            arm, *(_mean(bench.values(arm, AVERAGE, part)) for part in parts), f"{spent:.1f}" if spent else "",
            f"{tokens:,.0f}" if tokens else "", "" if more is None else f"{more:+.1f}",
            f"{more / spent:+.1f}" if more is not None and spent else "",
        ])  # fmt: skip
    head = ["", *(PART_WORDS[part] for part in parts), "minutes", "tokens", "points over base", "points per minute"]
    legend = (
        "Average over tasks on what training never showed, and the price: minutes of training, tokens generated in it."
    )
    return f"{legend}\n\n" + _table(head, rows)


def _claim_table(bench: Bench) -> str:
    return _claims(bench, CLAIMS, ["all", "instances", "products"])


def _ablations(bench: Bench) -> str:
    return _claims(bench, ablations(bench), ["all"])


def ablations(bench: Bench) -> list[tuple[str, str]]:
    """`emit` against every arm that `CLAIMS` leaves out, as pairs like those."""
    return [(arm, "emit") for arm in bench.arms if arm not in ABOUT and arm not in {BASE, "sft", "grpo", "emit"}]


def _claims(bench: Bench, pairs: Iterable[tuple[str, str]], parts: list[str]) -> str:
    rows = []
    for first, second in pairs:
        for part in parts:
            found = claim(bench, first, second, part)
            if found:
                difference = f"{found['difference']:+.1f}" + _spread(found["spread"])
                rows.append([
                    f"{second} - {first}", PART_WORDS[part], str(len(found["seeds"])), difference,
                    f"{found['fixed']} / {found['regressed']}", _p(found["p"]), _p(found["p_seeds"]),
                ])  # fmt: skip
    head = [
        "difference",
        "on",
        "seeds",
        "points",
        "fixed / lost",
        "p (McNemar, questions of all seeds)",
        "p (t-test, seeds)",
    ]
    return _table(head, rows) if rows else ""


def _control_table(bench: Bench) -> str:
    rows = []
    for control in bench.controls:
        for name, other, said in (
            ("own_picture", "other_picture", "another picture"),
            ("with_heatmap", "without_heatmap", "no heatmap"),
            ("with_heatmap", "other_heatmap", "another's heatmap"),
        ):
            for task, changed in control.get(other, {}).items():
                cells = control[name][task]
                rows.append([
                    control["label"], said, SHORT.get(task, task), str(cells["questions"]), f"{cells['accuracy']:.1f}",
                    f"{changed['accuracy']:.1f}", f"{cells['chance']:.1f}", _p(changed["p_above_chance"]),
                ])  # fmt: skip
    head = [
        "model",
        "control",
        "task",
        "questions",
        "as it is, %",
        "control, %",
        "chance, %",
        "p (control above chance)",
    ]
    legend = (
        "Does it look? The same questions, with another picture of the product shown, without the heatmap's tokens, or with "
        "those of another pair's heatmap."
    )
    return f"{legend}\n\n" + _table(head, rows) if rows else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(values: list[float], mark: str = "") -> str:
    if not values:
        return ""
    return f"{mark}{np.mean(values):.1f}{mark}" + _spread(spread(values))


def _spread(value: float | None) -> str:
    return "" if value is None else f" ± {value:.1f}"


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def averages(benches: Iterable[Bench]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """For scripts: benchmark -> arm -> averages over tasks in percent, one per seed.

    Nothing about the base depends on the seed: its one value stands for every seed that a trained arm has.
    """
    result: dict[str, dict[str, dict[str, list[float]]]] = {}
    for bench in benches:
        seeds = max((len(found) for arm, found in bench.arms.items() if arm != BASE), default=1)
        result[bench.name] = {
            arm: {"averages": bench.values(arm, AVERAGE) * (seeds if arm == BASE else 1)}
            for arm in bench.arms
            if bench.values(arm, AVERAGE)
        }
    return result


def put_between_markers(readme: Path, text: str) -> bool:
    """Put `text` between the markers of a file; False where it has none.

    Raises:
        UserError: it cannot be read, or only one marker is there.
    """
    try:
        content = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, readme) from error
    if BEGIN not in content and END not in content:
        return False
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{readme} has only one of the markers {BEGIN} and {END}, in this order: put both there.")
    write_atomic(readme, f"{before}{BEGIN}\n{text}\n{END}{after}")
    return True


def add_flags(add: Callable[..., Any]) -> None:
    add("--summaries", default="data/proof", metavar="DIR", help="where `proof` keeps them (data/proof)")
    add("--out", default="docs/figures", metavar="DIR", help="where figures go (docs/figures)")
    add("--readme", default="README.md", metavar="FILE", help=f"the text goes between {BEGIN} and {END} (README.md)")
    add("--json", metavar="FILE", help="write the averages for scripts")


def act(flags: argparse.Namespace) -> None:
    from core.demo.charts import draw_all

    if flags.json:
        check_writable(flags.json)
    benches = read_all(Path(flags.summaries))
    readme = Path(flags.readme)
    figures = {}
    for bench in benches:
        # With a single trained arm (domain shift) the tables say all there is.
        drawn = draw_all(bench, Path(flags.out)) if len(bench.trained) > 1 else []
        figures[bench.name] = [(os.path.relpath(path, readme.parent), said) for path, said in drawn]
    text = markdown(benches, figures)
    print(text)
    if flags.json:
        write_json(flags.json, averages(benches))
    if readme.is_file() and put_between_markers(readme, text):
        print(f"\nWritten into {readme}.")
