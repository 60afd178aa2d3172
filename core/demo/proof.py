"""`python -m core.demo proof`: train every arm with every seed, judge it on the whole test split, keep a small summary.

    <workspace>/runs/proof-<arm>-<seed>-<settings>/   a run like any other; the studio shows it
    <out>/<name>/<arm>-<seed>.json                    its summary (`core.demo.summaries`), to be committed

What has a summary is not done again; what has a run is taken up where it was left. So it can be killed at any moment, and
the evidence grows over several sittings. Arms that share an SFT stage share its run, and arms that share grounding alone that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from core.demo.arms import ARMS, BASE, arm_config, first_stage
from core.demo.bars import bar
from core.demo.loop import follow, open_benchmark
from core.demo.summaries import circumstances, judged, keep, training_facts
from core.errors import UserError
from core.files import digest, file_digest, read_json, write_atomic
from core.mmad import Benchmark, Protocol, Snapshot
from core.runs import RunFolder, RunState, list_runs, resume_run, start_run
from core.training import RunConfig, preset
from core.training.config import differing

PROJECT = Path(__file__).resolve().parents[2]
OUT = Path("data/proof")


@dataclass(frozen=True)
class Experiment:
    """What all arms have in common.

    Attributes:
        name: of the benchmark in tables and paths.
        settings: of `emit`, with `snapshot` set; the seed is each run's own.
        snapshot: what is trained on.
        judge: what is asked afterwards, whole test split; its own benchmark's, or another's (domain shift).
    """

    name: str
    settings: RunConfig
    snapshot: Snapshot
    judge: Benchmark
    workspace: Path
    out: Path

    def protocol(self, config: RunConfig) -> Protocol:
        """As the run asks itself, with seed 0, so that all runs are asked in the same words."""
        from core.training.questions import judging_of

        return judging_of(config, seed=0)


def prepare(
    data: str | Path | None, *, name: str, preset_name: str, workspace: Path, out: Path, changes: Iterable[str] = (),
    base: str | None = None, judge: str | Path | None = None,
) -> Experiment:  # fmt: skip
    """Open the benchmark and take its snapshot.

    Args:
        data: root of a benchmark in MMAD's layout; None takes the embedded demo.
        changes: "section.setting=value" that all arms get.
        judge: another benchmark to be judged on.

    Raises:
        UserError: a bad setting, or a benchmark without training or test questions.
    """
    config = preset(preset_name).with_(**({"base": base} if base else {})).with_(**settings_of(changes))
    bench = open_benchmark(data, workspace)
    judge_bench = (bench if judge is None else open_benchmark(judge, workspace)).split("test")
    for part, what in ((bench.split("train"), "train"), (judge_bench, "test")):
        if not any(sample.questions for sample in part):
            raise UserError(f"{part.root} asks no question in its split {what}: build it with that split.")
    snapshot = Snapshot.of(bench, options={"benchmark": bench.root.name})
    return _on(Experiment(name, config.with_(evaluate={"final": ""}), snapshot, judge_bench, workspace, out))


def settings_of(changes: Iterable[str]) -> dict[str, Any]:
    """`["grpo.max_steps=4", "threads=1"]` as `RunConfig.with_` takes it."""
    result: dict[str, Any] = {}
    for change in changes:
        path, sign, value = change.partition("=")
        section, dot, key = path.partition(".")
        if not sign or not section or (dot and not key):
            raise UserError(f"--set takes SECTION.SETTING=VALUE, not {change!r}.")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {path}: {value!r} is no value.") from error
        if dot:
            result.setdefault(section, {})[key] = parsed
        else:
            result[section] = parsed
    return result


def prove(experiment: Experiment, arms: Iterable[str], seeds: Iterable[int]) -> list[Path]:
    """Make every summary that is missing, seed by seed, and return the new ones.

    Raises:
        UserError: a run failed, an arm changes nothing, or a summary that is there was made with other settings.
    """
    arms = tuple(arms)
    for arm in arms:
        _check(experiment, arm)
    todo = [(arm, seed) for seed in seeds for arm in arms if arm != BASE]
    if BASE in arms:
        todo.insert(0, (BASE, 0))  # nothing about it depends on the seed
    made = []
    for arm, seed in todo:
        config = experiment.settings.with_(seed=seed)
        config = config if arm == BASE else arm_config(arm, config)
        place = experiment.out / experiment.name / f"{arm}-{seed}.json"
        if place.is_file():
            if read_json(place).get("settings") != fingerprint(config, experiment):
                raise UserError(
                    f"{place} was made with other settings, another base or other pictures: remove it, or give --name or "
                    "--out for the new ones."
                )
            continue
        print(f"{experiment.name}: {arm}, seed {seed}", flush=True)
        made.append(_judge(experiment, arm, seed, config))
    return made


def _check(experiment: Experiment, arm: str) -> None:
    """Refuse an arm that would only repeat `emit`."""
    arm_config(arm, experiment.settings)
    texts = any(sample.text is not None for sample in experiment.snapshot.benchmark.split("train"))
    if arm == "no_text_samples" and not texts:
        raise UserError("The benchmark has no text samples, so no_text_samples would repeat emit: leave it out.")
    if ARMS[arm].texts and texts:
        raise UserError(f"The benchmark has text samples, and {arm} would add more: compare emit with no_text_samples.")


def with_texts(experiment: Experiment) -> Experiment:
    """The experiment with text samples in its training part, of all products there, put together without a language model
    (EMIT makes them for products without defective pictures; the demo has none such in training)."""
    from core.synthesis import text_samples

    bench = experiment.snapshot.benchmark
    train = bench.split("train")
    products = dict.fromkeys(f"{sample.dataset}/{sample.product}" for sample in train)
    made = text_samples(train, products=products, per_picture=1, per_defect=3)
    if not len(made):
        raise UserError("No text sample can be made of this benchmark: it needs described defects and normal pictures.")
    options = {**experiment.snapshot.options, "text_samples": len(made)}
    return _on(replace(experiment, snapshot=Snapshot.of(bench.select([*bench, *made]), options=options)))


def _on(experiment: Experiment) -> Experiment:
    """The experiment with its snapshot saved, and named in its settings."""
    snapshot = experiment.snapshot
    place = snapshot.save(experiment.workspace / "snapshots" / f"{snapshot.digest[:16]}.json")
    return replace(experiment, settings=experiment.settings.with_(snapshot=str(place.resolve())))


def fingerprint(config: RunConfig, experiment: Experiment) -> str:
    """Of all that decides a result: settings, base weights, and the content of the snapshot (not where it lies).

    Settings count where they differ from the defaults: an option that is added later, and is off, changes nothing.
    """
    plain = config.to_dict()
    for name in ("name", "snapshot", "preset", "save"):
        plain.pop(name)
    settings = differing(plain, RunConfig().to_dict())
    return digest([settings, base_digest(config.base), experiment.snapshot.digest])[:16]


def base_digest(base: str) -> str:
    """Of a model folder's weights and configuration; a name on the hub stands for itself."""
    folder = Path(place_of(base))
    if not folder.is_dir():
        return base
    return digest([file_digest(path) for path in (*sorted(folder.glob("*.safetensors")), folder / "config.json")])[:16]


def place_of(model: str) -> str:
    """A model's folder, relative to here or to the project; a name on the hub stays as it is."""
    return next((str(place) for place in (Path(model), PROJECT / model) if place.exists()), model)


# Runs ------------------------------------------------------------------------------------------------------------------


def _run(
    experiment: Experiment, arm: str, config: RunConfig, *, after: RunFolder | None = None, stage: str = "sft"
) -> RunFolder:
    """The finished run of an arm: found, taken up where it was left, or made.

    Args:
        after: a finished run that it begins with, up to its stage `stage`. Adapters of later stages are laid on what that one
            learned, and GRPO's KL reference is that model, as when all stages are one run: every stage seeds itself anew.
    """
    name = f"proof-{arm}-{config.seed}-{fingerprint(config, experiment)[:8]}"
    run = RunFolder(experiment.workspace / "runs" / name)
    if not (run.path / "state.json").is_file():
        config.with_(name=name).save_to(run.path / "config.yaml")
        done: tuple[str, ...] = ()
        if after is not None:
            learned = f"{stage}/trained.safetensors"
            write_atomic(run.path / learned, (after.path / learned).read_bytes())
            finished = after.state().done
            done = finished[: finished.index(stage) + 1]
            rows = (after.path / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
            kept = "".join(row for row in rows if json.loads(row)["stage"] in done)
            write_atomic(run.path / "metrics.jsonl", kept.encode())
        # Written last: without it, all of the above is done again.
        run.write_state(RunState(created=time.time(), message="Waiting to be started.", done=done))
    list_runs(run.path.parent)  # marks a run whose process is gone
    state = run.state()
    if state.status == "finished":
        return run
    if state.is_over:
        resume_run(run)
    elif state.pid is None:
        start_run(run)
    follow(run)
    for checkpoint in run.path.glob("*/checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    return run


def trained_run(experiment: Experiment, arm: str, config: RunConfig) -> RunFolder:
    """The finished run of an arm; its first stage is a run of its own that other arms may share."""
    plain = first_stage("emit", experiment.settings.with_(seed=config.seed))
    common = experiment
    if ARMS[arm].texts:
        experiment = with_texts(experiment)
        config = config.with_(snapshot=experiment.settings.snapshot)
    stage = first_stage(arm, experiment.settings.with_(seed=config.seed))
    if stage is None:
        return _run(experiment, arm, config)
    if plain is not None and stage != plain and same_grounding(stage, plain):
        first = _run(experiment, "sft", stage, after=_run(common, "sft", plain), stage="grounding")
    else:
        first = _run(experiment, "sft", stage)
    return first if config == stage else _run(experiment, arm, config, after=first)


def same_grounding(one: RunConfig, other: RunConfig) -> bool:
    """Whether the stage before SFT is there, and the same in both: text samples, prompts and later stages are nothing to it, but
    for whether there is a map to teach, and the reference."""
    later: dict[str, Any] = {name: getattr(other, name).__dict__ for name in ("prompt", "sft", "grpo", "evaluate")}
    later["snapshot"] = other.snapshot
    alike = one.comparing == other.comparing and one.prompt.template == other.prompt.template
    return one.grounding.enabled and one.with_(**later) == other and alike


def _judge(experiment: Experiment, arm: str, seed: int, config: RunConfig) -> Path:
    from core.evaluation import answer_questions
    from core.evaluation.guarding import refuse_trained
    from core.evaluation.records import questions_digest
    from core.model import load_model

    protocol = experiment.protocol(config)
    key = digest([questions_digest(experiment.judge), protocol.as_dict()])[:8]
    facts: dict[str, Any] = {}
    if arm == BASE:
        model_at: str | Path = place_of(config.base)
        answers_at = experiment.workspace / "answers" / f"proof-{base_digest(config.base)[:8]}-{key}"
    else:
        run = trained_run(experiment, arm, config)
        facts = training_facts(run.metric_rows())
        model_at, answers_at = run.path, run.path / "answers" / f"proof-{key}"
        refuse_trained(run.path, experiment.judge)
    began = time.monotonic()
    model, processor = load_model(model_at, device=None if config.device == "auto" else config.device)
    with bar("test questions", " questions") as show:
        answers = answer_questions(
            model, processor, experiment.judge, protocol=protocol, out=answers_at, name=arm,
            labels=experiment.snapshot.labels, progress=show,
        )  # fmt: skip
    seconds = time.monotonic() - began
    asked, result = judged(experiment.judge, answers)
    summary = {
        "benchmark": experiment.name, "arm": arm, "about": ARMS[arm].about, "seed": seed, "preset": config.preset,
        "changes": ARMS[arm].changes, "settings": fingerprint(config, experiment),
        "recipe": fingerprint(experiment.settings, experiment), "base": base_digest(config.base),
        "snapshot": experiment.snapshot.digest[:16], **result, **facts, "judging_minutes": round(seconds / 60, 2),
        **circumstances(PROJECT),
    }  # fmt: skip
    return keep(experiment.out / experiment.name, f"{arm}-{seed}", asked, summary)


# Command ---------------------------------------------------------------------------------------------------------------


def add_flags(add: Callable[..., Any]) -> None:
    add("--arms", default="base,sft,grpo,emit", metavar="A,B", help=f"of {', '.join(ARMS)} (base,sft,grpo,emit)")
    add("--seeds", default="0,1,2", metavar="0,1", help="of the runs (0,1,2)")
    add("--data", metavar="ROOT", help="a benchmark in MMAD's layout (default: the embedded demo)")
    add("--name", metavar="NAME", help="of the benchmark in tables and files (demo)")
    add("--judge", metavar="ROOT", help="judge on another benchmark than the training's (give --name, too)")
    add("--preset", default="demo", help="settings of emit (demo)")
    add("--set", action="append", default=[], metavar="S=V", help="a setting of all arms, e.g. grpo.max_steps=4")
    add("--base", metavar="MODEL", help="model to start from (the preset's)")
    add("--workspace", default="workspace", metavar="DIR", help="where runs are kept (workspace)")
    add("--out", default=str(OUT), metavar="DIR", help=f"where summaries are kept ({OUT})")


def named(flags: argparse.Namespace) -> str:
    """The benchmark's name in tables and files."""
    if (flags.data or getattr(flags, "judge", None)) and not flags.name:
        raise UserError("A benchmark of your own needs --name: its summaries are kept under it.")
    return flags.name or "demo"


def act(flags: argparse.Namespace) -> None:
    arms = [word for word in flags.arms.split(",") if word]
    if not flags.seeds.replace(",", "").isdigit():
        raise UserError(f"--seeds takes numbers with commas between them, not {flags.seeds!r}.")
    experiment = prepare(
        flags.data, name=named(flags), preset_name=flags.preset, workspace=Path(flags.workspace), out=Path(flags.out),
        changes=flags.set, base=flags.base, judge=flags.judge,
    )  # fmt: skip
    made = prove(experiment, arms, [int(word) for word in flags.seeds.split(",") if word])
    print(
        f"{len(made)} new summaries in {experiment.out / experiment.name}. Tables and figures: python -m core.demo report"
    )
