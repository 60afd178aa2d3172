"""What the tower is told of training pictures, and that it learns it, resumes exactly and hands it on."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import UserError
from core.mmad import Benchmark, Sample, Snapshot
from core.training.config import RunConfig, preset
from core.training.grounding import (
    COMMON,
    LOUD,
    basis_of,
    gist_loss,
    keeping_loss,
    map_loss,
    patch_loss,
    wording_loss,
)
from core.training.grounding_targets import FINE, Kinds, Pose, Shown, coverage, patch_target, posed, shown_in
from tests.unit.training.conftest import make_benchmark, quick

KINDS = Kinds(("hole", "missing part"))


def spot(top: int, left: int, grid: int = 6) -> Shown:
    """A defect of one patch."""
    cover = torch.zeros(grid * FINE, grid * FINE)
    cover[top * FINE : (top + 1) * FINE, left * FINE : (left + 1) * FINE] = 1
    return Shown(None, "nut", 1, cover)  # type: ignore[arg-type]


def test_targets_name_patch_cell_and_kind():
    shown = spot(0, 5)
    assert patch_target(shown, 6).reshape(6, 6).nonzero() == (np.array([0]), np.array([5]))
    assert patch_target(shown, 6).max() == 2 and shown.cell == 2
    assert KINDS.gist(shown).nonzero()[0].tolist() == [0, 1 + 2, 10 + 1]
    said = {word for word, on in zip(KINDS.words, KINDS.wording(shown), strict=True) if on}
    assert said == {"missing", "part", "top", "right"}


def test_a_normal_picture_says_no_and_bears_nothing():
    shown = Shown(None, "nut", None, torch.zeros(24, 24))  # type: ignore[arg-type]
    assert not KINDS.gist(shown).any() and not patch_target(shown, 6).any()
    assert [word for word, on in zip(KINDS.words, KINDS.wording(shown), strict=True) if on] == ["no"]


def test_defects_are_named_as_options_name_them():
    samples = [Sample("d/p/1.png", "d", "p", defect=name) for name in ("mousebite", "pin-hole")]
    assert Kinds.of(samples).names == ("mouse bite", "pinhole")


def test_without_a_mask_the_kind_is_told_and_no_place():
    shown = Shown(None, "nut", 0, None)  # type: ignore[arg-type]
    assert (patch_target(shown, 6) == -1).all() and shown.cell is None
    assert (KINDS.gist(shown) > 0).nonzero()[0].tolist() == [0, 10] and (KINDS.gist(shown)[1:10] == -1).all()
    said = dict(zip(KINDS.words, KINDS.wording(shown), strict=True))
    assert said["hole"] == 1 and said["no"] == 0 and said["top"] == said["center"] == -1
    assert gist_loss(torch.zeros(1, 4, 12), torch.full((1, 12), -1.0))[0] == 0
    loss, right = patch_loss(torch.randn(1, 36, 3), torch.as_tensor(patch_target(shown, 6))[None])
    assert loss == 0 and right == 0
    assert posed(shown, random.Random(0))[0].zoom == posed(spot(1, 1), random.Random(0), freely=False)[0].zoom == 1


def test_a_thin_defect_still_shows_where_it_covers_most():
    mask = np.zeros((224, 224), bool)
    mask[3, 100] = True
    target = patch_target(Shown(None, "nut", 0, coverage(mask, FINE * 14)), 14)  # type: ignore[arg-type]
    assert target.sum() == 1 and target[100 // 16] == 1


@pytest.mark.parametrize(("pose", "cell"), [
    (Pose(), 0), (Pose(quarters=1), 6), (Pose(quarters=2), 8), (Pose(mirrored=True), 2), (Pose(quarters=1, mirrored=True), 8),
])  # fmt: skip
def test_facts_turn_with_the_picture(pose: Pose, cell: int):
    """The same pixels, moved the same way, and told the same of."""
    shown = spot(0, 0)
    picture = shown.cover.repeat_interleave(2, 0).repeat_interleave(2, 1)[None]
    assert pose.shows(shown).cell == cell
    seen = pose.of(picture, beyond="zeros")[0]
    assert torch.equal(seen, pose.shows(shown).cover.repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_a_shifted_picture_and_its_mask_stay_together():
    rng = random.Random(0)
    for _ in range(30):
        shown = spot(rng.randrange(6), rng.randrange(6))
        pose, found = posed(shown, rng)
        again = pose.of(shown.cover[None], beyond="reflection")[0]
        assert torch.equal(again, found.cover) and found.cover.sum() > 0
        assert 0.8 <= pose.zoom <= 1.25 and found.kind == shown.kind


def test_losses_fall_when_it_is_said_rightly():
    target = torch.as_tensor(patch_target(spot(1, 1), 6))[None]
    right = 20.0 * torch.nn.functional.one_hot(target, 3).float()
    assert patch_loss(right, target)[0] < 1e-3 < patch_loss(torch.zeros(1, 36, 3), target)[0]
    assert patch_loss(right, target)[1] == 1
    wanted = torch.as_tensor(KINDS.gist(spot(1, 1)))[None]
    sure = (40 * wanted - 20).unsqueeze(1).expand(-1, 4, -1)
    assert gist_loss(sure, wanted)[0] < 1e-3 and gist_loss(sure, wanted)[1] == 1
    embeddings = torch.linalg.qr(torch.randn(32, len(KINDS.words), generator=torch.Generator().manual_seed(0))).Q.T
    words = torch.as_tensor(KINDS.wording(spot(1, 1)))[None]
    said = (LOUD * words @ embeddings).unsqueeze(1).expand(-1, 4, -1)
    assert wording_loss(said, embeddings, words)[0] < 0.05 and wording_loss(said, embeddings, words)[1] == 1


def test_a_map_is_right_that_is_hot_on_the_defect_alone():
    target = torch.as_tensor(np.stack([patch_target(spot(1, 1), 6), np.zeros(36, np.int64), np.full(36, -1)]))
    hot = (target > 0).float()
    right, found = map_loss(hot, target)
    wrong, missed = map_loss(1 - hot, target)
    assert right < 0.05 and found == 1
    assert wrong > 5 and missed == 0
    even = torch.full((3, 36), COMMON, requires_grad=True)
    map_loss(even, target)[0].backward()
    assert (even.grad[0][target[0] > 0] < 0).all() and (even.grad[0][target[0] == 0] >= 0).all()
    assert not even.grad[2].any(), "nobody knows where its defect lies"


def test_what_the_tokens_say_besides_is_kept_and_the_words_are_free():
    words = torch.eye(8)[:2] * 0.3
    basis = basis_of(words)
    before = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    assert keeping_loss(before + torch.randn(2, 4, 2) @ words, before, basis) < 1e-9
    moved = before + torch.eye(8)[5]
    assert keeping_loss(moved, before, basis).item() == pytest.approx(
        8 / before[..., 2:].square().sum().item(), rel=1e-5
    )


def test_what_a_product_tells_already_is_not_learned_from_its_pictures():
    """A readout that knows nothing is right about a product's habits; evidence counts alike on every product."""
    kinds = Kinds(("hole", "missing part"), {"nut": (100, (40, 0)), "bolt": (100, (20, 20))})
    nut, bolt = kinds.habit("nut"), kinds.habit("bolt")
    assert nut[0] > 0 > bolt[0] and nut[1] < -3 and bolt[1] > 0
    said = dict(zip(kinds.words, nut[2:], strict=True))
    assert said["hole"] == nut[0] and said["missing"] == said["part"] == nut[1] and said["no"] == said["top"] == 0
    target = torch.as_tensor(patch_target(spot(1, 1), 6))[None]  # of the second kind
    odds, level = torch.as_tensor(nut[:2])[None], torch.zeros(1, 36, 3)
    against, right = patch_loss(level, target, odds)
    assert against > patch_loss(level, target)[0] and right == patch_loss(level, target)[1]
    embeddings, tokens = torch.eye(16)[: len(kinds.words)], torch.zeros(1, 4, 16)
    words, wanted = torch.as_tensor(nut[2:])[None], torch.as_tensor(kinds.wording(spot(1, 1)))[None]
    assert wording_loss(tokens, embeddings, wanted, words)[0] > wording_loss(tokens, embeddings, wanted)[0]
    one = Kinds(("hole",), {"nut": (10, (5,))})
    assert not one.habit("nut").any()


def test_strangers_are_no_training_picture_and_the_same_in_every_run(base, tmp_path):
    from core.model import load_model
    from core.training.grounding_targets import STRANGE, Pictures

    kinds, shown = shown_in(make_benchmark(tmp_path, train=6).split("train"), 4)
    processor = load_model(base)[1]
    turns = [(number, 0) for number in range(len(shown))]
    one, two = (Pictures(kinds, shown, processor, 4, seed=3, strange=True)(turns) for _ in range(2))
    assert torch.equal(one["strangers"], two["strangers"]) and torch.isfinite(one["strangers"]).all()
    assert len(one["strangers"]) == -(-len(turns) // STRANGE)
    assert one["strangers"].shape[1:] == one["pixel_values"].shape[1:]


def test_a_reference_lies_as_the_picture_it_is_compared_with(base, tmp_path):
    from core.model import load_model
    from core.training.grounding_targets import Pictures

    kinds, shown = shown_in(make_benchmark(tmp_path, train=6).split("train"), 4)
    assert all(one.reference for one in shown)
    shown = [replace(one, reference=None if place == 1 else one.path) for place, one in enumerate(shown)]
    pictures = Pictures(kinds, shown, load_model(base)[1], 4, seed=3, paired=3)
    batch = pictures([(number, 0) for number in range(len(shown))])
    assert batch["paired"].tolist() == [0, 2, 3], "one has no reference, and three are wanted"
    for place, reference in zip(batch["paired"], batch["references"], strict=True):
        own = batch["pixel_values"][place]
        for channel, other in zip(own.flatten(1), reference.flatten(1), strict=True):
            assert torch.corrcoef(torch.stack([channel, other]))[0, 1] > 0.999  # but for the light
    assert "references" not in Pictures(kinds, shown, pictures.processor, 4, seed=3)([(0, 0)])


def test_a_part_without_defects_cannot_be_grounded(tmp_path):
    bench = make_benchmark(tmp_path, train=4)
    normal = bench.select(sample for sample in bench.split("train") if not sample.defect)
    with pytest.raises(UserError, match="switch grounding off"):
        shown_in(normal, 4)


# As a stage --------------------------------------------------------------------------------------------------------------

PAIR = {"sft": {"adapters": True, "train": ["mlp"]}, "grpo": {"train": ["mlp"]}}
PARTS = ["projector", "soft_prompt", "mlp"]
GROUNDED = {
    "lora": {"rank": 2, "alpha": 4},
    "grounding": {"enabled": True, "max_steps": 4, "batch_size": 4, "learning_rate": 1e-2},
    "sft": {"adapters": True, "max_steps": 2, "train": PARTS},
    "grpo": {"max_steps": 2, "train": PARTS},
}


def test_the_tower_learns_and_the_next_stages_go_on_with_it(base, snapshot, tmp_path):
    from safetensors.torch import load_file

    from core.training.worker import run

    done = run(quick(base, snapshot, **GROUNDED), tmp_path / "run")
    assert done.state().done == ("grounding", "sft", "grpo", "evaluation")
    rows = [row for row in done.metric_rows() if row["stage"] == "grounding" and "loss" in row]
    assert len(rows) == 4 and {"grounded/patches", "grounded/gist", "grounded/wording", "grounded/moved"} <= set(
        rows[0]
    )
    learned = load_file(done.path / "grounding" / "trained.safetensors")
    assert not any("patch" in name.split(".")[0] for name in learned)  # the readouts are thrown away
    first = next(name for name in learned if "vision_tower" in name and "lora_B" in name)
    after = load_file(done.path / "sft" / "trained.safetensors")
    assert learned[first].abs().max() > 0 and set(learned) <= set(after)
    assert not torch.equal(learned[first], after[first])


def test_the_map_is_taught_and_what_it_says_is_handed_on(snapshot, tmp_path):
    from safetensors.torch import load_file

    from core.model import load_model
    from core.model.adapters import inner_model
    from core.training.parts import say_places
    from core.training.worker import run
    from tests.unit.grpo.conftest import small_model

    base = small_model(tmp_path, talks=True, comparison_places=True)
    config = quick(base, snapshot, **GROUNDED).with_(grounding={"comparing": 1.0}, grpo={"max_steps": 1})
    done = run(config, tmp_path / "run")
    rows = [row for row in done.metric_rows() if row["stage"] == "grounding" and "loss" in row]
    assert len(rows) == 4 and all("grounded/map" in row for row in rows)
    learned = load_file(done.path / "grounding" / "trained.safetensors")
    (places,) = (value for name, value in learned.items() if name.endswith("projector.places"))
    model, processor = load_model(base, device="cpu")
    say_places(model, processor.tokenizer)
    assert not torch.allclose(places, model.model.contrastive.places, atol=1e-3), "they have learned"
    (counted,) = (v for name, v in learned.items() if name.endswith("default.projector.0.num_batches_tracked"))
    assert counted == 4
    final, _ = load_model(done.final, device="cpu")
    contrastive = inner_model(final).model.contrastive
    assert (
        torch.allclose(contrastive.places, places, atol=0.1) and contrastive.projector[0].num_batches_tracked > 4
    )  # SFT goes on
    without = run(config.with_(prompt={"contrast": False}, grpo={"enabled": False}), tmp_path / "without")
    rows = [row for row in without.metric_rows() if row["stage"] == "grounding"]
    assert rows and not any("grounded/map" in row for row in rows), "an arm without the map is not taught one"


@pytest.mark.parametrize(
    "parts",
    [{"train": ["mlp"]}, {"train": ["mlp", "vision"], "strange": True, "comparing": 1.0}],
    ids=["adapters", "tower"],
)
def test_a_stopped_grounding_goes_on_as_if_nothing_had_happened(snapshot, tmp_path, monkeypatch, parts):
    from safetensors.torch import load_file

    from core.training import worker
    from core.training.stopping import stopper
    from tests.unit.grpo.conftest import small_model

    base = small_model(tmp_path, talks=True, comparison_places=True)
    config = quick(base, snapshot, **GROUNDED).with_(
        grounding=parts, sft={"enabled": False}, grpo={"max_steps": 1}, evaluate={"final": ""}
    )
    whole = worker.run(config, tmp_path / "whole")
    stage = worker.GroundingStage
    step = stage.training_step

    def ask(self, *args, **kwargs):
        if self.state.global_step == 2:
            stopper.requested = True
        return step(self, *args, **kwargs)

    monkeypatch.setattr(stage, "training_step", ask)
    stopped = worker.run(config, tmp_path / "stopped")
    assert stopped.state().status == "stopped"
    monkeypatch.setattr(stage, "training_step", step)
    stopper.requested = False
    again = worker.run(config, tmp_path / "stopped")
    one, two = (load_file(run.path / "grounding" / "trained.safetensors") for run in (whole, again))
    assert not any("base_layer" in name for name in one)  # a tower that learned in full is in its adapters
    assert max(value.abs().max() for name, value in one.items() if "lora_B" in name) > 0
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_impossible_settings_are_named():
    for changes, words in (
        ({"grounding": {"enabled": True}, "lora": None}, "lora.on"),
        ({"grounding": {"enabled": True}, "sft": {"adapters": False}}, "sft.adapters: true"),
        ({"processes": 2, "grounding": {"enabled": True, "batch_size": 5}, **PAIR}, "multiple of processes"),
        ({"sft": {"adapters": True, "train": PARTS}, "grpo": {"train": ["mlp"]}}, "grpo.train must name"),
        ({"grounding": {"train": ["projector"]}}, "grounding.train"),
        ({"grounding": {"enabled": True, "comparing": 1.0}, **PAIR}, "projector in sft.train"),
        ({"grounding": {"comparing": -1.0}}, "grounding.comparing"),
        ({"grounding": {"enabled": True}, "sft": {"adapters": True}}, "mlp in sft.train"),
    ):
        with pytest.raises(UserError, match=words):
            RunConfig().with_(**changes)


def test_a_run_from_before_this_stage_goes_on_without_it():
    written = preset("demo").to_dict()
    assert RunConfig.from_dict(written).grounding.enabled
    del written["grounding"]
    assert not RunConfig.from_dict(written).grounding.enabled


def test_a_missing_picture_and_an_empty_mask(tmp_path):
    bench = make_benchmark(tmp_path, train=4)
    bad = next(sample for sample in bench if sample.defect)
    Image.new("L", (40, 40)).save(tmp_path / "demo" / "plate" / "empty.png")
    bench = bench.select([replace(bad, mask="empty.png")])
    assert shown_in(bench, 4)[1][0].cover is None
    bench.path(bad.similar_templates[0]).unlink()
    with pytest.raises(UserError, match="is missing"):
        shown_in(bench, 4)


def test_what_a_text_tells_is_no_picture(tmp_path):
    bench = make_benchmark(tmp_path, train=4)
    told = [
        replace(sample, text="A plate with a spot.") if i == 0 else sample for i, sample in enumerate(bench.samples)
    ]
    assert len(shown_in(Benchmark(bench.root, tuple(told), {}), 4)[1]) == len(bench) - 1
    assert Snapshot.of(bench).benchmark.root == bench.root
