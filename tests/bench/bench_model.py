"""What sharing saves: a group of eight identical two-image questions, as in GRPO, with and without it.

On a GPU also a table of InternVL3's 1B and 8B shapes (random weights, bfloat16): time and memory per question.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import InternVLConfig

from core.model import EmitConfig, EmitForConditionalGeneration
from core.model.internvl import LayerTap
from core.model.tiny import build_tiny

GROUP = 8
TEXTS = {
    "InternVL3-1B": ("qwen2", 896, 4864, 24, 14, 2),
    "InternVL3-8B": ("qwen2", 3584, 18944, 28, 28, 4),
}


def timed(function: Callable[[], object], device: str, repeats: int = 5) -> tuple[float, float]:
    """Best (wall, processor) seconds."""
    wall, work = [], []
    for _ in range(repeats):
        start, started = time.perf_counter(), time.process_time()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        wall.append(time.perf_counter() - start)
        work.append(time.process_time() - started)
    return min(wall), min(work)


def vision_without_sharing(model: EmitForConditionalGeneration, pixels: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """The vision part as it was published: every tile of every copy, and for the map both pictures once more."""
    backbone = model.model
    tokens = backbone.get_image_features(pixels).pooler_output
    turned = []
    with torch.no_grad():
        for degrees in backbone.config.comparison_rotations:
            reference = torch.rot90(pixels[[pair[0] for pair in pairs]], degrees // 90, dims=(-2, -1))
            with LayerTap(backbone.vision_tower, backbone.config.comparison_layers) as tap:
                backbone.vision_tower(pixel_values=reference)
            turned.append(tap.states)
        with LayerTap(backbone.vision_tower, backbone.config.comparison_layers):
            backbone.vision_tower(pixel_values=pixels[[pair[1] for pair in pairs]])
    return tokens


def group_of_eight() -> None:
    torch.set_num_threads(2)
    pictures = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (112, 112, 3), dtype=np.uint8)) for seed in (1, 2)
    ]
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "comparison"}]}]
    for rotations in ((0,), (0, 90, 180, 270)):
        model, processor = build_tiny(None, rotations=rotations)
        text = processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = processor(text=[text] * GROUP, images=[pictures] * GROUP, return_tensors="pt")
        pixels, pairs = inputs["pixel_values"], [(2 * row, 2 * row + 1) for row in range(GROUP)]
        model.train()  # a trainable tower: nothing is kept between calls
        apart = timed(lambda m=model, p=pixels, c=pairs: vision_without_sharing(m, p, c), "cpu")
        shared = timed(lambda m=model, p=pixels, c=pairs: m.model._encode(p, c), "cpu")
        model.requires_grad_(False)
        model.model._encode(pixels, pairs)
        kept = timed(lambda m=model, p=pixels, c=pairs: m.model._encode(p, c), "cpu")
        print(
            f"group of {GROUP}, {len(rotations)} rotation(s): vision part {apart[0] * 1e3:.0f} ms without sharing, "
            f"{shared[0] * 1e3:.0f} ms with ({apart[0] / shared[0]:.1f}x, by processor time {apart[1] / shared[1]:.1f}x), "
            f"{kept[0] * 1e3:.0f} ms once a frozen tower's features are kept ({apart[0] / kept[0]:.0f}x)"
        )


def real_shapes() -> None:
    """Two 448-pixel pictures, 64 words of text, one forward pass; distinct pictures, so that nothing is shared."""
    print("shape          batch  s a question  GiB in all")
    for name, (kind, width, inner, layers, heads, key_value_heads) in TEXTS.items():
        text = {"model_type": kind, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
        text |= {"num_attention_heads": heads, "num_key_value_heads": key_value_heads, "vocab_size": 151674}
        base = InternVLConfig(vision_config={"attention_bias": True}, text_config=text, image_token_id=151667)
        config = EmitConfig.from_internvl(base, comparison_token_id=151674)
        torch.set_default_dtype(torch.bfloat16)
        with torch.device("cuda"):
            model = EmitForConditionalGeneration(config).eval()
        torch.set_default_dtype(torch.float32)
        model.model.features.limit = 0
        for batch in (1, 16):
            row = [*[config.image_token_id] * 256, 1, *[config.image_token_id] * 256, *range(64)]
            row += [config.comparison_token_id] * config.comparison_length
            ids = torch.tensor([row] * batch, device="cuda")
            pixels = torch.randn(2 * batch, 3, 448, 448, device="cuda", dtype=torch.bfloat16)
            torch.cuda.reset_peak_memory_stats()
            with torch.no_grad():
                wall, _ = timed(
                    lambda m=model, i=ids, p=pixels: m(input_ids=i, pixel_values=p, logits_to_keep=1), "cuda"
                )
            print(f"{name}  {batch:5}  {wall / batch:12.4f}  {torch.cuda.max_memory_allocated() / 2**30:10.1f}")
        del model
        torch.cuda.empty_cache()


def main() -> None:
    group_of_eight()
    if torch.cuda.is_available():
        real_shapes()
    else:
        print("no GPU here: the table of real shapes is left out")


if __name__ == "__main__":
    main()
