"""What can be wrong with a run's input: one clear sentence, before hours are spent, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import UserError
from core.mmad import Question, Snapshot
from core.runs import Journal, RunFolder
from core.training import run
from core.training.checkpoints import folder_size, load_trained, newest_usable, save_trained, trained_state
from core.training.explaining import advice, explain_failure
from core.training.questions import check_pictures, choose_questions, first_questions, lay_out, protocol_of
from tests.unit.training.conftest import make_benchmark, quick


@pytest.fixture
def bench(tmp_path):
    return make_benchmark(tmp_path / "bench", train=4, val=2, test=2)


def with_question(bench, question: Question):
    first = replace(bench.samples[0], questions=(question,))
    return bench.select((first, *bench.samples[1:]))


@pytest.mark.parametrize(
    "answer, options", [("C", {"A": "Yes.", "B": "No."}), ("E", {"A": "x", "E": "y"}), ("", {"A": "x"})]
)
def test_a_letter_outside_the_options(bench, answer, options):
    broken = with_question(bench, Question("Is there a defect?", options, answer, "Anomaly Detection"))
    with pytest.raises(UserError, match=f"Question 0 of {bench.samples[0].image}"):
        choose_questions(broken)


def course_of(bench, config):
    protocol = protocol_of(config.prompt, thinking=False, seed=0)
    return lay_out(bench, protocol, choose_questions(bench), batch=2, epochs=1, max_steps=0, seed=0)


def test_a_missing_picture_is_named_before_training(bench, config):
    missing = bench.path(bench.samples[1].similar_templates[0])
    missing.unlink()
    with pytest.raises(UserError, match=f"{missing.name} is missing"):
        check_pictures(course_of(bench, config))


def test_a_missing_picture_ends_a_run_with_its_sentence(bench, base, tmp_path):
    snapshot = Snapshot.of(bench).save(tmp_path / "snapshot.json")
    bench.path(bench.split("train").samples[0].image).unlink()
    with pytest.raises(UserError, match="is missing"):
        run(quick(base, snapshot), tmp_path / "run")
    state = RunFolder(tmp_path / "run").state()
    assert state.status == "failed" and "is missing" in state.message


def test_no_training_questions(bench):
    with pytest.raises(UserError, match="no training question"):
        choose_questions(bench.select(()))


@pytest.mark.parametrize(
    "change, word",
    [
        ({"snapshot": ""}, "names no snapshot"),
        ({"snapshot": "absent.json"}, "absent.json"),
        ({"base": "absent"}, "absent"),
    ],
)
def test_what_is_not_there(base, snapshot, tmp_path, change, word):
    with pytest.raises(UserError, match=word):
        run(quick(base, snapshot).with_(**change), tmp_path / "run")
    assert RunFolder(tmp_path / "run").state().status == "failed"


def test_a_changed_snapshot_is_refused(base, snapshot, tmp_path):
    value = json.loads(snapshot.read_text())
    value["seed"] = 99
    (tmp_path / "changed.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match="was changed"):
        run(quick(base, tmp_path / "changed.json"), tmp_path / "run")


def test_two_workers_on_one_folder(config, tmp_path, monkeypatch):
    journal = Journal.claim(_folder(config, tmp_path))
    monkeypatch.setattr("os.getpid", lambda: 1)  # somebody else
    monkeypatch.setattr("os.getppid", lambda: 1)
    with pytest.raises(UserError, match="already worked on"):
        run(config, tmp_path / "run")
    assert journal.run.state().status == "running"
    journal.close("stopped", "")


def _folder(config, tmp_path) -> RunFolder:
    from core.runs import RunState

    folder = RunFolder(tmp_path / "run")
    config.save_to(folder.path / "config.yaml")
    folder.write_state(RunState())
    return folder


def test_a_run_folder_of_an_older_version(config, tmp_path):
    folder = _folder(config, tmp_path)
    (folder.path / "state.json").write_text('{"version": 0, "status": "stopped"}')
    with pytest.raises(UserError, match="version"):
        run(config, folder.path)


def test_a_cap_on_disk_space(base, snapshot, tmp_path):
    config = quick(base, snapshot, save={"every": 1, "disk_gb": 0.001}, sft={"enabled": False})
    with pytest.raises(UserError, match="above save.disk_gb = 0.001"):
        run(config, tmp_path / "run")
    assert not list((tmp_path / "run" / "grpo").glob(".saving"))


def test_a_full_disk(base, snapshot, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("core.training.checkpoints.shutil.disk_usage", lambda path: usage(10, 10, 1000))
    with pytest.raises(UserError, match="free some space and resume"):
        run(quick(base, snapshot), tmp_path / "run")


def test_weights_that_do_not_arrive_are_fatal(base, tmp_path):
    """The trap: transformers writes old key names and loads none of them back, with a warning only."""
    from core.model import load_model

    model, _ = load_model(base, device="cpu", dtype=torch.float32)
    path = tmp_path / "trained.safetensors"
    save_trained(model, path)
    before = {name: value.clone() for name, value in trained_state(model).items()}
    state = load_file(path)
    assert set(state) == set(before)
    renamed = {name.replace("model.language_model.", "language_model.model."): value for name, value in state.items()}
    assert set(renamed) != set(state)
    save_file(renamed, path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    with pytest.raises(UserError, match="did not arrive"):
        load_trained(model, path)
    assert all(p.abs().max() == 0 for p in model.parameters())  # all or nothing
    save_file({**state, "model.strange": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="are unknown"):
        load_trained(model, path)
    save_file(state, path)
    load_trained(model, path)
    for name, value in trained_state(model).items():
        assert torch.equal(value, before[name])


def test_without_a_usable_checkpoint_a_stage_begins_anew(tmp_path):
    broken = tmp_path / "checkpoint-3"
    broken.mkdir(parents=True)
    (broken / "trained.safetensors").write_bytes(b"half")
    (tmp_path / ".saving" / "checkpoint-4").mkdir(parents=True)
    assert newest_usable(tmp_path) is None
    assert (tmp_path / "broken-checkpoint-3").is_dir() and folder_size(tmp_path) == 4


@pytest.mark.parametrize("stage", ["sft", "grpo", "evaluation"])
def test_out_of_memory_names_two_settings(config, stage):
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("x"),
    ):
        sentence = explain_failure(error, config, stage)
        assert sentence.startswith(f"Out of memory in the stage {stage}: ") and " or " in sentence
    assert advice(config.with_(grpo={"micro_batch": 8}), "grpo").startswith("lower grpo.micro_batch (now 8) or ")


def test_other_failures_in_words(config):
    assert "disk is full" in explain_failure(OSError(28, "No space left on device", "x"), config, "grpo")
    assert "disk is full" in explain_failure(RuntimeError("I/O error: No space left on device"), config, "grpo")
    assert "log.txt" in explain_failure(ValueError("odd"), config, "grpo")


def test_the_order_of_questions_depends_on_seed_and_pass_alone(bench, config):
    asked = choose_questions(bench)
    make = lambda **changes: lay_out(  # noqa: E731
        bench, protocol_of(config.prompt, thinking=False, seed=0), asked,
        **{"batch": 4, "epochs": 2, "max_steps": 0, "seed": 0, **changes},
    )  # fmt: skip
    one = make()
    assert one.order == make().order and one.order != make(seed=1).order
    assert one.steps == 2 * len(asked) // 4 and len(one) == one.steps * 4
    first = [place for place, epoch in one.order if epoch == 0]
    assert sorted(first) == list(range(len(asked)))
    assert make(max_steps=3).steps == 3


def test_a_few_questions_are_the_same_few(bench):
    some = first_questions(bench, 5, seed=1)
    assert sum(len(sample.questions) for sample in some) == 5
    assert [s.image for s in some] == [s.image for s in first_questions(bench, 5, seed=1)]
    assert first_questions(bench, 0) is bench
