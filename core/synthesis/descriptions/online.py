"""Descriptions by a vision model behind any OpenAI-compatible endpoint (EMIT, "GPT-written descriptions").

First every defect of every product is described, then each product's normal state, which is told the defect texts. A text
is a suggestion: nothing is written into a benchmark here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UserError
from core.mmad import GOOD, Benchmark
from core.synthesis.descriptions.asking import Answer
from core.synthesis.descriptions.batches import BatchRunner
from core.synthesis.descriptions.costs import Prices, load_prices
from core.synthesis.descriptions.endpoint import Endpoint, Transient, Unsupported
from core.synthesis.descriptions.items import Item, choose_items, in_order
from core.synthesis.descriptions.running import Progress, Runner
from core.synthesis.descriptions.store import Store
from core.synthesis.descriptions.suggestions import OFFLINE, Failure, Key, Outcome, Suggestion, Usage, written
from core.synthesis.descriptions.wording import Ask, Prompts, build_ask, load_prompts

# Stands for a defect text that is not written yet, when a normal text's prompt is estimated.
_TYPICAL_TEXT = "x" * 700


def describe(
    bench: Benchmark,
    model: str | None = None,
    *,
    endpoint: Endpoint | None = None,
    products: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    only_missing: bool = False,
    cache: str | Path | None = None,
    prompts: str | Path | None = None,
    prices: str | Path | None = None,
    seed: int = 0,
    variant: int = 0,
    batch: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Suggest a description for every (dataset, product, "good" or defect) of `bench`.

    Args:
        model: name of a vision model on the server, or "offline" for the describer that measures; or give `endpoint`.
        products: "bolt" or "shop/bolt"; all by default.
        labels: "good" and defect names; all by default.
        only_missing: leave out what the benchmark's knowledge already has a text for.
        cache: folder of answers; a killed or failed run called again with it goes on where it was.
        prompts, prices: files in place of the ones that ship.
        seed: chooses the pictures shown.
        variant: another number asks again for another text.
        batch: use the Batch API (cheaper, up to a day); the call waits, and may be stopped and made again.
        dry_run: ask nothing; gives what the cache holds and the estimate for the rest. Needs no key.
        progress: called with (done, total).
        stop: asked every 0.1 s; True cancels.

    Raises:
        UserError: no key, wrong key, unknown model, no network, an unreadable prompts file. Texts that failed alone
            (refused, timed out, damaged picture) are listed in `Outcome.failures` instead.
    """
    if endpoint is None and model == OFFLINE:
        from core.synthesis.descriptions.offline import describe_offline

        return describe_offline(
            bench, products=products, labels=labels, only_missing=only_missing, seed=seed, progress=progress, stop=stop
        )
    endpoint = endpoint or Endpoint(model or "")
    items, failures = choose_items(bench, products, labels, only_missing=only_missing, seed=seed)
    job = _Job(
        bench, endpoint, load_prompts(prompts), load_prices(endpoint.model, prices), Store(cache), variant, batch
    )
    estimate = job.look_up(items)
    if not dry_run:
        job.suggestions.clear()
        job.run(items, progress, stop)
    ordered = tuple(job.suggestions[item.key] for item in items if item.key in job.suggestions)
    return Outcome(ordered, (*failures, *job.failures), estimate, job.usage, job.stopped)


@dataclass
class _Job:
    """One run of `describe`: the settings, and what has been written so far."""

    bench: Benchmark
    endpoint: Endpoint
    prompts: Prompts
    prices: Prices
    store: Store
    variant: int
    batch: bool
    suggestions: dict[Key, Suggestion] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False

    def look_up(self, items: Sequence[Item]) -> Usage:
        """Take what the cache holds and estimate the rest."""
        missing: dict[str, Ask] = {}
        for item in _defects_first(items):
            unwritten = [i for i in items if i.key[:2] == item.key[:2] and i.key not in self.suggestions]
            ask = self._ask(item, {i.label: _TYPICAL_TEXT for i in unwritten if i.label != GOOD})
            try:
                key = self._hash(ask)
            except UserError:
                continue  # listed when the run meets it
            answer = self.store.get(key)
            if answer is None:
                missing[key] = ask
            else:
                self.suggestions[item.key] = self._suggestion(item, key, answer, cached=True)
        return self.prices.estimate(missing.values(), cached=len(self.suggestions), batch=self.batch)

    def run(self, items: Sequence[Item], progress: Progress | None, stop: Callable[[], bool] | None) -> None:
        """Defects first, then the normal texts of those products whose defects are through."""
        done = 0

        def tick(count: int = 1) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, len(items))

        kind = BatchRunner if self.batch else Runner
        runner = kind(self.endpoint, self.store, stop=stop, tick=tick)
        waiting: set[tuple[str, str]] = set()
        for wave in ([i for i in items if i.label != GOOD], [i for i in items if i.label == GOOD]):
            ready = [item for item in wave if item.key[:2] not in waiting]
            for item in (item for item in wave if item.key[:2] in waiting):
                # Written now it would lack a text, and be asked and paid again once that is there.
                self.failures.append(Failure(*item.key, "It waits for defect texts that failed: run again."))
                tick()
            for item, error in self._write(ready, runner, tick):
                self.failures.append(Failure(*item.key, str(error)))
                if isinstance(error, Transient | Unsupported):
                    waiting.add(item.key[:2])
            if runner.stopped:
                break
        self.stopped = runner.stopped
        cached = sum(s.cached for s in self.suggestions.values())
        self.usage = runner.usage(self.prices, cached=cached, batch=self.batch)

    def _write(
        self, items: Sequence[Item], runner: Runner, tick: Callable[[], None]
    ) -> Iterator[tuple[Item, UserError]]:
        """Write one wave; yields the items that failed."""
        asks: dict[str, Ask] = {}
        keys: dict[Key, str] = {}
        for item in items:
            ask = self._ask(item)
            try:
                keys[item.key] = self._hash(ask)
            except UserError as error:
                tick()
                yield item, error
                continue
            if keys[item.key] in asks:
                tick()  # two places with the same prompt and pictures share one answer
            asks[keys[item.key]] = ask
        results = runner.run(asks)
        for item in items:
            key = keys.get(item.key, "")
            if key in results.answers:
                self.suggestions[item.key] = self._suggestion(item, key, results.answers[key], key not in results.new)
            elif key in results.failures:
                yield item, results.failures[key]

    def _ask(self, item: Item, expected: Mapping[str, str] | None = None) -> Ask:
        words = {"dataset": item.dataset, "product": item.product}
        if item.label != GOOD:
            return build_ask(self.prompts, "defect", self.bench, item.shown, defect=item.label, **words)
        known = {**self._defect_texts(item), **(expected or {})}
        lines = [f"- {label.replace('_', ' ')}: {' '.join(text.split())}" for label, text in known.items()]
        return build_ask(self.prompts, "normal", self.bench, item.shown, defects="\n".join(lines) or "- none", **words)

    def _defect_texts(self, good: Item) -> dict[str, str]:
        """The product's defect texts: of this run, else the benchmark's own."""
        known = self.bench.descriptions(good.dataset, good.product)
        texts = {label: text for label, text in known.items() if label != GOOD and text.strip()}
        fresh = {s.label: s.text for s in self.suggestions.values() if s.key[:2] == good.key[:2] and s.label != GOOD}
        return {**texts, **fresh}

    def _splits(self, item: Item) -> tuple[str, ...]:
        splits = set(item.splits)
        if item.label == GOOD:
            for label in self._defect_texts(item):
                written_now = self.suggestions.get((item.dataset, item.product, label))
                splits |= set(written_now.written_from_splits) if written_now else {"unknown"}
        return in_order(splits)

    def _hash(self, ask: Ask) -> str:
        settings = {**self.endpoint.options, **({"variant": self.variant} if self.variant else {})}
        return ask.hash(self.endpoint.model, settings)

    def _suggestion(self, item: Item, key: str, answer: Answer, cached: bool) -> Suggestion:
        return Suggestion(
            *item.key,
            text=written(answer.title, answer.description),
            model=self.endpoint.model,
            prompt_hash=key,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            cost=self.prices.cost(answer.tokens_in, answer.tokens_out, batch=self.batch),
            images=item.images,
            written_from_splits=self._splits(item),
            cached=cached,
        )


def _defects_first(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item.label == GOOD)
