"""Answers of a model behind an OpenAI-compatible server, so that GPT or a served model stands in the same table.

Pictures are sent as JPEG (quality 95, long side at most 1024 px) inside the request. Calls run side by side; a failing one is
tried again with growing pauses, and what was answered before a final failure is kept.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import cached_property
from typing import Any

from core.errors import UserError
from core.evaluation.asking import Asked
from core.evaluation.records import Reply
from core.mmad import Benchmark, Protocol, parse_answer
from core.pictures import open_image
from core.synthesis.descriptions.endpoint import Endpoint, Refused, Transient, Unsupported

LONG_SIDE = 1024
# A served model may reason on its own before it answers.
TOKENS, TOKENS_THINKING = 512, 2048
LONGEST_PAUSE = 60.0


class RemoteModel:
    """An endpoint as an answerer; `Endpoint` holds its address, key, workers, attempts and timeout."""

    def __init__(self, endpoint: Endpoint | str, *, name: str | None = None) -> None:
        self.endpoint = Endpoint(endpoint) if isinstance(endpoint, str) else endpoint
        self.name = name or f"{self.endpoint.model} at {self.endpoint.host}"
        self._form = 0

    @cached_property
    def client(self) -> Any:
        return self.endpoint.client()

    def protocol(self, wish: Protocol) -> Protocol:
        if wish.answering != "generate":
            raise UserError("A served model does not show its logits: answer by 'generate'.")
        return replace(wish, heatmap=False)

    def answer(self, asked: Sequence[Asked], bench: Benchmark, protocol: Protocol) -> Iterator[tuple[Asked, Reply]]:
        with ThreadPoolExecutor(self.endpoint.workers) as pool:
            calls = {pool.submit(self._reply, one, bench, protocol): one for one in asked}
            failed: UserError | None = None
            for call in as_completed(calls):
                if call.cancelled():
                    continue
                try:
                    reply = call.result()
                except UserError as error:
                    # The others that are under way still count; no new one is started.
                    failed = failed or error
                    for other in calls:
                        other.cancel()
                    continue
                yield calls[call], reply
            if failed:
                raise failed

    def _reply(self, one: Asked, bench: Benchmark, protocol: Protocol) -> Reply:
        messages = chat(one, bench)
        pause = self.endpoint.pause
        for attempt in range(1, self.endpoint.attempts + 1):
            try:
                text = self._call(messages, protocol)
                return Reply(text, parse_answer(text, one.question.options))
            except Refused:
                return Reply("", None)
            except Transient as error:
                if attempt >= min(self.endpoint.attempts, error.tries):
                    raise
                time.sleep(min(error.wait if error.wait is not None else pause, LONGEST_PAUSE))
                pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _call(self, messages: list[dict[str, Any]], protocol: Protocol) -> str:
        limit = TOKENS_THINKING if protocol.thinking else TOKENS
        # Reasoning models of OpenAI take neither a temperature nor `max_tokens`.
        forms: tuple[dict[str, Any], ...] = (
            {"temperature": 0, "seed": protocol.seed, "max_tokens": limit},
            {"max_completion_tokens": limit * 4},
        )
        while True:
            form = self._form
            try:
                done = self.client.chat.completions.create(
                    model=self.endpoint.model, messages=messages, **{**forms[form], **self.endpoint.options}
                )
                break
            except Exception as error:
                explained = self.endpoint.explain(error)
                if isinstance(explained, Unsupported) and form + 1 < len(forms):
                    self._form = form + 1
                    continue
                raise explained from error
        choices = getattr(done, "choices", None)
        if not choices:
            raise Transient(f"{self.endpoint.host} sent an answer without a choice: is it a chat-completions server?")
        return choices[0].message.content or ""


def chat(one: Asked, bench: Benchmark) -> list[dict[str, Any]]:
    """The prompt's messages with pictures inside them; comparison parts are left out."""
    pictures = iter(one.prompt.images)
    messages: list[dict[str, Any]] = []
    for message in one.prompt.messages:
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                parts.append({"type": "text", "text": part["text"]})
            elif part["type"] == "image":
                parts.append({"type": "image_url", "image_url": {"url": data_url(bench, next(pictures))}})
        # Many servers take only plain text in the system turn.
        plain = message["role"] == "system"
        content = "\n".join(part["text"] for part in parts) if plain else parts
        messages.append({"role": message["role"], "content": content})
    return messages


def data_url(bench: Benchmark, path: str) -> str:
    image = open_image(bench.path(path))
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=95)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")
