"""A tiny EMIT: InternVL's architecture in about three million parameters, with a tokenizer of its own.

Every joint is real (vision tower, pixel shuffle, language model, chat format, comparison), so that the whole loop runs on
two CPU cores. Weights are random: pretraining is the business of `core.demo`.

The tokenizer has a token for every word of our prompts; any other text, in any language, still comes out as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import GotOcr2ImageProcessorPil, PreTrainedTokenizerFast, Qwen2Config
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

from core.errors import UserError
from core.model.configuration import EmitConfig
from core.model.modeling import EmitForConditionalGeneration
from core.model.processing import COMPARISON, END, IMAGE, MEAN, START, STD, EmitProcessor
from core.model.words import SENTENCES, WORDS

LETTERS = "ABCD"  # tokens of any vocabulary, however small: answers are made of them


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers on the CPU from `seed` on; afterwards as if none had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def build_tiny(
    folder: str | Path | None = None,
    *,
    seed: int = 0,
    texts: Iterable[str] = (),
    vocabulary: int = 2048,
    image_size: int = 112,
    patch_size: int = 8,
    max_tiles: int = 1,
    vision_width: int = 160,
    vision_layers: int = 6,
    vision_heads: int = 5,
    width: int = 128,
    layers: int = 5,
    heads: int = 4,
    key_value_heads: int = 4,
    window: int = 3,
    rotations: Sequence[int] = (0,),
    **settings: Any,
) -> tuple[EmitForConditionalGeneration, EmitProcessor]:
    """Make a tiny checkpoint with random weights, and save it when `folder` is given.

    Args:
        seed: of the weights.
        texts: further texts whose words shall be single tokens (question texts of a benchmark, product names).
        vocabulary: largest number of tokens.
        image_size, patch_size: of a tile, in pixels; the default makes a grid of 14 x 14 patches and 49 image tokens.
        max_tiles: dynamic tiles of a picture beside its thumbnail; 1 means the thumbnail alone.
        window, rotations, settings: of the comparison, see `EmitConfig`. Demo products are aligned, so the default
            compares a small window and no rotations.

    Returns:
        (model in float32 and eval mode, processor).
    """
    grid = image_size // patch_size
    if image_size % patch_size or grid % 2:
        raise UserError(f"A tile of {image_size} px must hold an even number of patches of {patch_size} px.")
    tokenizer = build_tokenizer(texts, vocabulary=vocabulary)
    token: Any = tokenizer.convert_tokens_to_ids
    config = EmitConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=vision_width,
            num_hidden_layers=vision_layers,
            num_attention_heads=vision_heads,
            intermediate_size=4 * vision_width,
            image_size=image_size,
            patch_size=patch_size,
            attention_bias=True,
        ),
        text_config=Qwen2Config(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=key_value_heads,
            intermediate_size=8 * width // 3,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        tie_word_embeddings=True,
        image_token_id=token(IMAGE),
        comparison_token_id=token(COMPARISON),
        image_seq_length=(grid // 2) ** 2,
        comparison_window=window,
        comparison_rotations=tuple(rotations),
        **settings,
    )
    with seeded(seed):
        model = EmitForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.start_soft_prompt(tokenizer)
    images = GotOcr2ImageProcessorPil(
        size={"height": image_size, "width": image_size},
        image_mean=MEAN,
        image_std=STD,
        min_patches=1,
        max_patches=max_tiles,
        crop_to_patches=max_tiles > 1,
    )
    processor = EmitProcessor(images, tokenizer).match(config)
    if folder is not None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return model, processor


def build_tokenizer(texts: Iterable[str] = (), *, vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """Every word of our prompts and of `texts` is one token, wherever it stands; any other text comes out as bytes.

    A word is the same token at the start of a sentence, behind a line break or inside a tag: a tiny model has no time to
    learn that "Scratch" and "scratch" are one word. The price: decoded text begins words in lower case.
    """
    pieces = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r'[.,:;!?“”"()\n]'), "isolated"),
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    uncased = normalizers.Sequence(
        [normalizers.Replace(Regex(rf"\b{letter}(?=[a-z])"), letter.lower()) for letter in ascii_uppercase]
        # The article is no letter of an option.
        + [normalizers.Replace(Regex(r"\bA(?= [a-z])"), "a")]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = dict.fromkeys([*alphabet, *(f"##{letter}" for letter in alphabet), "[UNK]"])
    for text in [" ".join(map(str, range(21))), *SENTENCES, *texts, *WORDS, "\n"]:
        for piece, _ in pieces.pre_tokenize_str(uncased.normalize_str(text)):
            if len(entries) < vocabulary - 16 or piece[-1:] in LETTERS:
                entries.setdefault(piece)
    tokenizer = Tokenizer(
        models.WordPiece(
            {entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]", max_input_chars_per_word=10**6
        )
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = uncased, pieces
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("##", ""), decoders.ByteLevel(), decoders.Replace(Regex(r" (?=[.,:;!?”)])"), ""),
         decoders.Replace(Regex(r" ?\n ?"), "\n"), decoders.Replace(Regex(r"(?<=>) | (?=<)|^ "), "")]
    )  # fmt: skip
    # Marks of thinking are ordinary text to the reader of an answer, but one token each.
    marks = ("<think>", "</think>", "<answer>", "</answer>")
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in marks])
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", START, END, IMAGE, COMPARISON]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="[UNK]",
        padding_side="left",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        additional_special_tokens=["<|im_start|>", START, END, IMAGE, COMPARISON],
    )
