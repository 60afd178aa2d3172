"""A model behind an OpenAI-compatible server, asked through the real client."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.errors import UserError
from core.evaluation import Endpoint, PartialAnswers, answer_questions, read_answers
from core.evaluation.records import protocol_of
from core.mmad import Benchmark, Protocol
from tests.openai_server import OpenAIServer, pictures, prompt_text
from tests.unit.evaluation.scenes import small_benchmark


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return small_benchmark(tmp_path_factory.mktemp("bench"), 4)


def endpoint(server: OpenAIServer, **settings) -> Endpoint:
    return Endpoint("gpt-test", base_url=server.url, api_key="sk-test", pause=0.01, **settings)


def test_a_served_model_stands_in_the_same_table(bench: Benchmark) -> None:
    with OpenAIServer(answer=lambda text: "The answer is **A**.") as server:
        answers = answer_questions(endpoint(server), None, bench, protocol=Protocol())
    assert (answers["answer"] == "A").all() and len(answers) == len(bench.questions)
    assert not answers["heatmap"].any(), "a served model cannot be shown the heatmap, and the records say so"
    body = next(b for b in server.requests if "Is there any defect" in prompt_text(b))
    assert body["messages"][0]["role"] == "system" and body["temperature"] == 0
    shown = [Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) for url in pictures(body)]
    assert len(shown) == 2, "the reference and the query"
    assert "round dark spot" in prompt_text(body), "the domain knowledge"


def test_every_switch_of_the_protocol_reaches_the_server(bench: Benchmark) -> None:
    wish = Protocol(shots=2, knowledge=False, thinking=True, seed=7)
    with OpenAIServer(answer=lambda text: "<think>A or B?</think><answer>B</answer>") as server:
        answers = answer_questions(endpoint(server), None, bench, protocol=wish)
    assert (answers["answer"] == "B").all() and answers["reply"].str.startswith("<think>").all()
    assert protocol_of(answers) == replace(wish, heatmap=False)
    body = next(b for b in server.requests if "Is there any defect" in prompt_text(b))
    assert len(pictures(body)) == 3 and body["seed"] == 7 and body["max_tokens"] > 1000
    assert "<think>" in prompt_text(body) and "round dark spot" not in prompt_text(body)
    with OpenAIServer(answer=lambda _: "B") as server:
        bare = answer_questions(endpoint(server), None, bench, protocol=Protocol(shots=0))
    assert {len(pictures(b)) for b in server.requests} == {1} and set(bare["shots"]) == {0}


def test_failures_are_tried_again_and_babble_is_no_letter(bench: Benchmark) -> None:
    faults = ["500", "429", "dies", "filter"]
    with OpenAIServer(faults=faults, answer=lambda text: "well, well, well") as server:
        answers = answer_questions(endpoint(server), None, bench, protocol=Protocol())
    assert len(answers) == len(bench.questions) and answers["answer"].isna().all()


def test_a_failing_endpoint_keeps_what_was_answered_and_resumes(bench: Benchmark, tmp_path: Path) -> None:
    calls = iter(range(1000))
    with OpenAIServer(faults=lambda _: "ok" if next(calls) < 6 else "401", answer=lambda _: "B") as server:
        with pytest.raises(PartialAnswers, match="OPENAI_API_KEY.*run the same again") as caught:
            answer_questions(endpoint(server, workers=1), None, bench, protocol=Protocol(), out=tmp_path)
        assert len(caught.value.answers) == 6 == len(read_answers(tmp_path))
        server._faults = []
        before = len(server.answered)
        answers = answer_questions(endpoint(server), None, bench, protocol=Protocol(), out=tmp_path)
    assert len(answers) == len(bench.questions)
    assert len(server.answered) - before == len(answers) - 6, "nothing is asked twice"


def test_a_reasoning_model_that_takes_no_temperature(bench: Benchmark) -> None:
    def refuse(body: dict) -> str:
        return "400" if "temperature" in body else "ok"

    with OpenAIServer(faults=refuse, answer=lambda _: json.dumps({"answer": "B"})) as server:
        answers = answer_questions(endpoint(server), None, bench, protocol=Protocol())
    assert (answers["answer"] == "B").all()


def test_letters_cannot_be_read_from_a_served_model(bench: Benchmark) -> None:
    with pytest.raises(UserError, match="answer by 'generate'"):
        answer_questions("gpt-test", None, bench, protocol=Protocol(answering="letters"))
