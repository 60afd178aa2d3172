"""Descriptions written by a model in the background: which describer, what it will cost, and where its texts go.

Every text becomes a suggestion in the workspace; what people wrote is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.mmad import Benchmark
from core.workspace.texts import Key
from studio.jobs import Job, Stopped

if TYPE_CHECKING:
    from studio.services import Opened, Services

OFFLINE = "offline"
DEFAULT_MODEL = "gpt-4o"


@dataclass(frozen=True)
class Estimate:
    """What a generation will need; `cost` in US dollars, None when the price is unknown, 0 for the offline describer."""

    texts: int
    calls: int
    tokens: int
    cost: float | None


def describers(services: Services) -> list[str]:
    """The describers to choose from: the endpoint's model when there is a key or a server of one's own, and the offline one."""
    return [endpoint_model(services), OFFLINE] if reachable(services) else [OFFLINE]


def endpoint_model(services: Services) -> str:
    return str(services.workspace.settings.get("endpoint_model") or DEFAULT_MODEL)


def reachable(services: Services) -> bool:
    """Whether an endpoint can be asked: with a key, or at an address of one's own, which may need none."""
    return bool(services.secrets.get() or services.workspace.settings.get("endpoint_url"))


def missing(services: Services, opened: Opened) -> list[Key]:
    """Places without a text of any kind: not in the benchmark, no revision, no suggestion."""
    from core.synthesis.descriptions.items import group_samples

    texts = services.workspace.texts
    has = texts.latest(opened.id).keys() | texts.suggested(opened.id)
    return [
        key
        for key in group_samples(opened.bench)
        if key not in has and not opened.bench.descriptions(*key[:2]).get(key[2], "").strip()
    ]


def estimate(services: Services, opened: Opened, keys: Iterable[Key], describer: str | None) -> Estimate:
    """What describing these places will cost; asks nobody. No describer chosen yet means the first of `describers`."""
    keys = list(keys)
    describer = describer or describers(services)[0]
    if describer == OFFLINE:
        return Estimate(len(keys), 0, 0, 0.0)
    calls = tokens = 0
    cost: float | None = 0.0
    for (dataset, product), names in _by_product(keys).items():
        usage = _describe(services, opened.bench, dataset, product, names, describer, dry_run=True).estimate
        calls, tokens = calls + usage.calls, tokens + usage.tokens_in + usage.tokens_out
        cost = None if usage.cost is None or cost is None else cost + usage.cost
    return Estimate(len(keys), calls, tokens, cost)


def job_name(opened: Opened) -> str:
    return f"describe {opened.id}"


def start(services: Services, opened: Opened, keys: Iterable[Key], describer: str | None, *, variant: int = 0) -> Job:
    """Describe these places in the background; each text is kept as soon as its product is through."""
    wanted = list(keys)
    describer = describer or describers(services)[0]

    def work(job: Job) -> dict[str, Any]:
        done, failures = 0, []
        job.progress(0, len(wanted))
        for (dataset, product), names in _by_product(wanted).items():
            start_at = done
            outcome = _describe(
                services, opened.bench, dataset, product, names, describer, variant=variant,
                progress=lambda n, _total, base=start_at: _tell(job, base + n, len(wanted)), stop=job.asked_to_stop,
            )  # fmt: skip
            for suggestion in outcome.suggestions:
                subject = services.workspace.texts.subject(opened.id, *suggestion.key)
                assert subject is not None
                services.workspace.texts.suggest(
                    subject, suggestion.text, model=suggestion.model, prompt=suggestion.prompt_hash,
                    prompt_tokens=suggestion.tokens_in, completion_tokens=suggestion.tokens_out, cost=suggestion.cost,
                    images=list(suggestion.images), splits=list(suggestion.written_from_splits),
                )  # fmt: skip
            failures += [f"{f.product} / {f.label}: {f.reason}" for f in outcome.failures]
            done += len(names)
            if outcome.stopped:
                raise Stopped
            job.progress(done, len(wanted))
        return {"written": len(wanted) - len(failures), "failures": failures}

    return services.jobs.start(job_name(opened), work)


def _tell(job: Job, done: int, total: int) -> None:
    # Stopping is `stop`'s task here: an exception in the describer's own thread would lose what is paid already.
    job.done, job.total = done, total


def _by_product(keys: Iterable[Key]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for dataset, product, name in keys:
        groups.setdefault((dataset, product), []).append(name)
    return groups


def _describe(
    services: Services, bench: Benchmark, dataset: str, product: str, names: list[str], describer: str, **options: Any
) -> Any:
    from core.synthesis import describe

    where = {"products": [f"{dataset}/{product}"], "labels": names, **options}
    if describer == OFFLINE:
        for name in ("variant", "dry_run"):
            where.pop(name, None)
        return describe(bench, OFFLINE, **where)
    from core.synthesis.descriptions.endpoint import Endpoint

    url = services.workspace.settings.get("endpoint_url") or None
    endpoint = Endpoint(describer, base_url=url, api_key=services.secrets.get())
    return describe(bench, endpoint=endpoint, cache=services.folder / "descriptions", **where)
