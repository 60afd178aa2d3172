"""A local server that speaks enough of the OpenAI protocol to test our client against: chat completions with structured
output, and the Files and Batch API. It can misbehave on request.

    with OpenAIServer(faults=["500", "429"]) as server:      # the first call fails so, the second so, then all is well
        Endpoint("gpt-test", base_url=server.url, api_key="...")

Faults: a status number ("401", "404", "429", "500", "503"), "quota", "timeout", "refusal", "filter", "empty", "prose",
"length", "dies" (closes the connection in the middle of the answer), "html", "no-choices", "ok". A callable decides by call.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = str
Body = dict[str, Any]


def random_faults(
    share: float, kinds: Iterable[Fault] = ("500", "429", "503", "dies", "empty"), seed: int = 0
) -> Callable:
    """Fails the given share of the calls, in a seeded order."""
    order, kinds = random.Random(seed), list(kinds)
    lock = threading.Lock()

    def decide(_body: Body) -> Fault:
        with lock:
            return order.choice(kinds) if order.random() < share else "ok"

    return decide


class OpenAIServer:
    """Runs on a free port of 127.0.0.1 while its `with` block does.

    Args:
        faults: for the first calls one after another, or a function of the request's body.
        key: the only key that is let in; None lets everybody in.
        modes: response formats it takes ("json_schema", "json_object", "words"); others get status 400.
        answer: prompt text -> reply text; a JSON description that quotes the prompt's end by default.
        delay: seconds per answer.
        batch_looks: how often a batch is looked at before it is completed.
    """

    def __init__(
        self,
        faults: Iterable[Fault] | Callable[[Body], Fault] = (),
        *,
        key: str | None = None,
        modes: Iterable[str] = ("json_schema", "json_object", "words"),
        answer: Callable[[str], str] | None = None,
        delay: float = 0.0,
        batch_looks: int = 1,
        port: int = 0,
    ) -> None:
        self._faults = faults if callable(faults) else list(faults)
        self.key, self.modes, self.delay, self.batch_looks = key, set(modes), delay, batch_looks
        self.answer = answer or _default_answer
        self.requests: list[Body] = []  # bodies of all chat completions, batched ones included
        self.answered: list[str] = []  # the prompts that got a good answer
        self.at_once = self.most_at_once = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Body] = {}
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        # A client that is killed in the middle of a call is part of the game.
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fault(self, body: Body) -> Fault:
        with self.lock:
            self.requests.append(body)
            if not callable(self._faults):
                return self._faults.pop(0) if self._faults else "ok"
        return self._faults(body)

    def completion(self, body: Body, fault: Fault = "ok") -> Body:
        """The body of a chat completion."""
        text = prompt_text(body)
        message: Body = {"role": "assistant", "content": self.answer(text), "refusal": None}
        finish = "stop"
        if fault == "refusal":
            message.update(content=None, refusal="I cannot help with that.")
        elif fault == "filter":
            message.update(content=None)
            finish = "content_filter"
        elif fault == "empty":
            message.update(content="")
        elif fault == "prose":
            message.update(content="Well, it looks like a scratch to me.")
        elif fault == "length":
            message.update(content='{"title": "Scratch", "descr')
            finish = "length"
        else:
            with self.lock:
                self.answered.append(text)
        return {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body.get("model", ""),
            "choices": [] if fault == "no-choices" else [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }


def prompt_text(body: Body) -> str:
    """The text parts of the user turn, joined."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "\n".join(p["text"] for p in content if p["type"] == "text")


def pictures(body: Body) -> list[str]:
    """The data URLs of the user turn."""
    return [p["image_url"]["url"] for p in body["messages"][-1]["content"] if p["type"] == "image_url"]


def _default_answer(text: str) -> str:
    return json.dumps({"title": "Seen", "description": f"A description of {sum(map(ord, text)) % 9973}, as asked."})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: OpenAIServer

    def log_message(self, *_: object) -> None:
        pass

    def _reply(
        self, status: int, value: Any, *, headers: dict[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _error(self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None) -> None:
        self._reply(status, {"error": {"message": message, "type": "error", "code": code}}, headers=headers)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _let_in(self) -> bool:
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.owner.key is None or sent == self.owner.key:
            return True
        # Some servers repeat the key they refuse: ours must not pass it on.
        self._error(401, f"Incorrect API key provided: {sent}.", "invalid_api_key")
        return False

    def do_POST(self) -> None:
        raw = self._body()
        if not self._let_in():
            return
        if self.path == "/v1/chat/completions":
            with self.owner.lock:
                self.owner.at_once += 1
                self.owner.most_at_once = max(self.owner.most_at_once, self.owner.at_once)
            try:
                self._chat(json.loads(raw))
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with self.owner.lock:
                    self.owner.at_once -= 1
        elif self.path == "/v1/files":
            self._upload(raw)
        elif self.path == "/v1/batches":
            self._create_batch(json.loads(raw))
        elif self.path.endswith("/cancel"):
            batch = self.owner.batches[self.path.split("/")[3]]
            batch["status"] = "cancelled"
            self._reply(200, _public(batch))
        else:
            self._error(404, "no such path")

    def _chat(self, body: Body) -> None:
        owner, fault = self.owner, self.owner.fault(body)
        mode = body.get("response_format", {}).get("type", "words")
        if owner.delay:
            time.sleep(owner.delay)
        if mode not in owner.modes:
            self._error(400, f"response_format {mode} is not supported")
        elif fault == "quota":
            self._error(429, "You exceeded your current quota.", "insufficient_quota")
        elif fault == "policy":
            self._error(400, "Your request was rejected.", "content_policy_violation")
        elif fault.isdigit():
            sent = self.headers.get("Authorization", "")
            self._error(
                int(fault),
                f"failing as asked; you sent {sent}",
                headers={"Retry-After": "0.02"} if fault == "429" else None,
            )
        elif fault == "timeout":
            time.sleep(3)
            self._reply(200, owner.completion(body))
        elif fault == "html":
            self._reply(200, b"<html>Welcome</html>", kind="text/html")
        elif fault == "dies":
            data = json.dumps(owner.completion(body, "empty")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
        else:
            self._reply(200, owner.completion(body, fault))

    def _upload(self, raw: bytes) -> None:
        boundary = self.headers["Content-Type"].split("boundary=")[1].encode()
        part = next(p for p in raw.split(b"--" + boundary) if b'name="file"' in p)
        name = f"file-{len(self.owner.files)}"
        self.owner.files[name] = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
        self._reply(
            200, {"id": name, "object": "file", "bytes": 0, "created_at": 0, "filename": "f", "purpose": "batch"}
        )

    def _create_batch(self, body: Body) -> None:
        name = f"batch_{len(self.owner.batches)}"
        self.owner.batches[name] = {
            "id": name, "object": "batch", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"],
            "completion_window": "24h", "status": "in_progress", "created_at": 0, "metadata": body.get("metadata"),
            "looks": self.owner.batch_looks,
        }  # fmt: skip
        self._reply(200, _public(self.owner.batches[name]))

    def do_GET(self) -> None:
        if not self._let_in():
            return
        parts = self.path.split("?")[0].split("/")
        if self.path.startswith("/v1/batches") and len(parts) == 3:
            found = [_public(b) for b in self.owner.batches.values()]
            self._reply(200, {"object": "list", "data": found, "has_more": False})
        elif parts[2] == "batches" and parts[3] in self.owner.batches:
            self._reply(200, _public(self._looked_at(self.owner.batches[parts[3]])))
        elif parts[2] == "files" and parts[-1] == "content" and parts[3] in self.owner.files:
            self._reply(200, self.owner.files[parts[3]], kind="application/jsonl")
        else:
            self._error(404, "no such path")

    def _looked_at(self, batch: Body) -> Body:
        batch["looks"] -= 1
        if batch["status"] == "in_progress" and batch["looks"] <= 0:
            good, bad = [], []
            for line in self.owner.files[batch["input_file_id"]].splitlines():
                request = json.loads(line)
                fault = self.owner.fault(request["body"])
                if fault.isdigit():
                    response = {"status_code": int(fault), "body": {"error": {"message": "failing as asked"}}}
                    bad.append({"custom_id": request["custom_id"], "response": response, "error": None})
                else:
                    response = {"status_code": 200, "body": self.owner.completion(request["body"], fault)}
                    good.append({"custom_id": request["custom_id"], "response": response, "error": None})
            batch["status"] = "completed"
            for name, lines in (("output_file_id", good), ("error_file_id", bad)):
                if lines:
                    batch[name] = f"{batch['id']}-{name}"
                    self.owner.files[batch[name]] = "\n".join(map(json.dumps, lines)).encode()
        return batch


def _public(batch: Body) -> Body:
    return {key: value for key, value in batch.items() if key != "looks"}
