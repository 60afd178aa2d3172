"""Who writes the texts of text samples: a model, or nobody (put together from what is measured and known)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import UserError
from core.files import digest
from core.mmad import GOOD, Benchmark, Sample
from core.pictures import open_image
from core.synthesis.descriptions.colors import describe_picture
from core.synthesis.descriptions.costs import Prices
from core.synthesis.descriptions.endpoint import Endpoint
from core.synthesis.descriptions.items import Shown, picture_path
from core.synthesis.descriptions.running import Progress, Runner
from core.synthesis.descriptions.store import Store
from core.synthesis.descriptions.suggestions import OFFLINE, Failure, Usage
from core.synthesis.descriptions.wording import Ask, Prompts, build_ask
from core.synthesis.regions import WORDINGS

# "In the top left of the picture: ..."; the wordings of a region fit into this.
_AT = "In the {place} of the picture: "


@dataclass(frozen=True, slots=True)
class Draft:
    """A text sample before it is written.

    Attributes:
        label: "good" or the defect to simulate.
        place: its region of the 3 x 3 grid, None for a normal one.
        look: a sentence of the knowledge about the defect, or about the normal product.
        picture: the normal picture that is put into words.
        templates: normal pictures to show as reference.
        splits: where all of these pictures come from.
    """

    dataset: str
    product: str
    label: str
    place: int | None
    look: str
    picture: Sample
    templates: tuple[str, ...]
    splits: tuple[str, ...]


class OfflineAuthor:
    """Puts texts together from what is measured and what the knowledge says."""

    name = OFFLINE

    def __init__(self, bench: Benchmark, seed: int) -> None:
        self.bench, self.seed = bench, seed

    def estimate(self, drafts: Sequence[Draft]) -> Usage:
        return Usage()

    def write(
        self,
        drafts: Sequence[Draft],
        failures: list[Failure],
        progress: Progress | None,
        stop: Callable[[], bool] | None,
    ) -> tuple[list[str | None], Usage, bool]:
        texts: list[str | None] = [None] * len(drafts)
        seen: dict[str, str | UserError] = {}
        for i, draft in enumerate(drafts):
            if stop and stop():
                return texts, Usage(), True
            image = draft.picture.image
            if image not in seen:
                seen[image] = self._base(draft)
                if isinstance(seen[image], UserError):
                    failures.append(Failure(draft.dataset, draft.product, GOOD, str(seen[image])))
            base = seen[image]
            if isinstance(base, str):
                texts[i] = compose(base, draft, self.seed)
            if progress:
                progress(i + 1, len(drafts))
        return texts, Usage(), False

    def _base(self, draft: Draft) -> str | UserError:
        try:
            picture = open_image(picture_path(self.bench, draft.picture.image))
        except UserError as error:
            return error
        return describe_picture([picture], draft.product, normal=False)


class OnlineAuthor:
    """Has a model write the texts: first the pictures, then the anomalies simulated on them."""

    def __init__(
        self, bench: Benchmark, endpoint: Endpoint, prompts: Prompts, prices: Prices, store: Store, seed: int
    ) -> None:
        self.bench, self.endpoint, self.prompts, self.prices, self.store = bench, endpoint, prompts, prices, store
        self.name, self.seed = endpoint.model, seed

    def estimate(self, drafts: Sequence[Draft]) -> Usage:
        asks = {ask.text + str(ask.shown): ask for ask in (self._picture(d) for d in drafts)}
        simulated = [self._simulated(d, "x" * 400) for d in drafts if d.label != GOOD]
        return self.prices.estimate([*asks.values(), *simulated])

    def write(
        self,
        drafts: Sequence[Draft],
        failures: list[Failure],
        progress: Progress | None,
        stop: Callable[[], bool] | None,
    ) -> tuple[list[str | None], Usage, bool]:
        images = {d.picture.image: d for d in drafts}
        total = len(images) + sum(d.label != GOOD for d in drafts)
        done = 0

        def tick(count: int = 1) -> None:
            nonlocal done
            done += count
            if progress:
                progress(min(done, total), total)

        runner = Runner(self.endpoint, self.store, stop=stop, tick=tick)
        bases = self._ask(runner, {image: self._picture(d) for image, d in images.items()}, failures, images)
        simulated = {
            str(i): self._simulated(d, bases[d.picture.image])
            for i, d in enumerate(drafts)
            if d.label != GOOD and d.picture.image in bases
        }
        found = (
            {} if runner.stopped else self._ask(runner, simulated, failures, {str(i): d for i, d in enumerate(drafts)})
        )
        texts: list[str | None] = []
        for i, draft in enumerate(drafts):
            base = bases.get(draft.picture.image)
            if draft.label == GOOD:
                texts.append(compose(base, draft, self.seed) if base else None)
            else:
                text = found.get(str(i))
                # A text that lost its place would make the right answer wrong: then it is put together instead.
                texts.append(
                    compose(base, draft, self.seed) if text and base and not _names(text, draft.place) else text
                )
        return texts, runner.usage(self.prices), runner.stopped

    def _ask(
        self, runner: Runner, asks: dict[str, Ask], failures: list[Failure], drafts: dict[str, Draft]
    ) -> dict[str, str]:
        """Name -> text; what failed is listed."""
        keys: dict[str, str] = {}
        for name, ask in asks.items():
            try:
                keys[name] = ask.hash(self.endpoint.model, self.endpoint.options)
            except UserError as error:
                failures.append(Failure(drafts[name].dataset, drafts[name].product, drafts[name].label, str(error)))
        results = runner.run({key: asks[name] for name, key in keys.items()})
        for name, key in keys.items():
            if key in results.failures:
                d = drafts[name]
                failures.append(Failure(d.dataset, d.product, d.label, str(results.failures[key])))
        return {n: " ".join(results.answers[k].description.split()) for n, k in keys.items() if k in results.answers}

    def _picture(self, draft: Draft) -> Ask:
        shown = [Shown("normal", draft.picture.image)]
        return build_ask(self.prompts, "picture", self.bench, shown, product=draft.product, dataset=draft.dataset)

    def _simulated(self, draft: Draft, normal: str) -> Ask:
        words = {"product": draft.product, "dataset": draft.dataset, "defect": draft.label, "normal": normal}
        place = WORDINGS[draft.place or 0][0]
        return build_ask(self.prompts, "simulated", self.bench, (), place=place, knowledge=draft.look, **words)


def compose(base: str, draft: Draft, seed: int) -> str:
    """A normal description with one more sentence: a trait of the product, or the anomaly at its place."""
    if draft.place is None:
        return f"{base} {draft.look}".strip()
    order = random.Random(digest([seed, draft.picture.image, draft.label, draft.place]))
    return f"{base} {_AT.format(place=order.choice(WORDINGS[draft.place]))}{draft.look[:1].lower()}{draft.look[1:]}"


def _names(text: str, place: int | None) -> bool:
    words = " ".join(re.findall(r"[a-z]+", text.lower()))
    return place is None or any(wording in words for wording in WORDINGS[place])
