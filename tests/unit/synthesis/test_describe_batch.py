"""Large jobs through the Batch API: handed in once, collected once, also when the process dies in between."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.files import read_json, write_json
from core.synthesis import describe
from core.synthesis.descriptions import Endpoint, batches, cancel_batches
from tests.describing import make_bench
from tests.openai_server import OpenAIServer


def endpoint(server: OpenAIServer) -> Endpoint:
    return Endpoint("gpt-4o", server.url, "sk-test", poll=0.02, attempts=1)


def test_a_batch_writes_every_text_at_the_reduced_price(tmp_path):
    bench = make_bench(tmp_path / "b", products=["a", "b"])
    with OpenAIServer(batch_looks=3) as server:
        outcome = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
        assert len(outcome) == 6 and not outcome.failures
        assert len(server.batches) == 2, "one job for the defects, one for the normal texts"
    assert outcome.suggestions[0].cost == pytest.approx((1000 * 2.5 + 100 * 10) / 1e6 / 2)
    assert not list((tmp_path / "c" / "batches").glob("*"))


def test_failed_lines_are_listed_and_only_they_are_asked_again(tmp_path):
    bench = make_bench(tmp_path / "b", products=["a", "b"])
    with OpenAIServer(["500", "refusal"]) as server:
        first = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
        assert sorted(f.label for f in first.failures) == ["good", "hole", "scratch"]
        second = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
    assert len(second) == 6 and len(server.answered) == len(set(server.answered)) == 6


def test_a_stopped_wait_is_taken_up_again_without_a_second_job(tmp_path):
    bench = make_bench(tmp_path / "b", defects=["hole"])
    with OpenAIServer(batch_looks=4) as server:
        looks = iter([False] * 4)
        stopped = describe(
            bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True, stop=lambda: next(looks, True)
        )
        assert stopped.stopped and len(stopped) == 0 and len(server.batches) == 1
        whole = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
        assert len(whole) == 2 and len(server.batches) == 2 and len(server.answered) == 2


def test_killed_between_handing_in_and_noting_the_number_the_job_is_found_by_its_name(tmp_path):
    bench = make_bench(tmp_path / "b", defects=["hole"])
    with OpenAIServer(batch_looks=10_000) as server:
        looks = iter([False] * 6)
        describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True, stop=lambda: next(looks, True))
        (state,) = (tmp_path / "c" / "batches").glob("*.json")
        write_json(state, {**read_json(state), "batch": None})
        server.batches["batch_0"]["looks"] = 1
        server.batch_looks = 1
        assert len(describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)) == 2
        assert len(server.batches) == 2 and len(server.answered) == 2


def test_a_job_that_never_reached_the_server_is_handed_in_again(tmp_path):
    bench = make_bench(tmp_path / "b", defects=["hole"])
    with OpenAIServer() as server:
        looks = iter([False] * 4)
        describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True, stop=lambda: next(looks, True))
        for state in (tmp_path / "c" / "batches").glob("*.json"):
            write_json(state, {**read_json(state), "batch": None})
        server.batches.clear()
        assert len(describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)) == 2


def test_large_jobs_are_cut_into_files_the_server_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "MOST_REQUESTS", 2)
    bench = make_bench(tmp_path / "b", products=["a", "b", "c"])
    with OpenAIServer() as server:
        assert len(describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)) == 9
        assert len(server.batches) == 3 + 2 and len(server.answered) == 9


def test_jobs_can_be_cancelled(tmp_path):
    bench = make_bench(tmp_path / "b", defects=["hole"])
    with OpenAIServer(batch_looks=10_000) as server:
        looks = iter([False] * 6)
        describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True, stop=lambda: next(looks, True))
        assert cancel_batches(endpoint(server), tmp_path / "c") == 1
        assert server.batches["batch_0"]["status"] == "cancelled"
        server.batch_looks = 1
        with_failures = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
        assert "cancelled" in with_failures.failures[0].reason
        assert len(describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)) == 2


def test_a_server_without_batches_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        OpenAIServer, "url", property(lambda self: f"http://127.0.0.1:{self._http.server_address[1]}/v2")
    )
    bench = make_bench(tmp_path / "b", defects=["hole"])
    with OpenAIServer() as server, pytest.raises(UserError, match="has no Batch API"):
        describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", batch=True)
