"""Pretraining goes on where it was killed, and only what was replied is learned."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.demo.dense import CLASSES, part_targets
from core.demo.education import Education
from core.demo.lessons import PICTURE, Passage
from core.demo.naming import strange_lesson
from core.demo.pool import Pool, load_pool
from core.demo.pretrain import Pretraining
from core.demo.reading import LEVELS
from core.demo.rows import ids_of, row
from core.demo.seeing import seeing_lesson
from core.demo.views import View
from core.errors import UserError
from core.mmad.prompts import SYSTEM
from core.synthesis.factory import PRODUCTS

TINY: dict[str, Any] = {"image_size": 48, "patch_size": 8, "vision_width": 32, "vision_layers": 6, "vision_heads": 2,
                        "width": 32, "layers": 1, "heads": 2, "key_value_heads": 2}  # fmt: skip
EDUCATION = Education(
    seeing=3,  # the last of them compares
    reading=2,
    telling=2,
    answering=9,  # each of its lessons
    pictures=20,
    batch_seeing=4,
    batch_compared=2,
    batch_tokens=300,
    batch_chats=2,
    turns=2,
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_pool(20, 48, tmp_path_factory.mktemp("pool"), workers=1)


def test_part_targets_take_the_part_that_covers_most_of_a_patch(pool: Pool) -> None:
    for index in range(len(pool)):
        target = part_targets(pool.parts[index], pool.metas[index]["product"], grid=6)
        assert target.shape == (36,) and target.min() >= 0 and target.max() < CLASSES
    ground = part_targets(torch.zeros(48, 48, dtype=torch.uint8).numpy(), next(iter(PRODUCTS)), grid=6)
    assert not ground.any()


def test_only_replies_are_learned(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, EDUCATION, **TINY)
    passage, views = seeing_lesson(pool, random.Random(1), turns=2)
    ids, labels = row(passage, pupil.processor)
    decode = pupil.processor.tokenizer.decode
    learned = decode([label for label in labels if label != -100])
    assert learned == decode(ids_of("".join(part.text for part in passage.parts if part.learned), pupil.processor))
    pictures = [token for token in ids if token == pupil.model.config.image_token_id]
    assert len(pictures) == len(views) * pupil.processor.image_seq_length


def test_a_row_is_what_the_chat_template_writes(pool: Pool, tmp_path: Path) -> None:
    """What the base is taught in has to be what it is asked in."""
    pupil = Pretraining(tmp_path, EDUCATION, **TINY)
    system, asked, reply, _ = seeing_lesson(pool, random.Random(2), turns=1)[0].parts[:4]
    said = asked.text.removeprefix("<|im_start|>user\n").split("<|im_end|>")[0].split(PICTURE)
    content: list[dict[str, str]] = []
    for text in said:
        content += [{"type": "text", "text": text}, {"type": "image"}]
    messages = [
        {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
        {"role": "user", "content": content[:-1]},
    ]
    picture = torch.zeros(48, 48, 3, dtype=torch.uint8).numpy()
    text = pupil.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    expected = pupil.processor(images=[[picture] * (len(said) - 1)], text=[text])["input_ids"][0]
    assert row(Passage((system, asked)), pupil.processor)[0] == list(expected)


@pytest.mark.parametrize("kill_at", [3, 7, 11])  # while comparing, telling, answering
def test_a_killed_pretraining_continues_as_if_nothing_had_happened(pool: Pool, tmp_path: Path, kill_at: int) -> None:
    def losses(folder: Path, *, kill_at: int | None = None) -> list[float]:
        seen: list[float] = []

        def watch(step: int, total: int, figures: dict[str, float]) -> None:
            seen.append(figures["loss"])

        pupil = Pretraining(folder, EDUCATION, **TINY)
        pupil.resume()
        if kill_at is not None:

            def killed(step: int, total: int, figures: dict[str, float]) -> None:
                watch(step, total, figures)
                if step == kill_at:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                pupil.run(pool, every=2, progress=killed)
        else:
            pupil.run(pool, every=2, progress=watch)
        return seen

    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = losses(tmp_path / "whole")
    before = losses(tmp_path / "killed", kill_at=kill_at)
    after = losses(tmp_path / "killed")
    assert before == pytest.approx(whole[:kill_at], abs=1e-4)
    assert after == pytest.approx(whole[kill_at - 1 :], abs=1e-4)  # from the checkpoint before on


def test_a_level_of_words_is_mastered_by_words(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[float] = []
    monkeypatch.setattr(Pretraining, "_grade", lambda self, right: judged.append(right))
    pupil = Pretraining(tmp_path, replace(EDUCATION, seeing=0, reading=40, telling=0, answering=0), **TINY)
    names, shown = [level.name for level in LEVELS], []
    pupil._start = lambda pool: None  # type: ignore[method-assign]
    for name, figure in (("glossary", "words"), ("reports", "letters")):
        pupil.level = names.index(name)
        until = pupil.step + 20

        def watch(step: int, total: int, figures: dict[str, float], until: int = until) -> None:
            shown.append(figures)
            if step == until:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pupil.run(pool, progress=watch)
        assert judged == pytest.approx([figures[figure] for figures in shown], nan_ok=True)
        judged.clear()
        shown.clear()


def test_chats_leave_the_tower_as_it_is_and_teach_the_projector(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, replace(EDUCATION, seeing=0, reading=0), **TINY)
    before = {name: value.clone() for name, value in pupil.model.state_dict().items()}
    pupil._start = lambda pool: None  # type: ignore[method-assign]
    pupil.run(pool)
    changed = {name for name, value in pupil.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("vision_tower" in name for name in changed)
    assert any("projector" in name for name in changed) and any("language_model" in name for name in changed)


def test_another_education_is_refused(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, EDUCATION, **TINY)
    pupil.checkpoint()
    with pytest.raises(UserError, match="another pretraining"):
        Pretraining(tmp_path, replace(EDUCATION, seeing=5), **TINY).resume()


def test_the_checkpoint_is_small_and_loads(pool: Pool, tmp_path: Path) -> None:
    from core.model import load_model

    pupil = Pretraining(tmp_path, EDUCATION, **TINY)
    pupil.save()
    model, processor = load_model(tmp_path / "checkpoint", device="cpu")
    assert model.lm_head.weight.shape == pupil.model.lm_head.weight.shape
    assert processor.tokenizer.vocab_size > 500


def test_seeing_compares_in_its_last_steps(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, replace(EDUCATION, seeing=5), **TINY)
    found: list[bool] = []
    pupil.run(pool, progress=lambda step, total, figures: found.append("map_loss" in figures))
    assert found[:5] == [False, False, False, True, True] and not any(found[5:])


def test_a_picture_is_compared_with_its_fellow_in_the_same_pose(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pupil = Pretraining(tmp_path, replace(EDUCATION, seeing=5, batch_seeing=8, batch_compared=8), **TINY)
    lit: list[list[View]] = []
    pixels = pupil._pixels
    monkeypatch.setattr(pupil, "_pixels", lambda views, rng: lit.append(views) or pixels(views, rng))
    monkeypatch.setattr(pupil, "_dense_loss", lambda *_: (torch.zeros(()), {}))  # the map's gradient alone
    pupil.step = 4
    loss, _ = pupil._see(pool)
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in pupil.model.model.vision_tower.parameters())
    shown, others = lit
    for view, other in zip(shown, others, strict=True):
        assert view.meta["lot"] == other.meta["lot"] and view.meta["seed"] != other.meta["seed"] and not other.marks
    monkeypatch.setattr("core.demo.pool.Pool.fellow", lambda self, index: index)
    lit.clear()
    pupil._see(pool)
    for view, itself in zip(*lit, strict=True):
        unmarked = np.ones(view.image.shape[:2], bool)
        for mark in view.marks:
            unmarked &= ~mark.mask
        assert (view.image == itself.image)[unmarked].mean() > 0.95


def test_the_last_picture_of_an_odd_pool_is_its_own_fellow(pool: Pool) -> None:
    odd = Pool(pool.images[:5], pool.parts[:5], pool.metas[:5])
    assert [odd.fellow(index) for index in range(5)] == [1, 0, 3, 2, 4]


def test_words_that_no_lesson_holds_are_drawn_anew(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, replace(EDUCATION, seeing=0, telling=0), **TINY)
    pupil._start = lambda pool: None  # type: ignore[method-assign]
    pupil.run(pool)
    assert not pupil.met[ids_of("pinhole", pupil.processor)].any()
    before = pupil.met.clone()
    strange = [strange_lesson(pool, random.Random(seed), ["pinhole"]) for seed in range(3)]
    pupil._imagined(strange, random.Random(0), strange=True)
    assert torch.equal(pupil.met, before), "a strange lesson's words stay unknown"
    pupil._imagined(strange, random.Random(0))
    assert pupil.met[ids_of("pinhole", pupil.processor)].all()
    pupil.met = before
    rows = pupil.model.model.language_model.embed_tokens.weight.detach()
    met, middle = rows[pupil.met].clone(), rows[~pupil.met].mean(0)
    assert len(met) > 100
    rows[~pupil.met] = middle  # what training comes to when it is left alone
    drawn = []
    for pupil.step in (3, 4):
        pupil._redraw()
        drawn.append(rows[~pupil.met] - middle)
    assert torch.equal(rows[pupil.met], met)
    for unmet in drawn:
        assert torch.allclose(unmet.std(0).mean(), met.std(0).mean(), rtol=0.1), "they are spread as the others are"
        assert unmet.mean(0).abs().max() < 1e-5
    assert torch.nn.functional.cosine_similarity(*drawn, dim=1).mean().abs() < 0.1, "each time otherwise"


def test_rows_of_like_length_together_teach_what_they_teach_at_once(pool: Pool, tmp_path: Path) -> None:
    pupil = Pretraining(tmp_path, EDUCATION, **TINY)
    rows = [row(seeing_lesson(pool, random.Random(seed), turns=1 + seed % 3)[0], pupil.processor) for seed in range(11)]
    ids, mask, labels = pupil._padded(rows)
    embedded = pupil.model.model.language_model.embed_tokens(ids)
    whole = pupil.model.model.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state[:, :-1]
    learned = labels[:, 1:] != -100

    def loss(hidden: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        assert len(wanted) == learned.sum()
        return torch.nn.functional.cross_entropy(10 * pupil.model.lm_head(hidden).float(), wanted)

    parts, at_once = pupil._read_rows(embedded, mask, labels), (whole[learned], labels[:, 1:][learned])
    assert loss(*parts).item() == pytest.approx(loss(*at_once).item(), rel=1e-3)
    assert loss(parts[0], parts[1].flip(0)).item() != pytest.approx(loss(*at_once).item(), rel=1e-3)
