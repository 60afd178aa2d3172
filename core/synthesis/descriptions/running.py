"""Many calls at once: from asks to answers, through the cache, with cancelling and an end when the server is gone.

Each answer is on disk before it is counted, so the process may be killed at any moment. Equal asks are made once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from core.errors import UserError
from core.synthesis.descriptions.asking import Answer, Asker, Stopped
from core.synthesis.descriptions.costs import Prices
from core.synthesis.descriptions.endpoint import Endpoint, Fatal, Transient, Unsupported
from core.synthesis.descriptions.store import Store
from core.synthesis.descriptions.suggestions import Usage
from core.synthesis.descriptions.wording import Ask

# So many texts in a row that the server failed for mean that it is gone, and waiting for the rest is no use.
GONE_AFTER = 5
GRACE = 15.0  # seconds a cancelled run waits for calls under way
LOOK_EVERY = 0.1  # seconds between two looks at `stop`

Progress = Callable[[int, int], None]


@dataclass
class Results:
    """Answers and errors by hash; `new` are the hashes asked (and paid) now."""

    answers: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, UserError] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)


class Runner:
    """Asks one endpoint with several workers."""

    def __init__(
        self,
        endpoint: Endpoint,
        store: Store,
        *,
        stop: Callable[[], bool] | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        self.endpoint, self.store = endpoint, store
        self.halt = threading.Event()
        self._stop, self._tick = stop, tick or (lambda count: None)
        self._asker: Asker | None = None

    @property
    def asker(self) -> Asker:
        # Made when first needed: a run that finds everything in the cache needs no key.
        if self._asker is None:
            self._asker = Asker(self.endpoint, self.halt)
        return self._asker

    @property
    def stopped(self) -> bool:
        if not self.halt.is_set() and self._stop is not None and self._stop():
            self.halt.set()
        return self.halt.is_set()

    def usage(self, prices: Prices, *, cached: int = 0, batch: bool = False) -> Usage:
        """What this runner asked so far."""
        if self._asker is None:
            return Usage(cached=cached)
        a = self._asker
        return Usage(a.calls, a.retries, cached, a.tokens_in, a.tokens_out,
                     prices.cost(a.tokens_in, a.tokens_out, batch=batch))  # fmt: skip

    def run(self, asks: Mapping[str, Ask]) -> Results:
        """Answer all asks; returns early when stopped.

        Raises:
            Fatal: no further call can succeed; what was answered before is kept in the store.
            UserError: the store cannot be written.
        """
        results = Results()
        todo = {}
        for key, ask in asks.items():
            answer = self.store.get(key)
            if answer is None:
                todo[key] = ask
            else:
                results.answers[key] = answer
                self._tick(1)
        if todo and not self.stopped:
            self._ask_all(todo, results)
        return results

    def _ask_all(self, todo: Mapping[str, Ask], results: Results) -> None:
        pool = ThreadPoolExecutor(self.endpoint.workers, thread_name_prefix="describe")
        asker, in_a_row, gone = self.asker, 0, None
        try:
            pending: dict[Future[Answer], str] = {
                pool.submit(self._one, asker, key, ask): key for key, ask in todo.items()
            }
            while pending and not self.stopped:
                done, _ = wait(pending, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
                for future in done:
                    key = pending.pop(future)
                    failed = self._take(future, key, results)
                    in_a_row = in_a_row + 1 if failed else 0
                    gone = failed or gone
                if in_a_row >= GONE_AFTER and gone:
                    break
            if cancelled := self.stopped:
                self._finish(pending, results)
        finally:
            finished = not pending
            if not finished:
                self.halt.set()
            pool.shutdown(wait=finished, cancel_futures=True)
        if gone and not cancelled and (in_a_row >= GONE_AFTER or not results.new):
            raise Fatal(str(gone))

    def _finish(self, pending: dict[Future[Answer], str], results: Results) -> None:
        """Calls under way are paid already: a little time is given for their answers to be kept."""
        running = {future: key for future, key in pending.items() if not future.cancel()}
        done, late = wait(running, timeout=GRACE)
        for future in done:
            self._take(future, running[future], results)
        pending.clear()
        # Later ones still go to the store, but nobody waits for them.
        pending.update({future: running[future] for future in late})

    def _one(self, asker: Asker, key: str, ask: Ask) -> Answer:
        if self.halt.is_set():
            raise Stopped
        answer = asker.ask(ask.messages())
        self.store.put(key, answer, self.endpoint.model)
        return answer

    def _take(self, future: Future[Answer], key: str, results: Results) -> UserError | None:
        """Book one finished call; returns the error when it speaks of the server rather than of this text."""
        try:
            results.answers[key] = future.result()
            results.new.add(key)
            self._tick(1)
        except Fatal:
            raise
        except Stopped:
            pass
        except UserError as error:
            results.failures[key] = error
            self._tick(1)
            return error if isinstance(error, Transient | Unsupported) else None
        return None
