"""Skipping padding changes neither loss nor gradients."""

from __future__ import annotations

import pytest
import torch

from core.mmad import Snapshot
from core.model import load_model
from core.training.padding import alike, skip_padding
from core.training.questions import choose_questions, lay_out, protocol_of
from core.training.sft_stage import Replies
from tests.unit.training.conftest import quick


def test_rows_of_like_length_stay_together():
    assert alike([7]) == [(7, [0])]
    assert alike([100, 60, 95, 58, 86, 50]) == [(100, [0, 2, 4]), (60, [1, 3]), (50, [5])]


def test_same_loss_and_gradients(base, snapshot):
    config = quick(base, snapshot)
    bench = Snapshot.load(snapshot).benchmark.split("train")
    protocol = protocol_of(config.prompt, thinking=False, seed=0)
    course = lay_out(bench, protocol, choose_questions(bench), batch=8, epochs=1, max_steps=1, seed=0)
    found = []
    for skipping in (False, True):
        model, processor = load_model(base, device="cpu", dtype=torch.float32)
        model.train()
        model.collect_statistics(True)
        language, sizes = model.model.language_model, []
        language.layers[0].register_forward_pre_hook(lambda _, inputs, sizes=sizes: sizes.append(inputs[0].shape[:2]))
        if skipping:
            skip_padding(language)
        batch = Replies(course, processor)(list(range(8)))
        answers = batch.pop("answers")
        logits = model(**batch, use_cache=False, logits_to_keep=3).logits[:, -3:-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        loss.backward()
        found.append((loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, sizes))
    (loss, gradients, whole), (other, others, parts) = found
    assert other == pytest.approx(loss, rel=1e-5)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, atol=1e-5, rtol=1e-3, msg=name)
    # Questions with one picture and with two: there was padding to skip.
    assert len(whole) == 1 and len(parts) > 1
    assert sum(rows * length for rows, length in parts) < 0.9 * whole[0][0] * whole[0][1]
