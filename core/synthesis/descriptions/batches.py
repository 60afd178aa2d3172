"""Large jobs through the Batch API: cheaper, within a day, and safe against being killed while waiting.

A job's state is written before it is handed in and names its asks; the job itself carries the state's name as metadata.
So a killed run finds its job again, by number or by name, and never hands the same ask in twice.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import digest, read_json, write_json
from core.synthesis.descriptions.asking import Answer, count_tokens, read_reply, request_body
from core.synthesis.descriptions.endpoint import Endpoint, Fatal, Refused, Transient, Unsupported
from core.synthesis.descriptions.running import Results, Runner
from core.synthesis.descriptions.store import Store
from core.synthesis.descriptions.wording import Ask

MOST_BYTES = 100_000_000  # the API takes 200 MB and 50,000 requests a file
MOST_REQUESTS = 20_000
_NAME = "emit_job"
_ENDED = {"completed", "failed", "expired", "cancelled"}


class BatchRunner(Runner):
    """Asks through jobs of the Batch API instead of single calls."""

    def _ask_all(self, todo: Mapping[str, Ask], results: Results) -> None:
        with _Explained(self.endpoint):
            client = self.asker.client.with_options(max_retries=self.endpoint.attempts)
            jobs = {path: job for path, job in self._open_jobs(client) if set(job["keys"]) & set(todo)}
            covered = {key for job in jobs.values() for key in job["keys"]}
            for keys, content in self._files({k: a for k, a in todo.items() if k not in covered}, results):
                path, job = self._hand_in(client, keys, content)
                jobs[path] = job
            while jobs and not self.stopped:
                for path, job in list(jobs.items()):
                    batch = client.batches.retrieve(job["batch"])
                    if batch.status in _ENDED:
                        self._collect(client, batch, [k for k in job["keys"] if k in todo], results)
                        path.unlink(missing_ok=True)
                        del jobs[path]
                if jobs:
                    self._sleep(self.endpoint.poll)

    def _sleep(self, seconds: float) -> None:
        steps = max(1, round(seconds / 0.1))
        for _ in range(steps):
            if self.stopped or self.halt.wait(seconds / steps):
                return

    def _open_jobs(self, client: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path, job in saved_jobs(self.store):
            if job["batch"] is None:  # killed between handing in and noting the number
                named = (b for b in client.batches.list(limit=100) if (b.metadata or {}).get(_NAME) == path.stem)
                found = next(named, None)
                if found is None:
                    path.unlink(missing_ok=True)
                    continue
                job["batch"] = found.id
                write_json(path, job)
            yield path, job

    def _files(self, todo: Mapping[str, Ask], results: Results) -> Iterator[tuple[list[str], Path]]:
        """Request files of bounded size, each with the hashes it holds."""
        with tempfile.TemporaryDirectory() as folder:
            file, size = Path(folder) / "requests.jsonl", 0
            keys: list[str] = []
            with_bytes = open(file, "wb")  # noqa: SIM115  (reopened for every file)
            try:
                for key, ask in todo.items():
                    if self.stopped:
                        return
                    try:
                        body = request_body(self.endpoint, ask.messages())
                    except UserError as error:
                        results.failures[key] = error
                        self._tick(1)
                        continue
                    line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
                    data = json.dumps(line).encode() + b"\n"
                    if keys and (size + len(data) > MOST_BYTES or len(keys) >= MOST_REQUESTS):
                        with_bytes.close()
                        yield keys, file
                        with_bytes, keys, size = open(file, "wb"), [], 0  # noqa: SIM115
                    with_bytes.write(data)
                    keys, size = [*keys, key], size + len(data)
            finally:
                with_bytes.close()
            if keys:
                yield keys, file

    def _hand_in(self, client: Any, keys: list[str], file: Path) -> tuple[Path, dict[str, Any]]:
        path = _folder(self.store) / f"{digest(sorted(keys))[:32]}.json"
        job: dict[str, Any] = {"batch": None, "model": self.endpoint.model, "keys": keys}
        write_json(path, job)
        with open(file, "rb") as content:
            uploaded = client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={_NAME: path.stem},
        )
        job["batch"] = batch.id
        write_json(path, job)
        return path, job

    def _collect(self, client: Any, batch: Any, keys: list[str], results: Results) -> None:
        open_keys = dict.fromkeys(keys)
        for file_id in (batch.output_file_id, batch.error_file_id):
            for line in _lines(client, file_id) if file_id else ():
                key = line.get("custom_id")
                if key not in open_keys:
                    continue
                del open_keys[key]
                try:
                    results.answers[key] = self._answer(line)
                    self.store.put(key, results.answers[key], self.endpoint.model)
                    results.new.add(key)
                except (Refused, Transient, Unsupported) as error:
                    results.failures[key] = error
                self._tick(1)
        for key in open_keys:
            results.failures[key] = Transient(f"The batch job ended as {batch.status!r} without this text: run again.")
            self._tick(1)

    def _answer(self, line: Mapping[str, Any]) -> Answer:
        from openai.types.chat import ChatCompletion

        response = line.get("response") or {}
        if response.get("status_code") != 200 or not isinstance(response.get("body"), dict):
            said = (response.get("body") or {}).get("error") or line.get("error") or {}
            message = self.endpoint.clean(said.get("message", "no reason given") if isinstance(said, dict) else said)
            raise Unsupported(f"{self.endpoint.host} did not write this text ({message}): run again.")
        reply = ChatCompletion.construct(**response["body"])
        tokens = count_tokens(reply)
        self.asker.calls += 1
        self.asker.tokens_in += tokens[0]
        self.asker.tokens_out += tokens[1]
        written = read_reply(reply)
        return Answer(written.title, written.description, *tokens)


def saved_jobs(store: Store) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Jobs that were handed in and not collected yet."""
    for path in sorted(_folder(store).glob("*.json")):
        try:
            job = read_json(path)
        except UserError:
            continue
        if isinstance(job, dict) and isinstance(job.get("keys"), list) and "batch" in job:
            yield path, job


def cancel_batches(endpoint: Endpoint, cache: str | Path | None = None) -> int:
    """Take back the jobs that still wait at the server; returns how many. Finished texts can still be collected.

    Raises:
        UserError: the server cannot be asked.
    """
    count = 0
    with _Explained(endpoint):
        client = endpoint.client()
        for _, job in saved_jobs(Store(cache)):
            if job["batch"] and client.batches.retrieve(job["batch"]).status not in {*_ENDED, "cancelling"}:
                client.batches.cancel(job["batch"])
                count += 1
    return count


class _Explained:
    """Turns errors of the client inside a `with` block into our sentences."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from openai import NotFoundError, OpenAIError

        if isinstance(error, OpenAIError):
            problem = self.endpoint.explain(error)
            if isinstance(error, NotFoundError):
                problem = Fatal(f"{self.endpoint.host} has no Batch API or no longer knows the job: ask without it.")
            problem.__suppress_context__ = True
            raise problem


def _folder(store: Store) -> Path:
    return store.folder / "batches"


def _lines(client: Any, file_id: str) -> Iterator[dict[str, Any]]:
    for text in client.files.content(file_id).text.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
