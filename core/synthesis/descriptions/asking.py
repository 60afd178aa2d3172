"""One question, one checked answer: structured output where the server has it, and patience where it fails.

A server without `response_format: json_schema` is asked for plain JSON mode, then in words alone; what the server takes
is remembered. A rate limit slows all workers down, not only the one that met it.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.synthesis.descriptions.endpoint import Endpoint, Refused, Transient, Unsupported

if TYPE_CHECKING:
    from openai import OpenAI

LONGEST_PAUSE = 60.0
MODES = ("json_schema", "json_object", "words")


class Written(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer and the tokens it took, failed tries included."""

    title: str
    description: str
    tokens_in: int = 0
    tokens_out: int = 0


class Stopped(Exception):
    """The run was cancelled while this call waited."""


def request_body(endpoint: Endpoint, messages: list[dict[str, Any]], mode: str = MODES[0]) -> dict[str, Any]:
    """The body of one chat completion; the Batch API takes the same."""
    schema = {"name": "description", "strict": True, "schema": _strict_schema()}
    forms: dict[str, dict[str, Any]] = {
        "json_schema": {"response_format": {"type": "json_schema", "json_schema": schema}},
        "json_object": {"response_format": {"type": "json_object"}},
        "words": {},
    }
    return {"model": endpoint.model, "messages": messages, **forms[mode], **endpoint.options}


def _strict_schema() -> dict[str, Any]:
    schema = Written.model_json_schema()
    # Strict mode knows no minLength; the answer is checked here anyway.
    fields = {name: {"type": "string"} for name in schema["properties"]}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


class Asker:
    """A client that several threads share; it counts calls and tokens."""

    def __init__(self, endpoint: Endpoint, stop: threading.Event | None = None) -> None:
        self.endpoint = endpoint
        self.client: OpenAI = endpoint.client()
        self.stop = stop or threading.Event()
        self.calls = self.retries = self.tokens_in = self.tokens_out = 0
        self._mode, self._answered = 0, False
        self._lock = threading.Lock()
        self._not_before = 0.0

    def ask(self, messages: list[dict[str, Any]]) -> Answer:
        """Ask until a well-formed answer comes, at most `endpoint.attempts` times.

        Raises:
            Fatal: no call will succeed. Refused: not this content. Transient, Unsupported: the last try's reason.
            Stopped: cancelled meanwhile.
        """
        mode, spent_in, spent_out = self._mode, 0, 0
        attempt = 0
        while True:
            self._wait()
            reply, problem = self._call(messages, MODES[mode])
            if problem is None:
                tokens = count_tokens(reply)
                spent_in, spent_out = spent_in + tokens[0], spent_out + tokens[1]
                with self._lock:
                    self.tokens_in += tokens[0]
                    self.tokens_out += tokens[1]
                try:
                    written = read_reply(reply)
                    self._mode, self._answered = mode, True
                    return Answer(written.title, written.description, spent_in, spent_out)
                except Transient as error:
                    problem = error
            if isinstance(problem, Unsupported) and mode + 1 < len(MODES):
                mode += 1  # not a failure: this server takes plainer requests
                continue
            attempt += 1
            if not isinstance(problem, Transient) or attempt >= self._tries(problem):
                raise problem
            self._slow_down(attempt, problem.wait)

    def _tries(self, problem: Transient) -> int:
        # A server never reached is more likely a wrong address than a bad moment: say so soon.
        most = 3 if problem.unreachable and not self._answered else problem.tries
        return min(most, self.endpoint.attempts)

    def _call(self, messages: list[dict[str, Any]], mode: str) -> tuple[Any, Any]:
        from openai import OpenAIError

        with self._lock:
            self.calls += 1
        try:
            return self.client.chat.completions.create(**request_body(self.endpoint, messages, mode)), None
        except (OpenAIError, ValueError, TypeError) as error:
            # Handed back, not raised from here: the client's exception carries the request with its key.
            return None, self.endpoint.explain(error)

    def _slow_down(self, attempt: int, asked: float | None) -> None:
        pause = asked if asked is not None else self.endpoint.pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
        with self._lock:
            self.retries += 1
            if asked is not None:  # the server speaks to all of us
                self._not_before = max(self._not_before, time.monotonic() + min(asked, LONGEST_PAUSE))
        if self.stop.wait(min(pause, LONGEST_PAUSE)):
            raise Stopped

    def _wait(self) -> None:
        if self.stop.wait(max(0.0, self._not_before - time.monotonic())):
            raise Stopped


def count_tokens(reply: Any) -> tuple[int, int]:
    """(in, out) as the server counts them; 0 when it does not."""
    usage = getattr(reply, "usage", None)
    return (getattr(usage, "prompt_tokens", 0) or 0), (getattr(usage, "completion_tokens", 0) or 0)


def read_reply(reply: Any) -> Written:
    """The answer in a chat completion.

    Raises:
        Refused: the model or a content filter declined. Transient: empty, cut off or not in the asked form.
    """
    choices = getattr(reply, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise Transient("The server did not answer with a chat completion: check the base URL (it often ends in /v1).")
    choice = choices[0]
    if getattr(choice.message, "refusal", None) or choice.finish_reason == "content_filter":
        raise Refused("The model refused the content: write this text by hand or use the offline describer.")
    content = choice.message.content
    if not isinstance(content, str) or not content.strip():
        raise Transient("The model answered with nothing: try again later or choose another model.")
    # Models without structured output like to wrap the object in a fence or in kind words.
    start, end = content.find("{"), content.rfind("}")
    try:
        return Written.model_validate_json(content[start : end + 1])
    except ValidationError:
        if choice.finish_reason == "length":
            problem = Transient("The answer was cut off: raise max_completion_tokens in the options.")
        else:
            problem = Transient("The model did not answer in the asked form: choose one that can write JSON.")
    raise problem
