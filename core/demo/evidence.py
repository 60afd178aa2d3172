"""The evidence: summaries of runs by benchmark, arm and seed, and the tests of what is claimed of them.

Two tests stand beside each claim. McNemar (exact, two-sided) pools the questions of all seeds; the same questions return with
every seed, so it speaks for these trained models. The paired t-test over seeds takes each seed as one observation; it speaks
for the recipe, and needs many seeds to say much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.demo.arms import ARMS, BASE
from core.demo.baselines import ABOUT
from core.demo.summaries import mcnemar, part_masks, read_asked, read_summaries, rights
from core.errors import UserError
from core.files import read_json

AVERAGE = "Average"
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


def about(arm: str) -> str:
    """What an arm or a baseline is, in one line."""
    return ABOUT[arm] if arm in ABOUT else ARMS[arm].about


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


def notes(bench: Bench) -> list[str]:
    """What a reader must know beside every figure: labels of the questions, and arms that are asked in another way."""
    runs = {arm: list(seeds.values()) for arm, seeds in bench.arms.items() if arm not in ABOUT}
    labels = sorted({label for seeds in runs.values() for run in seeds for label in run.get("labels", [])})
    usual = main_run(bench)["protocol"]
    others = {run["protocol"]: arm for arm, seeds in runs.items() for run in seeds if run["protocol"] != usual}
    return [*labels, *(f"{arm} is judged under another protocol ({protocol})" for protocol, arm in others.items())]


def main_run(bench: Bench) -> dict[str, Any]:
    """A run that speaks for the benchmark: how many questions, which protocol."""
    main = next((bench.arms[arm] for arm in ("emit", BASE, *bench.arms) if arm in bench.arms), {})
    return next(iter(main.values()))


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


def ablations(bench: Bench) -> list[tuple[str, str]]:
    """`emit` against every arm that `CLAIMS` leaves out, as pairs like those."""
    return [(arm, "emit") for arm in bench.arms if arm not in ABOUT and arm not in {BASE, "sft", "grpo", "emit"}]


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
