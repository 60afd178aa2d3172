"""Pretraining goes on where it was killed, and only what was replied is learned."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.demo.dense import CLASSES, part_targets
from core.demo.education import Education
from core.demo.lessons import PICTURE, Passage
from core.demo.pool import Pool, load_pool
from core.demo.pretrain import Pretraining
from core.demo.rows import ids_of, row
from core.demo.seeing import seeing_lesson
from core.errors import UserError
from core.mmad.prompts import SYSTEM
from core.synthesis.factory import PRODUCTS

TINY: dict[str, Any] = {"image_size": 48, "patch_size": 8, "vision_width": 32, "vision_layers": 6, "vision_heads": 2,
                        "width": 32, "layers": 1, "heads": 2, "key_value_heads": 2}  # fmt: skip
EDUCATION = Education(
    seeing=2,
    reading=2,
    telling=2,
    answering=2,
    pictures=20,
    batch_seeing=4,
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


def test_a_killed_pretraining_continues_as_if_nothing_had_happened(pool: Pool, tmp_path: Path) -> None:
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
    before = losses(tmp_path / "killed", kill_at=5)  # while telling
    after = losses(tmp_path / "killed")
    assert before == pytest.approx(whole[:5], abs=1e-4)
    assert after == pytest.approx(whole[4:], abs=1e-4)  # from the checkpoint at step 4 on


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
