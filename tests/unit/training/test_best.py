"""The best state by validation is kept beside the last, handed on, and the same whether or not the run was broken off."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from core.errors import UserError
from core.model import load_model
from core.runs import RunFolder
from core.training import run
from core.training.checkpoints import BEST, WEIGHTS, best_of, cast_weights
from core.training.config import Lora
from core.training.parts import add_lora
from core.training.stopping import stopper
from tests.unit.training.conftest import given_accuracies, quick
from tests.unit.training.test_worker import stop_at

ONLY_GRPO = {"sft": {"enabled": False}, "evaluate": {"every": 1, "final": ""}, "save": {"every": 1, "keep": 9}}


@pytest.fixture(autouse=True)
def nobody_asks_to_stop():
    stopper.requested, stopper.interruptible = False, True
    yield
    stopper.requested = False


def weights_of(final) -> dict[str, torch.Tensor]:
    model, _ = load_model(final, device="cpu", dtype=torch.float32)
    return dict(model.named_parameters())


def state_of(folder, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / "grpo" / f"checkpoint-{step}" / WEIGHTS)


def assert_same(final, state) -> None:
    weights = weights_of(final)
    learned = [name for name in state if name in weights]
    assert len(learned) > 20
    for name in learned:
        assert torch.equal(weights[name], state[name]), name


@pytest.mark.parametrize(
    "keep, step", [("best", 3), ("last", 4)], ids=["the later of two equally good ones", "the last if asked for"]
)
def test_which_state_becomes_final(base, snapshot, tmp_path, monkeypatch, capsys, keep, step):
    given_accuracies(monkeypatch, 0.5, 0.75, 0.75, 0.25)
    done = run(quick(base, snapshot, **ONLY_GRPO).with_(evaluate={"keep": keep}), tmp_path / "run")
    assert_same(done.final, state_of(done.path, step))
    third, fourth = (state_of(done.path, n) for n in (3, 4))
    assert any(not torch.equal(third[name], fourth[name]) for name in third)
    said = "The best state of grpo was kept, that of step 3 (75.0% of the validation)."
    assert (said in capsys.readouterr().out) == (keep == "best")
    assert best_of(done.path / "grpo") == ((3, 0.75) if keep == "best" else None)
    assert (done.path / "grpo" / "checkpoint-4").is_dir()  # the last stays beside it


@pytest.mark.parametrize("stopped", [2, 3], ids=["before the best", "at the best"])
def test_a_resumed_run_keeps_the_same_state(base, snapshot, tmp_path, monkeypatch, stopped):
    given_accuracies(monkeypatch, 0.5, 0.25, 0.75, 0.25)
    config = quick(base, snapshot, **ONLY_GRPO)
    whole = run(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        stop_at(patched, "grpo", stopped)
        assert run(config, tmp_path / "run").state().status == "stopped"
    stopper.requested = False
    done = run(config, tmp_path / "run")
    assert best_of(done.path / "grpo") == best_of(whole.path / "grpo") == (3, 0.75)
    one, other = weights_of(whole.final), weights_of(done.final)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-5, msg=name)


def test_the_second_stage_starts_from_the_firsts_best(base, snapshot, tmp_path, monkeypatch):
    given_accuracies(monkeypatch, 0.75, 0.5, 0.5, 0.5)
    config = quick(base, snapshot, **{**ONLY_GRPO, "sft": {}, "grpo": {"max_steps": 1}})
    done = run(config, tmp_path / "run")
    handed_on = load_file(done.path / "sft" / "trained.safetensors")
    first, last = (load_file(done.path / "sft" / f"checkpoint-{n}" / WEIGHTS) for n in (1, 4))
    assert handed_on.keys() == first.keys() and all(torch.equal(handed_on[name], first[name]) for name in first)
    assert any(not torch.equal(first[name], last[name]) for name in first)


def test_a_second_stage_that_only_loses_hands_on_what_it_began_with(base, snapshot, tmp_path, monkeypatch, capsys):
    given_accuracies(monkeypatch, 0.5, 0.5, start=0.75)
    config = quick(base, snapshot, **{**ONLY_GRPO, "sft": {"max_steps": 2}, "grpo": {"max_steps": 2}})
    done = run(config, tmp_path / "run")
    assert best_of(done.path / "sft") == (2, 0.5) and best_of(done.path / "grpo") == (0, 0.75)
    kept, handed_on = (load_file(done.path / name) for name in (f"grpo/{BEST}", "sft/trained.safetensors"))
    assert_same(done.final, kept)
    assert len(handed_on) > 3 and all(torch.equal(kept[name], value) for name, value in handed_on.items())
    assert (
        "The best state of grpo was kept, the one it began with (75.0% of the validation)." in capsys.readouterr().out
    )
    asked = done.metrics().query("val_accuracy.notna()")
    assert asked[["stage", "step"]].values.tolist() == [["sft", 1], ["sft", 2], ["grpo", 0], ["grpo", 1], ["grpo", 2]]


def test_what_it_began_with_is_no_candidate_where_the_last_state_is_kept(base, snapshot, tmp_path, monkeypatch):
    given_accuracies(monkeypatch, 0.5, 0.5, start=0.75)
    config = quick(base, snapshot, **{**ONLY_GRPO, "sft": {"max_steps": 2}, "grpo": {"max_steps": 2}})
    done = run(config.with_(evaluate={"keep": "last"}), tmp_path / "run")
    assert_same(done.final, state_of(done.path, 2))
    assert 0 not in done.metrics().query("val_accuracy.notna()")["step"].tolist()


def test_the_best_state_counts_towards_the_cap_on_disk_space(base, snapshot, tmp_path, monkeypatch):
    given_accuracies(monkeypatch, 0.5, 0.5, 0.5, 0.5)
    config = quick(base, snapshot, **ONLY_GRPO).with_(save={"every": 100, "disk_gb": 0.001})
    with pytest.raises(UserError, match="above save.disk_gb"):
        run(config, tmp_path / "run")
    assert not list((tmp_path / "run").rglob(BEST)) and RunFolder(tmp_path / "run").state().status == "failed"


def test_a_run_is_not_judged_on_what_its_base_was_trained_on(base, snapshot, tmp_path, monkeypatch):
    """A run that begins at another run's model inherits what that one has seen."""
    import json
    from dataclasses import replace

    from core.mmad import Snapshot
    from tests.unit.training.conftest import make_benchmark

    first = run(quick(base, snapshot, evaluate={"every": 0, "final": ""}, grpo={"enabled": False}), tmp_path / "first")
    seen = Snapshot.load(snapshot).benchmark
    # The second run's test picture is, byte for byte, one that the first was trained on.
    bench = make_benchmark(tmp_path / "other")
    trained, tested = (next(s for s in some if s.split == split) for some, split in ((seen, "train"), (bench, "test")))
    bench.path(tested.image).write_bytes(seen.path(trained.image).read_bytes())
    shown = [replace(s, similar_templates=()) if s.split == "train" else s for s in bench if s.split != "train"]
    shown += [s for s in bench if s.split == "train" and s.defect]
    leaky = Snapshot.of(bench.select(shown)).save(tmp_path / "leaky.json")
    config = quick(first.final, leaky, evaluate={"every": 0})
    with pytest.raises(UserError, match="was trained on pictures of this test.*" + tested.image):
        run(config, tmp_path / "second")
    state = json.loads((tmp_path / "second" / "state.json").read_text())
    assert state["status"] == "failed" and state["done"] == []  # told before hours of training, not after


def test_an_adapter_of_the_shipped_base_is_small_and_loads_back(tmp_path):
    from pathlib import Path

    from core.training.checkpoints import folder_size

    shipped = Path(__file__).resolve().parents[3] / "data" / "models" / "emit-tiny"
    model, processor = load_model(shipped, device="cpu", dtype=torch.float32)
    tuned = add_lora(model, Lora(rank=16), ("projector", "soft_prompt", "mlp"))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    tuned.save_pretrained(tmp_path / "final")
    tuned.config.save_pretrained(tmp_path / "final")
    processor.save_pretrained(tmp_path / "final")
    whole = folder_size(tmp_path / "final")
    cast_weights(tmp_path / "final", torch.bfloat16)
    size = folder_size(tmp_path / "final")
    assert size <= 2 * 2**20 < whole, f"{size / 2**20:.2f} MB"
    again, _ = load_model(tmp_path / "final", device="cpu", dtype=torch.float32)
    pictures = torch.rand(2, 40, 40, 3, generator=torch.Generator().manual_seed(1)).mul(255).byte().numpy()
    from PIL import Image

    chat = [{"role": "user", "content": [
        {"type": "image"}, {"type": "image"}, {"type": "text", "text": "Is there any defect? A. Yes. B. No."},
        {"type": "comparison"},
    ]}]  # fmt: skip
    inputs = processor(
        text=[processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)],
        images=[[Image.fromarray(picture) for picture in pictures]], return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        before, after = (each.eval()(**inputs).logits[0, -1] for each in (tuned, again))
        with tuned.disable_adapter():
            base = tuned(**inputs).logits[0, -1]
    assert after.argmax() == before.argmax()
    # Rounding to 16 bits moves the logits far less than what was learned.
    assert (after - before).abs().max() < 0.05 * (before - base).abs().max()


def test_final_can_be_of_16_bits(base, snapshot, tmp_path):
    grpo = {"train": ["projector", "mlp"], "max_steps": 1}
    changes = {"sft": {"enabled": False}, "grpo": grpo, "evaluate": {"every": 0, "final_questions": 2}}
    done = run(quick(base, snapshot, lora={"rank": 2}, save={"dtype": "float16"}, **changes), tmp_path / "run")
    (path,) = done.final.glob("*.safetensors")
    assert {v.dtype for v in load_file(path).values() if v.is_floating_point()} == {torch.float16}
    assert done.table()["questions"] == 2
