"""The few models that are loaded for people's questions: loaded once, kept while there is room, one question at a time.

torch is imported with the first model, in the thread that asked for it, so the pages stay quick. Training does not happen
here: it has processes of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NO_MEMORY, UserError, out_of_memory
from studio.placement import PLACEMENTS, comparison_settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from core.mmad import Benchmark, Protocol, Question, Sample

LIMIT = 2  # Compare needs two; a third takes the place of the one that was used least recently
SHIPPED = Path(__file__).resolve().parent.parent / "data" / "models"


@dataclass
class Loaded:
    """A model that is in memory; hold `lock` while it works."""

    model: Any
    processor: Any
    lock: threading.Lock = field(default_factory=threading.Lock)

    def comparison(self, lie: str) -> dict[str, Any]:
        """Window and rotations for pieces that lie so, in this model's patches."""
        return comparison_settings(lie, self.model.config.comparison_grid) if lie != PLACEMENTS[0] else {}


def _load(path: str) -> Loaded:
    from core.model import load_model

    # An adapter becomes one with its base: that answers faster, and its parts are found where a plain model has them.
    return Loaded(*load_model(path, merge=True))


def shipped() -> list[Path]:
    """The models that come with the studio, a tuned one before its base."""
    return sorted(SHIPPED.glob("emit-*"), reverse=True)


def first_model() -> Path:
    """The model that is asked when nobody has chosen one."""
    return next(iter(shipped()), SHIPPED / "emit-tiny")


class Models:
    """A bounded cache of loaded models by path.

    Args:
        limit: how many are kept at a time.
        load: how one is loaded; tests replace it.
    """

    def __init__(self, limit: int = LIMIT, load: Callable[[str], Loaded] = _load) -> None:
        self._limit, self._load = limit, load
        self._kept: OrderedDict[tuple[str, float], Loaded] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, float], threading.Lock] = {}

    def ready(self, path: str | Path) -> bool:
        """Whether the model is in memory, so that an answer can begin at once."""
        return _key(path) in self._kept

    def get(self, path: str | Path) -> Loaded:
        """The model, loaded now if it is not there; who asks for the same one meanwhile waits for it.

        Raises:
            UserError: there is no such model, or not enough memory for it.
        """
        key = _key(path)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                while len(self._kept) >= self._limit:
                    self._kept.popitem(last=False)
            try:
                loaded = self._load(key[0])
            except (OSError, ValueError, ImportError, RuntimeError, MemoryError) as error:
                if out_of_memory(error):
                    raise UserError("Not enough memory to load this model: close other programs.") from error
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise UserError(f"The model {key[0]} cannot be loaded: {reason}") from error
            with self._lock:
                self._kept[key] = loaded
                self._loading.pop(key, None)
            return loaded

    def clear(self) -> None:
        """Forget all models; those at work end first."""
        with self._lock:
            self._kept.clear()


def _key(path: str | Path) -> tuple[str, float]:
    """A model is known by its path and its time: a run that trained on has a new one."""
    folder = Path(path)
    try:
        return str(folder.resolve() if folder.exists() else path), folder.stat().st_mtime
    except OSError:
        return str(path), 0.0


def stream(
    loaded: Loaded, bench: Benchmark, sample: Sample, question: Question, protocol: Protocol, *, longest: int = 256
) -> Iterator[str]:
    """The reply to a question as it grows; every item is the whole text so far.

    Raises:
        UserError: a picture is missing, or the model failed.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

    from core.mmad import build_prompt

    prompt = build_prompt(bench, sample, question, protocol)
    text = loaded.processor.apply_chat_template(prompt.messages, add_generation_prompt=True, tokenize=False)
    pictures = [bench.path(path) for path in prompt.images]
    left = threading.Event()

    class Left(StoppingCriteria):
        """Ends the generation when nobody reads it any more."""

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return torch.full((input_ids.shape[0],), left.is_set(), device=input_ids.device)

    with loaded.lock:
        inputs = loaded.processor(text=[text], images=[pictures], return_tensors="pt", padding=True)
        inputs = inputs.to(loaded.model.device)
        streamer = TextIteratorStreamer(
            loaded.processor.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=120
        )
        problems: list[Exception] = []

        def work() -> None:
            try:
                with torch.inference_mode():
                    loaded.model.generate(
                        **inputs, max_new_tokens=longest, do_sample=False, streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([Left()]),
                    )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - told to the reader below, a thread has nobody above it
                problems.append(error)
                streamer.end()

        thread = threading.Thread(target=work, daemon=True, name="answer")
        thread.start()
        said = ""
        try:
            for piece in streamer:
                said += piece
                yield said
        finally:
            left.set()
            thread.join(timeout=60)
        if problems:
            failed = f"The model failed while answering ({type(problems[0]).__name__}: {problems[0]})."
            raise UserError(NO_MEMORY if out_of_memory(problems[0]) else failed)
        yield said


def difference(loaded: Loaded, query: Path | Image, reference: Path | Image, lie: str = "model") -> Image | None:
    """The query with the heatmap of its differences from the reference laid over; None when the model compares nothing.

    Args:
        lie: how the product's pieces lie (`studio.placement.PLACEMENTS`).
    """
    from core.heatmap import compare_pictures, overlay
    from core.pictures import open_image

    shown, normal = (open_image(p) if isinstance(p, Path) else p for p in (query, reference))
    with loaded.lock:
        found = compare_pictures(loaded.model, loaded.processor, shown, normal, **loaded.comparison(lie))
    return overlay(shown, found)
