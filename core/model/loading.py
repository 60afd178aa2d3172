"""One way to load a model from any place it may lie in.

Every weight of the base must arrive. transformers only warns about one that did not and leaves it random; here that is an
error. Only the soft prompt and the map's projector may be new, and the log says so.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, GotOcr2ImageProcessorPil

from core.errors import UserError
from core.model.configuration import EmitConfig
from core.model.layouts import KINDS, Checkpoint, check_base, find_checkpoint, readable_errors
from core.model.modeling import EmitForConditionalGeneration
from core.model.processing import COMPARISON, END, IMAGE, MEAN, START, STD, EmitProcessor

log = logging.getLogger(__name__)


def load_model(
    name_or_path: str | Path,
    *,
    device: Any = None,
    dtype: Any = None,
    quantize: str | None = None,
    merge: bool = False,
) -> tuple[EmitForConditionalGeneration, EmitProcessor]:
    """Load an EMIT checkpoint, an InternVL3 or InternVL3.5 `-hf` checkpoint, a run folder, or a LoRA adapter.

    Args:
        name_or_path: a folder or a name on the hub. Of a run folder, `final/` is taken. An adapter's base is looked for
            where its configuration says and beside it, and may itself be an adapter or a run.
        device: None takes the GPU if there is one; "auto" spreads the model over all devices.
        dtype: None takes bfloat16 on a GPU and float32 on a CPU; "auto" what the checkpoint was saved in.
        quantize: "4bit" or "8bit" (needs a GPU and bitsandbytes).
        merge: merge an adapter into its base, which may then be the base of another; otherwise it stays a `PeftModel` that
            can be switched off.

    Returns:
        (model in eval mode, processor).

    Raises:
        UserError: nothing there, another architecture, a base weight that did not arrive, an adapter of another base,
            too little memory, no bitsandbytes.
    """
    found = find_checkpoint(name_or_path)
    placement = _placement(device, dtype, quantize)
    if found.kind == "adapter":
        return _with_adapter(found, placement, merge)
    return _load(found, placement)


def _placement(device: Any, dtype: Any, quantize: str | None) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here: leave the device out, or choose cpu.")
    if dtype is None:
        dtype = torch.float32 if str(device) == "cpu" else torch.bfloat16
    placement: dict[str, Any] = {"dtype": dtype, "device_map": device if str(device) == "auto" else {"": str(device)}}
    if quantize is None:
        return placement
    if quantize not in {"4bit", "8bit"}:
        raise UserError(f"quantize must be 4bit or 8bit, not {quantize}.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(f"Loading in {quantize} needs bitsandbytes: run `pip install bitsandbytes` on a CUDA machine.")
    from transformers import BitsAndBytesConfig

    # The comparison reads the vision tower's features, and the projectors are small: both stay in full precision.
    keep = ["vision_tower", "multi_modal_projector", "contrastive", "lm_head"]
    placement["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=quantize == "4bit",
        load_in_8bit=quantize == "8bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype if isinstance(dtype, torch.dtype) else torch.bfloat16,
        llm_int8_skip_modules=keep,
    )
    return placement


def _load(
    found: Checkpoint, placement: dict[str, Any], config: EmitConfig | None = None
) -> tuple[EmitForConditionalGeneration, EmitProcessor]:
    path = found.path
    if found.kind == "release":
        raise UserError(
            f"{path} is in InternVL's original layout: run `python -m core.model convert {path} TARGET` first."
        )
    if found.kind == "other":
        raise UserError(f"{path} is a {found.architecture} model: EMIT takes InternVL3, InternVL3.5 (-hf) or EMIT.")
    with readable_errors(path):
        base: Any = AutoConfig.from_pretrained(path)
        kind = KINDS.get(base.model_type, "other")
        if kind not in {"emit", "internvl"}:
            return _load(Checkpoint(kind, path, architecture=base.model_type), placement)
        processor = load_processor(path, config or base)
        if config is None:
            config = base if kind == "emit" else EmitConfig.from_internvl(base)
            config.comparison_token_id = processor.comparison_token_id
        read: Any = EmitForConditionalGeneration.from_pretrained
        model, report = read(path, config=config, output_loading_info=True, **placement)
    missing = sorted(report["missing_keys"])
    new = [name for name in missing if name.startswith("model.contrastive.")]
    lost = [name for name in missing if name not in new]
    if lost or (new and kind == "emit"):
        names = ", ".join((lost or new)[:3])
        raise UserError(
            f"{path}: {len(lost or new)} weights did not arrive ({names}, ...): the files are incomplete or of another model."
        )
    if report["unexpected_keys"]:
        log.warning("%s: left aside %d weights that EMIT has no use for", path, len(report["unexpected_keys"]))
    if new:
        model.start_soft_prompt(processor.tokenizer)
        log.warning(
            "%s is a base model: soft prompt (from a phrase's embeddings) and map projector (random) are new, to be trained",
            path,
        )
    return model.eval(), processor.match(model.config)


def load_processor(path: str, config: Any) -> EmitProcessor:
    """The processor saved with a checkpoint, or one made from a base model's tokenizer and image settings."""
    if config.model_type == "emit":
        return EmitProcessor.from_pretrained(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    for token in (IMAGE, START, END):
        if token not in tokenizer.get_vocab():
            raise UserError(f"The tokenizer of {path} lacks {token}: it is not InternVL's.")
    if COMPARISON not in tokenizer.get_vocab():
        # Its id may lie beyond the embedding matrix, which stays as it is: the id is never looked up.
        tokenizer.add_tokens([COMPARISON], special_tokens=True)
    try:
        images = AutoImageProcessor.from_pretrained(path)
    except (OSError, ValueError, ImportError):
        height, width = config.vision_config.image_size
        images = GotOcr2ImageProcessorPil(
            size={"height": height, "width": width}, image_mean=MEAN, image_std=STD, min_patches=1, max_patches=12
        )
    return EmitProcessor(images, tokenizer, image_seq_length=config.image_seq_length)


def _with_adapter(
    found: Checkpoint, placement: dict[str, Any], merge: bool, config: Any = None
) -> tuple[Any, EmitProcessor]:
    from peft import PeftModel

    folder = Path(found.path)
    # Settings of the comparison may have been changed in training; they lie beside the adapter then.
    if config is None and (folder / "config.json").exists():
        config = EmitConfig.from_pretrained(folder)
    base = find_checkpoint(found.base or "")
    check_base(folder, base)
    if base.kind == "adapter":
        model, processor = _with_adapter(base, placement, True, config)
    else:
        model, processor = _load(base, placement, config)
    if (folder / "processor_config.json").exists():
        processor = EmitProcessor.from_pretrained(folder).match(model.config)
    with readable_errors(folder):
        tuned = PeftModel.from_pretrained(model, str(folder))
    if merge:
        tuned = tuned.merge_and_unload()
        tuned.name_or_path = str(folder)  # an adapter trained from here is of the two together, not of the base alone
    return tuned.eval(), processor
