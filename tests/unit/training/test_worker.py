"""Runs from start to end, broken off and taken up again: nothing is lost, and the curve is that of an uninterrupted run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import UserError
from core.model import load_model
from core.runs import Journal, RunFolder, create_run, is_alive, list_runs, resume_run, start_run, stop_run
from core.training import run
from core.training.__main__ import main
from core.training.claiming import claim
from core.training.stopping import StopRequested, stopper
from core.training.worker import GRPOStage
from tests.unit.training.conftest import quick


@pytest.fixture(autouse=True)
def nobody_asks_to_stop():
    stopper.requested, stopper.interruptible = False, True
    yield
    stopper.requested = False


def curve(folder, stage: str) -> pd.DataFrame:
    """What a stage logged at each step; wall times left out."""
    metrics = RunFolder(folder).metrics()
    rows = metrics[(metrics["stage"] == stage) & metrics["learning_rate"].notna()]
    return rows.drop(columns=["time", "step_time", "val_accuracy"], errors="ignore").reset_index(drop=True)


def assert_same_curve(one, other, stage: str, steps: int) -> None:
    first, second = curve(one, stage), curve(other, stage)
    assert first["step"].tolist() == second["step"].tolist() == list(range(1, steps + 1))
    assert first["grad_norm"].max() > 1e-3  # something is learned
    pd.testing.assert_frame_equal(first, second, check_exact=False, atol=1e-5, rtol=1e-5)


def test_a_whole_run(config, tmp_path):
    done = run(config, tmp_path / "run")
    state = done.state()
    assert (state.status, state.done) == ("finished", ("sft", "grpo", "evaluation")), state.message
    assert state.message.startswith("Finished:") and not is_alive(replace(state, pid=None))
    metrics = done.metrics()
    assert metrics.groupby("stage")["step"].max().to_dict() == {"grpo": 4, "sft": 4}
    assert metrics["val_accuracy"].notna().sum() == 5  # every second step, and before GRPO
    for name in ("reward", "kl", "entropy", "length", "hard_groups", "resamplings", "generated_tokens"):
        assert metrics.loc[metrics["stage"] == "grpo", name].notna().any(), name
    difficulty = done.difficulty()
    assert len(difficulty) == 4 * 2 and set(difficulty["step"]) == {1, 2, 3, 4}
    assert difficulty["wrong"].between(0, 1).all() and difficulty["weight"].between(1, 2).all()
    assert {"completion", "advantage", "accuracy_reward"} <= set(done.completions())
    table = done.table()
    assert set(table) >= {"base", "tuned", "protocol", "questions"} and table["questions"] == 6
    facts = json.loads((done.path / "environment.json").read_text())
    assert len(facts["snapshot"]) == 64 and facts["packages"]["trl"]
    model, processor = load_model(done.final, device="cpu")
    assert processor.comparison_length == model.config.comparison_length > 0
    # A finished run is left alone.
    before = (done.path / "state.json").read_bytes()
    assert run(config, done.path).state().status == "finished"
    assert (done.path / "state.json").read_bytes() == before


KINDS = {
    "full": {},
    "lora": {"lora": {"rank": 2}, "grpo": {"train": ["projector", "soft_prompt", "mlp"]}},
    "adapters": {
        "lora": {"rank": 2}, "grpo": {"train": ["projector", "soft_prompt", "mlp"]},
        "sft": {"adapters": True, "replies": "both", "together": True, "learning_rate": 1e-4, "tower_rate": 0.1},
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def uninterrupted(request, base, snapshot, tmp_path_factory):
    stopper.requested = False
    config = quick(base, snapshot, evaluate={"every": 0, "final": ""}).with_(**KINDS[request.param])
    done = run(config, tmp_path_factory.mktemp(request.param) / "run")
    assert done.state().status == "finished"
    return config, done.path


def stop_at(monkeypatch, stage: str, step: int):
    """Somebody asks to stop while step `step` of `stage` ends."""
    original = Journal.progress

    def progress(self, at, *rest):
        original(self, at, *rest)
        if (self.state.stage, at) == (stage, step) and not stopper.requested:
            stopper.requested = True

    monkeypatch.setattr(Journal, "progress", progress)


@pytest.mark.parametrize("stage, step", [("sft", 3), ("grpo", 1)])
def test_stopped_between_steps_and_resumed(uninterrupted, tmp_path, monkeypatch, stage, step):
    config, whole = uninterrupted
    with monkeypatch.context() as patched:
        stop_at(patched, stage, step)
        assert run(config, tmp_path / "run").state().status == "stopped"
    assert (tmp_path / "run" / stage / f"checkpoint-{step}").is_dir()
    stopper.requested = False
    assert run(config, tmp_path / "run").state().status == "finished"
    for name in ("sft", "grpo"):
        assert_same_curve(whole, tmp_path / "run", name, 4)
    mine, theirs = RunFolder(tmp_path / "run").difficulty(), RunFolder(whole).difficulty()
    pd.testing.assert_frame_equal(mine, theirs)


def test_broken_off_within_a_step_and_resumed(uninterrupted, tmp_path, monkeypatch):
    config, whole = uninterrupted
    with monkeypatch.context() as patched:
        original = GRPOStage._score

        def score(self, *args):
            if self.state.global_step == 2:  # in the third step, after its responses were sampled
                raise StopRequested
            return original(self, *args)

        patched.setattr(GRPOStage, "_score", score)
        assert run(config, tmp_path / "run").state().status == "stopped"
    assert run(config, tmp_path / "run").state().status == "finished"
    assert_same_curve(whole, tmp_path / "run", "grpo", 4)


def test_a_crash_falls_back_to_the_last_checkpoint(uninterrupted, tmp_path, monkeypatch):
    config, whole = uninterrupted
    with monkeypatch.context() as patched:
        original = GRPOStage._score

        def score(self, *args):
            if self.state.global_step == 3:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return original(self, *args)

        patched.setattr(GRPOStage, "_score", score)
        with pytest.raises(UserError, match="Out of memory in the stage grpo: .* or .*, then resume"):
            run(config, tmp_path / "run")
    state = RunFolder(tmp_path / "run").state()
    assert state.status == "failed" and "Out of memory" in state.message
    assert len(curve(tmp_path / "run", "grpo")) == 3
    assert run(config, tmp_path / "run").state().status == "finished"
    assert_same_curve(whole, tmp_path / "run", "grpo", 4)


def test_a_checkpoint_cut_in_half_is_set_aside(uninterrupted, tmp_path, monkeypatch, capsys):
    config, whole = uninterrupted
    config = config.with_(save={"keep": 3})
    with monkeypatch.context() as patched:
        stop_at(patched, "grpo", 3)
        run(config, tmp_path / "run")
    stopper.requested = False
    weights = tmp_path / "run" / "grpo" / "checkpoint-3" / "trained.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    assert run(config, tmp_path / "run").state().status == "finished"
    assert "checkpoint-3 cannot be read" in capsys.readouterr().out
    assert_same_curve(whole, tmp_path / "run", "grpo", 4)


def test_killed_and_stopped_as_a_process(uninterrupted, tmp_path):
    """kill -9 in the middle loses at most the steps since the last checkpoint; SIGTERM ends within 15 seconds."""
    config, whole = uninterrupted
    config = config.with_(grpo={"max_steps": 4}, save={"every": 1})
    place = create_run(tmp_path, config.to_dict())
    start_run(place)
    wait(lambda: place.state().stage == "grpo" and place.state().step >= 1, place)
    os.kill(place.state().pid, signal.SIGKILL)
    wait(lambda: list_runs(tmp_path)[0].state().is_over, place)
    if place.state().status == "lost":  # four steps may be over before anybody looks
        resume_run(place)
        wait(
            lambda: place.state().is_over or (place.state().status == "running" and place.state().stage == "grpo"),
            place,
        )
    if not place.state().is_over:
        asked = time.monotonic()
        stop_run(place)
        wait(lambda: place.state().is_over, place)
        assert time.monotonic() - asked < 15
    if place.state().status == "stopped":  # it may just have finished
        resume_run(place)
        wait(lambda: place.state().status == "finished", place)
    assert_same_curve(whole, place.path, "grpo", 4)
    log = (place.path / "log.txt").read_text()
    assert log.index("Memory it is going to need:\nsft: about ") < log.index("SFT: ")  # told before the work begins


def test_stopped_while_it_claims_the_folder(config, tmp_path, monkeypatch):
    """A signal at that moment once left a run that said "running" and was nobody's."""
    place = create_run(tmp_path, config.to_dict())

    def claim_and_be_stopped(config, folder):
        journal = claim(config, folder)
        stopper._asked(signal.SIGTERM, None)
        return journal

    monkeypatch.setattr("sys.argv", ["core.training", str(place.path)])
    monkeypatch.setattr(stopper, "install", lambda: stopper)
    monkeypatch.setattr("core.training.claiming.claim", claim_and_be_stopped)
    main()
    assert (place.state().status, place.state().message) == ("stopped", "Stopped before it began.")


def wait(condition, place: RunFolder, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, place.log_tail()
        assert place.state().status != "failed", place.log_tail()
        time.sleep(0.05)


def test_what_learns_in_sft_is_what_the_config_names(base, snapshot, tmp_path):
    config = quick(base, snapshot, grpo={"enabled": False}, evaluate={"every": 0, "final": ""})
    done = run(config, tmp_path / "run")
    before = load_model(base, device="cpu", dtype=torch.float32)[0].state_dict()
    after = load_model(done.final, device="cpu", dtype=torch.float32)[0].state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split("contrastive.")[1].split(".")[0] for name in changed} == {"projector", "soft_prompt"}
    assert all("contrastive" in name for name in changed)
    assert any("running_mean" in name for name in changed)  # the batch norm learns its statistics here


@pytest.mark.parametrize("kind", ["lora", "adapters"])
def test_a_lora_run_leaves_an_adapter_that_loads_and_can_be_switched_off(base, snapshot, tmp_path, kind):
    config = quick(base, snapshot, evaluate={"every": 0, "final": ""}).with_(**KINDS[kind])
    done = run(config, tmp_path / "run")
    assert (done.final / "adapter_config.json").is_file() and not (done.final / "model.safetensors").exists()
    assert not (done.final / "ref").exists(), "the reference of the KL term is not handed on"
    tuned, processor = load_model(done.final, device="cpu", dtype=torch.float32)
    merged, _ = load_model(done.final, device="cpu", dtype=torch.float32, merge=True)
    inputs = processor(text=["What is it? A. plate B. screw"], return_tensors="pt")
    with torch.no_grad():
        logits = tuned(**inputs).logits
        torch.testing.assert_close(merged(**inputs).logits, logits, atol=1e-4, rtol=1e-4)
        with tuned.disable_adapter():
            assert not torch.equal(tuned(**inputs).logits, logits)


@pytest.mark.parametrize("without", [{}, {"prompt": {"soft_prompt": False}}])
def test_a_run_that_begins_at_a_run_is_judged_with_both_adapters(base, snapshot, tmp_path, without):
    """It once named the first base alone, and all that the first run had learned was missing from the result."""
    first = quick(base, snapshot, evaluate={"every": 0, "final": ""}).with_(**KINDS["adapters"])
    one = run(first, tmp_path / "one")
    hardly = {"learning_rate": 1e-9, "max_steps": 1}
    other = run(first.with_(base=str(one.path), sft=hardly, grpo=hardly, **without), tmp_path / "other")
    named = json.loads((other.final / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert named == str(one.final)
    models = {place: load_model(place, device="cpu", dtype=torch.float32) for place in (base, one.path, other.path)}
    assert models[other.path][0].config.soft_tokens == (0 if without else 9)
    inputs = models[base][1](text=["What is it? A. plate B. screw"], return_tensors="pt")
    with torch.no_grad():
        untrained, learned, both = (model(**inputs).logits for model, _ in models.values())
    torch.testing.assert_close(both, learned, atol=1e-3, rtol=1e-3)
    assert (learned - untrained).abs().max() > 0.05
    (tmp_path / "moved").mkdir()
    for done in (one, other):
        done.path.rename(tmp_path / "moved" / done.path.name)
    assert torch.equal(load_model(tmp_path / "moved" / "other", device="cpu")[0](**inputs).logits, both)


def test_an_adapter_is_refused_on_another_version_of_its_base(base, snapshot, tmp_path):
    moved = tmp_path / "base"
    shutil.copytree(base, moved)
    config = quick(moved, snapshot, evaluate={"every": 0, "final": ""}, grpo={"enabled": False})
    done = run(
        config.with_(lora={"rank": 2}, sft={"adapters": True, "max_steps": 1}, grpo={"train": ["mlp"]}),
        tmp_path / "run",
    )
    load_model(done.path, device="cpu")
    weights = load_file(moved / "model.safetensors")
    name = next(name for name in weights if "language_model" in name)
    save_file({**weights, name: weights[name] + 1}, moved / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="trained on another version of .*base: put that version back"):
        load_model(done.path, device="cpu")
    (done.final / "base.json").unlink()
    load_model(done.path, device="cpu")


@pytest.mark.parametrize(
    "change, word",
    [
        ({"sft": {"enabled": False}}, "grpo"),
        ({"grpo": {"enabled": False}}, "sft"),
        ({"prompt": {"contrast": False}}, "soft_tokens"),
        ({"prompt": {"soft_prompt": False}}, "heatmap"),
        ({"prompt": {"heatmap": False}, "sft": {"train": ["mlp"]}}, ""),
        ({"prompt": {"knowledge": False, "text_samples": False, "thinking": True}, "grpo": {"resampling": 0}}, ""),
    ],
)
def test_ablations_run(base, snapshot, tmp_path, change, word):
    short = {"max_steps": 1}
    config = quick(base, snapshot, evaluate={"every": 0, "final_questions": 2}, sft=short, grpo=short).with_(**change)
    done = run(config, tmp_path / "run")
    assert done.state().status == "finished", done.state().message
    model, _ = load_model(done.final, device="cpu")
    settings = {"soft_tokens": 9, "heatmap": True}
    if "contrast" in change.get("prompt", {}):
        settings["heatmap"] = False
    if "soft_prompt" in change.get("prompt", {}):
        settings["soft_tokens"] = 0
    assert {name: getattr(model.config, name) for name in settings} == settings
