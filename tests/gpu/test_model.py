"""On a GPU: the map in float32 and bfloat16, and the tiny model against itself on the CPU."""

from __future__ import annotations

import pytest
import torch

from core.heatmap import anomaly_map
from core.model.tiny import build_tiny
from tests.unit.model.conftest import SHAPE, batch, picture, question

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_the_map_equals_the_one_of_the_cpu(dtype, tolerance):
    torch.manual_seed(0)
    query = [torch.randn(3, 256, 64) for _ in range(2)]
    reference = [torch.randn(3, 4 * 256, 64) for _ in range(2)]
    expected = anomaly_map(query, reference, window=6)
    found = anomaly_map([x.to("cuda", dtype) for x in query], [x.to("cuda", dtype) for x in reference], window=6)
    assert found.is_cuda
    assert (found.float().cpu() - expected).abs().max() < tolerance


def test_the_model_equals_itself_on_the_cpu_and_generates():
    model, processor = build_tiny(None, **SHAPE)
    inputs = batch(processor, (question(), [picture(1), picture(2)]), (question(images=1, compare=False), [picture(3)]))
    with torch.no_grad():
        expected = model(**inputs).logits
        found = model.to("cuda")(**inputs.to("cuda")).logits.cpu()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    half = model.to(torch.bfloat16)
    assert half.generate(**inputs, max_new_tokens=4, do_sample=False).shape[0] == 2
    assert half.model.features.size > 0
