"""From a chat and pictures to tensors: tiles, thumbnails, and the placeholders that EMIT's model fills.

A message's content is a list of parts: text, `{"type": "image"}` and `{"type": "comparison"}`, which says "compare the first
picture (the reference) with the last one (the query) here". The chat format is InternVL3's.

transformers' own `InternVLProcessor` needs torchvision for its video part; this one does without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoProcessor, ProcessorMixin

from core.errors import UserError
from core.model.configuration import EmitConfig
from core.pictures import open_image, to_rgb

IMAGE, START, END, COMPARISON = "<IMG_CONTEXT>", "<img>", "</img>", "<COMP_CONTEXT>"
# Of the pixel values: ImageNet's, as InternVL takes them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESERVED = (IMAGE, START, END, COMPARISON, "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif part['type'] == 'comparison' %}{{ '<COMP_CONTEXT>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class EmitProcessor(ProcessorMixin):
    """Dynamic tiling and tokenising for EMIT.

    Args:
        image_processor: InternVL's (`GotOcr2ImageProcessorPil`, or the fast one on a machine with torchvision).
        tokenizer: knows the placeholders of this module.
        image_seq_length: tokens a tile takes.
        comparison_length: tokens a comparison takes; 0 leaves comparison parts out (nothing to show).
    """

    text_kwargs = {"padding_side": "left"}
    images_kwargs: Any = {"crop_to_patches": True}

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_seq_length: int = 256,
        comparison_length: int = 265,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE, **kwargs)
        self.image_seq_length = image_seq_length
        self.comparison_length = comparison_length
        self.image_token = IMAGE
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE)
        self.comparison_token_id = tokenizer.convert_tokens_to_ids(COMPARISON)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "pixel_values"]

    @property
    def unused_input_names(self) -> list[str]:
        return ["num_patches", "token_type_ids"]

    def match(self, config: EmitConfig) -> EmitProcessor:
        """Take the lengths from a model's configuration, for example after one of its parts was switched off."""
        self.image_seq_length = config.image_seq_length
        self.comparison_length = config.comparison_length
        return self

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        """Tensors of a batch.

        Args:
            images: pictures of each text, references first, the query last: a list of lists for several texts (a flat list
                in order does too). Grey, 16-bit and RGBA pictures are converted; paths are opened.
            text: rendered prompts, one placeholder token for each picture and comparison.
            kwargs: as of any processor (`return_tensors="pt"`, `padding=True`, ...). Batches are padded on the left.

        Returns:
            `input_ids`, `attention_mask` [B, T] and `pixel_values` [all tiles, 3, h, w], the thumbnail of each picture
            being its last tile.

        Raises:
            UserError: pictures and placeholders do not match.
        """
        if text is None:
            raise UserError("The processor was given pictures but no text: render a prompt with apply_chat_template.")
        texts = [text] if isinstance(text, str) else list(text)
        pictures = _nested(images, texts)
        texts = [self._expand(prompt, shown) for prompt, shown in zip(texts, pictures, strict=True)]
        flat = [picture for shown in pictures for picture in shown]
        return super().__call__(images=flat or None, text=texts, **kwargs)

    def _expand(self, text: str, pictures: Sequence[Any]) -> str:
        placeholders, comparisons = text.count(IMAGE), text.count(COMPARISON)
        if placeholders != len(pictures):
            raise UserError(
                f"The prompt has {placeholders} image parts but {len(pictures)} pictures were given: "
                "give one picture for each image part."
            )
        if comparisons > 1:
            raise UserError("The prompt has more than one comparison part: keep one, at the end of the user's turn.")
        if comparisons and len(pictures) < 2:
            raise UserError(
                f"A comparison needs a reference and a query picture, but there is {len(pictures)}: "
                "add the reference, or leave the comparison part out."
            )
        return text.replace(COMPARISON, COMPARISON * self.comparison_length)

    def replace_image_token(self, image_inputs: Mapping[str, Any], image_idx: int, **kwargs: Any) -> str:
        tiles = int(image_inputs["num_patches"][image_idx])
        return f"{START}{IMAGE * self.image_seq_length * tiles}{END}"

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """Render chats; see transformers. Text that holds a reserved token is refused, as it would stand for a picture."""
        batched = bool(conversation) and isinstance(conversation[0], list | tuple)
        for messages in conversation if batched else [conversation]:
            for message in messages:
                _refuse_reserved(message.get("content"))
        return super().apply_chat_template(conversation, *args, **kwargs)

    def thumbnail(self, picture: Any) -> Any:
        """The whole picture as one tile: float tensor [1, 3, h, w], as the last tile of `pixel_values`."""
        return self.image_processor(images=[_open(picture)], crop_to_patches=False, return_tensors="pt")["pixel_values"]


def _refuse_reserved(content: Any) -> None:
    texts = [content] if isinstance(content, str) else [part.get("text") or "" for part in content or ()]
    for text in texts:
        for token in RESERVED:
            if token in text:
                raise UserError(f"The text contains {token}, which is reserved: write it differently.")


def _nested(images: Any, texts: Sequence[str]) -> list[list[Any]]:
    """Pictures of each text, opened and converted."""
    if images is None:
        return [[] for _ in texts]
    if not isinstance(images, list | tuple):
        images = [images]
    if any(isinstance(item, list | tuple) or item is None for item in images):
        if len(images) != len(texts):
            raise UserError(f"{len(texts)} texts but {len(images)} lists of pictures were given: give one list a text.")
        return [[_open(item) for item in shown or ()] for shown in images]
    # A flat list is dealt out in order; a wrong total is noticed when placeholders are counted.
    nested, taken = [], 0
    for row, text in enumerate(texts):
        count = text.count(IMAGE) if row < len(texts) - 1 else len(images) - taken
        nested.append([_open(item) for item in images[taken : taken + count]])
        taken += count
    return nested


def _open(picture: Any) -> Any:
    if isinstance(picture, str | Path):
        return open_image(picture)
    return to_rgb(picture) if isinstance(picture, Image.Image) else picture


AutoProcessor.register(EmitConfig, EmitProcessor)
