"""An OpenAI-compatible server: its settings, and a sentence for everything it can answer with but a text.

The key is used for the call alone. It is in no repr, no cache, no log and no sentence; server messages are cleaned before
anybody sees them, because some servers repeat the key they refuse.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from core.errors import UserError

if TYPE_CHECKING:
    from openai import OpenAI

OFFICIAL = "https://api.openai.com/v1"


class Fatal(UserError):
    """No further call can succeed (wrong key, unknown model, no credit left)."""


class Refused(UserError):
    """The model declines this content; asking again is no use."""


class Transient(UserError):
    """Worth another try.

    Attributes:
        wait: seconds the server asked for, if it did.
        tries: no more than so many in all; waiting two minutes six times helps nobody.
        unreachable: no connection at all.
    """

    wait: float | None = None
    tries: int = 1000
    unreachable: bool = False


class Unsupported(UserError):
    """The server does not take the request as it is; a plainer one may pass."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        model: the model's name on the server.
        base_url: the server, `OPENAI_BASE_URL` by default, else OpenAI's own.
        api_key: `OPENAI_API_KEY` by default; a server of your own may need none.
        timeout: seconds to wait for one answer.
        workers: calls made at the same time.
        attempts: tries per text, with growing pauses in between.
        pause: seconds before the second try; doubled for each further one, 60 at most.
        poll: seconds between two looks at a job of the Batch API.
        options: further settings of the call, e.g. {"temperature": 0.2, "max_completion_tokens": 800}.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    workers: int = 4
    attempts: int = 6
    pause: float = 1.0
    poll: float = 20.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UserError("No model is named: give the name of a vision model your server offers.")
        if self.workers < 1 or self.attempts < 1 or self.timeout <= 0 or self.pause < 0:
            raise UserError("Endpoint settings: workers and attempts must be 1 or more, timeout above 0 seconds.")
        if not re.match(r"https?://[^/]", self.url):
            raise UserError("The base URL must start with http:// or https://: check OPENAI_BASE_URL.")

    @property
    def url(self) -> str:
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL

    @property
    def host(self) -> str:
        """Host and port for messages; a password in the URL is not part of it."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def key(self) -> str:
        return (self.api_key or os.environ.get("OPENAI_API_KEY") or "").strip()

    @property
    def ready(self) -> bool:
        """Whether a call can be tried: there is a key, or a server other than OpenAI's own."""
        return bool(self.key) or self.url.rstrip("/") != OFFICIAL

    def client(self) -> OpenAI:
        """A client that leaves repeating to us, so that it can be cancelled and counted.

        Raises:
            UserError: no key and no server of one's own.
        """
        if not self.ready:
            raise UserError(
                "No key for the description model: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, "
                "or use the offline describer."
            )
        from openai import OpenAI

        # The client insists on some key; servers that need none ignore it.
        return OpenAI(api_key=self.key or "none", base_url=self.url, timeout=self.timeout, max_retries=0)

    def clean(self, message: object) -> str:
        """A server's message in one line of at most 200 characters, without the key or anything that looks like one."""
        text = " ".join(str(message).split())
        for secret in {self.key, urlsplit(self.url).password or ""} - {""}:
            text = text.replace(secret, "***")
        return re.sub(r"\b(sk|key)-[\w*.-]{4,}|Bearer\s+\S+", "***", text)[:200].rstrip(". ")

    def explain(self, error: Exception) -> UserError:
        """Turn what the client raised into one of ours."""
        import openai

        said = self.clean(getattr(error, "message", "") or error)
        code = str(getattr(error, "code", "") or "")
        if isinstance(error, openai.APITimeoutError):
            late = Transient(f"{self.host} gave no answer within {self.timeout:g} s: raise the timeout or try later.")
            late.tries = 2
            return late
        if isinstance(error, openai.APIConnectionError):
            return self._explain_connection(error)
        if isinstance(error, openai.AuthenticationError):
            return Fatal(f"{self.host} does not accept the key: check OPENAI_API_KEY.")
        if isinstance(error, openai.PermissionDeniedError):
            return Fatal(f"{self.host} does not allow this key to use {self.model!r}: choose another model or key.")
        if isinstance(error, openai.NotFoundError):
            return Fatal(f"{self.host} knows no model {self.model!r} at this address: check model name and base URL.")
        if code == "insufficient_quota":
            return Fatal(f"The account at {self.host} has no credit left: add some, then run again to go on.")
        if "content_filter" in code or "content_policy" in code:
            return Refused("The server refused the content: write this text by hand or use the offline describer.")
        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error, said)
        return Transient(f"{self.host} did not answer as a chat-completions server ({said}): check the base URL.")

    def _explain_connection(self, error: Exception) -> Transient:
        unreachable = type(error.__cause__).__name__ in {"ConnectError", "ConnectTimeout", "UnsupportedProtocol"}
        if not unreachable:
            return Transient(f"{self.host} broke off in the middle of an answer: run again to go on.")
        result = Transient(f"{self.host} cannot be reached: check the network and the base URL, then run again.")
        result.unreachable = True
        return result

    def _explain_status(self, error: Any, said: str) -> UserError:
        status = error.status_code
        if status in {408, 409, 429} or status > 501:
            result = Transient(f"{self.host} is overloaded or failing (status {status}): try again later.")
            result.wait = _seconds(error.response.headers.get("retry-after"))
            return result
        if status == 500:
            return Transient(f"{self.host} failed (status 500: {said}): try again later.")
        return Unsupported(f"{self.host} does not take the request (status {status}: {said}): is it a vision model?")


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:  # the header may be a date; the growing pause serves then
        return None
