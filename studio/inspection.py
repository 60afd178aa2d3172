"""Inspecting pictures that belong to no benchmark: does it have a defect, of which type, where, and why.

Each picture becomes a sample with the same questions and prompts as in training, shown beside its golden references. The
probability of "there is a defect" is that of the letter that says so. Types are asked four at a time, the winners against
each other, because a question has four options. The place is asked among the four regions that differ most from the
references; without a reference nothing can be compared, and no place is given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from core.mmad import Benchmark, Protocol, Question, Sample, Task

if TYPE_CHECKING:
    from studio.models import Loaded

LARGE = 960  # a heatmap is shown at this size; more is not seen
LETTERS = "ABCD"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Wish:
    """What a person gives besides the pictures.

    Attributes:
        product: its name, "" if it has none.
        kinds: the defect types to choose from.
        texts: "good" or defect -> description, put into the prompt as in training.
        threshold: P(defect) from which a picture counts as defective.
        explain: let the model reason in words, which takes longer.
        lie: how the product's pieces lie (`studio.placement.PLACEMENTS`).
    """

    product: str = ""
    kinds: tuple[str, ...] = ()
    texts: dict[str, str] | None = None
    threshold: float = 0.5
    explain: bool = False
    lie: str = "model"


@dataclass(frozen=True)
class Verdict:
    """What the model says about one picture.

    Attributes:
        p_defect: probability of a defect, 0 to 1.
        kind, place: type and region of the defect; "" when not asked or not defective.
        difference: largest value of the heatmap, None without a reference.
        reasoning: the model's own words, "" unless asked for.
        picture, heat: for the page; not part of exports.
    """

    name: str
    p_defect: float
    threshold: float
    kind: str = ""
    place: str = ""
    difference: float | None = None
    reasoning: str = ""
    picture: Image.Image | None = None
    heat: Image.Image | None = None

    @property
    def defective(self) -> bool:
        return self.p_defect >= self.threshold

    def row(self) -> dict[str, Any]:
        """For CSV and JSON."""
        kept = ("p_defect", "threshold", "kind", "place", "difference", "reasoning")
        verdict = "defective" if self.defective else "good"
        return {"name": self.name, "verdict": verdict, **{name: getattr(self, name) for name in kept}}


def inspect_pictures(
    loaded: Loaded,
    pictures: Sequence[tuple[str, Image.Image]],
    references: Sequence[Image.Image],
    wish: Wish,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Verdict]:
    """A verdict for every picture (name, picture), one after the other.

    Raises:
        UserError: the model cannot answer.
    """
    with tempfile.TemporaryDirectory(prefix="emit-inspect-") as folder:
        root = Path(folder)
        normal = [_place(root, f"good/{number}.png", picture) for number, picture in enumerate(references)]
        for number, (name, picture) in enumerate(pictures):
            image = _place(root, f"{UNKNOWN}/{number}.png", picture)
            heat = compare(loaded, picture, references, wish.lie)
            yield _judge(_Asking(loaded, root, image, normal, wish), name, picture, heat)
            if progress:
                progress(number + 1, len(pictures))


def compare(
    loaded: Loaded, picture: Image.Image, references: Sequence[Image.Image], lie: str = "model"
) -> np.ndarray | None:
    """The anomaly map [H, W] against the reference that fits best at each place; None without a reference."""
    from core.heatmap import compare_pictures

    if not references:
        return None
    settings = loaded.comparison(lie)
    with loaded.lock:
        maps = [
            compare_pictures(loaded.model, loaded.processor, picture, reference, **settings) for reference in references
        ]
    return np.min(maps, axis=0)


def hottest_regions(heat: np.ndarray) -> tuple[str, ...]:
    """The four regions of the 3 x 3 grid with the highest values, hottest first.

    >>> heat = np.zeros((9, 9)); heat[8, 0] = 1; hottest_regions(heat)[0]
    'bottom left'
    """
    from core.synthesis import REGIONS

    peaks = [block.max() for row in np.array_split(heat, 3) for block in np.array_split(row, 3, axis=1)]
    order = sorted(range(9), key=lambda cell: -peaks[cell])
    return tuple(REGIONS[cell] for cell in order[:4])


@dataclass(frozen=True)
class _Asking:
    """One picture and the way to ask about it."""

    loaded: Loaded
    root: Path
    image: str
    references: Sequence[str]
    wish: Wish

    def answer(self, task: Task, options: Sequence[str], *, written: bool = False) -> Any:
        """The row of the answer table for one question."""
        from core.evaluation import answer_questions
        from core.synthesis.questions import TEXTS

        letters = dict(zip(LETTERS, options, strict=False))
        # The label only says which letter means "defect"; the model does not see it.
        question = Question(TEXTS[task], letters, "A", task.value)
        dataset, product = self.image.split("/")[:2]
        sample = Sample(
            self.image,
            dataset,
            product,
            defect=UNKNOWN,
            questions=(question,),
            similar_templates=tuple(self.references),
        )
        texts = self.wish.texts or {}
        bench = Benchmark(self.root, (sample,), {dataset: {product: texts}} if texts else {})
        protocol = Protocol(
            shots=len(self.references), knowledge=bool(texts), thinking=written,
            answering="generate" if written else "letters",
        )  # fmt: skip
        with self.loaded.lock:
            return answer_questions(
                self.loaded.model, self.loaded.processor, bench, protocol=protocol, shard=(0, 1), name="inspect"
            ).iloc[0]

    def best(self, task: Task, options: Sequence[str]) -> str:
        """The likeliest of any number of options: in rounds of four."""
        left = list(dict.fromkeys(options))
        while len(left) > 1:
            rounds = [left[start : start + 4] for start in range(0, len(left), 4)]
            left = [self._pick(task, group) if len(group) > 1 else group[0] for group in rounds]
        return left[0] if left else ""

    def _pick(self, task: Task, group: Sequence[str]) -> str:
        letter = self.answer(task, group)["answer"]
        return group[LETTERS.index(letter)] if isinstance(letter, str) and letter in LETTERS[: len(group)] else group[0]


def _judge(asking: _Asking, name: str, picture: Image.Image, heat: np.ndarray | None) -> Verdict:
    from core.heatmap import overlay

    wish = asking.wish
    p = float(asking.answer(Task.DISCRIMINATION, ["Yes.", "No."])["p_defect"])
    bad = p >= wish.threshold
    shown = picture.copy()
    shown.thumbnail((LARGE, LARGE))
    return Verdict(
        name, p, wish.threshold,
        kind=asking.best(Task.DEFECT_CLASSIFICATION, wish.kinds) if bad else "",
        place=asking.best(Task.DEFECT_LOCALIZATION, hottest_regions(heat)) if bad and heat is not None else "",
        difference=None if heat is None else float(heat.max()),
        reasoning=str(asking.answer(Task.DISCRIMINATION, ["Yes.", "No."], written=True)["reply"]) if wish.explain else "",
        picture=shown, heat=None if heat is None else overlay(shown, heat, box=bad),
    )  # fmt: skip


def _place(root: Path, name: str, picture: Image.Image) -> str:
    image = f"inspected/product/{name}"
    path = root / image
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return image
