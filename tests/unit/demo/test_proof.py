"""The proof goes on where it was killed, shares first stages exactly, and refuses to mix recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.demo import proof
from core.demo.arms import ARMS, arm_config
from core.demo.evidence import averages, claim, read_bench
from core.demo.proof import Experiment, prove, settings_of, trained_run
from core.demo.summaries import read_summaries
from core.errors import UserError
from core.grpo import prefix, trainer
from core.mmad import Snapshot
from core.training import RunConfig, run
from core.training.stopping import stopper
from tests.unit.training.conftest import make_benchmark, quick


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.model.tiny import build_tiny

    folder = tmp_path_factory.mktemp("emit")
    build_tiny(
        folder, image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2, width=32, layers=2, heads=2,
        key_value_heads=2, window=1,
    )  # fmt: skip
    return folder


@pytest.fixture
def experiment(base: Path, tmp_path: Path) -> Experiment:
    bench = make_benchmark(tmp_path / "benchmark")
    snapshot = Snapshot.of(bench)
    place = snapshot.save(tmp_path / "snapshot.json")
    settings = quick(base, place, evaluate={"every": 2, "final": "", "answering": "letters"}, sft={"max_steps": 2},
                     grpo={"max_steps": 2})  # fmt: skip
    return Experiment("plates", settings, snapshot, bench.split("test"), tmp_path / "work", tmp_path / "out")


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs are carried out in this process; their names in the order they were started."""
    stopper.requested = False
    names: list[str] = []

    def start(folder) -> None:  # noqa: ANN001
        names.append(folder.id.rsplit("-", 1)[0])
        run(RunConfig.load(folder.path / "config.yaml"), folder.path)

    monkeypatch.setattr(proof, "start_run", start)
    monkeypatch.setattr(proof, "resume_run", start)
    monkeypatch.setattr(proof, "follow", lambda folder: None)
    return names


def test_a_killed_proof_goes_on_with_what_is_missing(
    experiment: Experiment, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ("base", "sft", "emit")
    kept = proof.keep

    def killed(folder, name, *rest):  # noqa: ANN001, ANN002, ANN202
        if name == "emit-0":
            raise KeyboardInterrupt
        return kept(folder, name, *rest)

    monkeypatch.setattr(proof, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        prove(experiment, arms, [0])
    assert started == ["proof-sft-0", "proof-emit-0"]
    monkeypatch.setattr(proof, "keep", kept)
    assert [path.name for path in prove(experiment, arms, [0])] == ["emit-0.json"]
    assert started == ["proof-sft-0", "proof-emit-0"]  # nothing was trained twice
    assert prove(experiment, arms, [0]) == []

    runs = {summary["arm"]: summary for summary in read_summaries(experiment.out / "plates")}
    assert set(runs) == set(arms) and len({summary["asked"] for summary in runs.values()}) == 1
    emit = runs["emit"]
    assert emit["steps"] == {"sft": 2, "grpo": 2} and set(emit["minutes"]) == {"sft", "grpo"} and emit["tokens"] > 0
    assert runs["sft"]["steps"] == {"sft": 2} and runs["base"].get("steps", {}) == {}
    assert (experiment.out / "plates" / "emit-0.json").stat().st_size < 30_000
    text = (experiment.out / "plates" / "emit-0.json").read_text()
    assert str(experiment.workspace) not in text and "plate/" not in text  # no path, no picture
    assert not list((experiment.workspace / "runs").glob("*/*/checkpoint-*"))

    bench = read_bench(experiment.out / "plates")
    assert bench is not None and list(bench.arms) == ["base", "sft", "emit"]
    found = claim(bench, "base", "emit")
    assert found and found["seeds"] == [0] and found["p_seeds"] is None
    assert set(averages([bench])["plates"]) == set(arms)


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_a_shared_first_stage_gives_the_weights_of_a_run_of_its_own(
    experiment: Experiment, started: list[str], tmp_path: Path, lora: dict | None
) -> None:
    change = {"lora": lora, "grpo": {"train": ["projector", "soft_prompt", "mlp"], "beta": 0.1}}
    settings = experiment.settings.with_(**change)
    shared = trained_run(replace(experiment, settings=settings), "emit", settings)
    assert len(started) == 2
    alone = run(settings, tmp_path / "alone")
    name = "adapter_model.safetensors" if lora else "model.safetensors"
    one, two = (load_file(folder.final / name) for folder in (shared, alone))
    assert one.keys() == two.keys() and all(one[key].equal(two[key]) for key in one)
    # The reference of the KL term is what SFT made: had it been the base, the first step would show a difference.
    first = next(row for row in shared.metric_rows() if row["stage"] == "grpo" and "kl" in row)
    assert abs(first["kl"]) < 1e-6


def test_the_reference_of_grpo_has_the_statistics_of_the_model_that_it_begins_with(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL copies what learns; the map's statistics have to come along, or the reference is told another map."""
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def look(model: torch.nn.Module) -> None:
        prefix.copy_statistics(model)
        buffers = {name: value.clone() for name, value in model.named_buffers()}
        pairs.extend(
            (buffers[name.replace(".ref.", ".default.")], buffers[name]) for name in buffers if ".ref." in name
        )

    monkeypatch.setattr(trainer, "copy_statistics", look)
    parts = ["projector", "soft_prompt", "mlp"]
    settings = experiment.settings.with_(
        lora={"rank": 2}, sft={"train": parts, "adapters": True}, grpo={"train": parts, "beta": 0.1}
    )
    run(settings, tmp_path / "run")
    assert len(pairs) == 3 and pairs[2][0] > 0, "mean, variance and count of the map, which SFT has collected"
    assert all(torch.equal(learned, reference) for learned, reference in pairs)


@pytest.mark.parametrize(
    ("arm", "taken"),
    [("no_soft_prompt", True), ("with_text_samples", True), ("no_heatmap", False)],
    ids=["another prompt", "more to ask", "nothing to teach"],
)
def test_grounding_is_taken_over_where_it_is_the_same(
    experiment: Experiment, started: list[str], tmp_path: Path, arm: str, taken: bool
) -> None:
    parts = ["projector", "soft_prompt", "mlp"]
    settings = experiment.settings.with_(
        lora={"rank": 2}, grounding={"enabled": True, "max_steps": 2, "batch_size": 4, "comparing": 1.0},
        sft={"train": parts, "adapters": True}, grpo={"train": parts},
    )  # fmt: skip
    config = arm_config(arm, settings)
    experiment = replace(experiment, settings=settings)
    shared = trained_run(experiment, arm, config)
    if ARMS[arm].texts:
        learned = proof.with_texts(experiment)
        added = [sample for sample in learned.snapshot.benchmark if sample.text is not None]
        assert {sample.split for sample in added} == {"train"} and {sample.defect for sample in added} == {None, "spot"}
        config = config.with_(snapshot=learned.settings.snapshot)
    assert started == ["proof-sft-0", "proof-sft-0", f"proof-{arm}-0"][0 if taken else 1 :]
    stages = [row["stage"] for row in shared.metric_rows()]
    assert stages == sorted(stages, key=["grounding", "sft", "grpo"].index) and stages.count("grounding") == 2
    alone = run(config, tmp_path / "alone")
    one, two = (load_file(folder.final / "adapter_model.safetensors") for folder in (shared, alone))
    assert one.keys() == two.keys() and all(one[key].equal(two[key]) for key in one)


def test_a_summary_of_other_settings_is_not_taken_for_this_one(experiment: Experiment, started: list[str]) -> None:
    prove(experiment, ["base"], [0])
    changed = replace(experiment, settings=experiment.settings.with_(prompt={"shots": 0}))
    with pytest.raises(UserError, match="made with other settings"):
        prove(changed, ["base"], [0])
    assert started == []


def test_text_samples_cannot_be_left_out_where_there_are_none(experiment: Experiment) -> None:
    with pytest.raises(UserError, match="would repeat emit"):
        prove(experiment, ["no_text_samples"], [0])


def test_text_samples_are_not_added_where_there_are_some(experiment: Experiment) -> None:
    with pytest.raises(UserError, match="compare emit with no_text_samples"):
        prove(proof.with_texts(experiment), ["with_text_samples"], [0])


def test_settings_are_read_as_yaml() -> None:
    assert settings_of(["grpo.max_steps=4", "sft.enabled=false", "threads=1", "lora=null"]) == {
        "grpo": {"max_steps": 4}, "sft": {"enabled": False}, "threads": 1, "lora": None,
    }  # fmt: skip
    for bad in ("grpo.max_steps", "=4", "grpo.=4", "a=[1"):
        with pytest.raises(UserError, match="--set"):
            settings_of([bad])


def test_an_option_that_is_off_changes_no_fingerprint_and_one_that_is_on_does(
    experiment: Experiment, monkeypatch
) -> None:
    settings = experiment.settings
    known = proof.fingerprint(settings, experiment)
    whole = RunConfig.to_dict

    def with_more(self):
        plain = whole(self)
        return {**plain, "grpo": {**plain["grpo"], "added_later": 0}, "also": {"new": None}}

    monkeypatch.setattr(RunConfig, "to_dict", with_more)
    assert proof.fingerprint(settings, experiment) == known
    monkeypatch.undo()
    assert proof.fingerprint(settings.with_(grpo={"sampling": "prioritised"}), experiment) != known
    assert proof.differing({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 0}, "d": 3}) == {"a": {"c": 2}}
