"""Everything an endpoint can do wrong ends in a sentence or a listed failure, and the key is never seen anywhere."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback

import pytest

from core.errors import UserError
from core.synthesis import describe
from core.synthesis.descriptions import Endpoint
from core.synthesis.descriptions.command import main
from tests.describing import make_bench
from tests.openai_server import OpenAIServer

KEY = "very/secret/0123456789"


def one(root):
    """A benchmark that wants a single text."""
    return make_bench(root / "b", splits=["train"], defects=[])


def endpoint(server: OpenAIServer, **settings) -> Endpoint:
    return Endpoint("gpt-test", server.url, KEY, **{"pause": 0.001, "attempts": 3, "timeout": 5, **settings})


@pytest.mark.parametrize(
    ("fault", "sentence", "calls"),
    [
        ("401", "does not accept the key: check OPENAI_API_KEY", 1),
        ("403", "does not allow this key", 1),
        ("404", "knows no model 'gpt-test'", 1),
        ("quota", "no credit left", 1),
        ("429", "overloaded or failing", 3),
        ("500", "failed .status 500", 3),
        ("503", "overloaded or failing", 3),
        ("empty", "answered with nothing", 3),
        ("prose", "not answer in the asked form", 3),
        ("length", "cut off: raise max_completion_tokens", 3),
        ("dies", "broke off in the middle", 3),
        ("html", "check the base URL", 3),
        ("no-choices", "check the base URL", 3),
        ("timeout", "no answer within 0.2 s", 2),
        ("400", "does not take the request", 3),
    ],
)
def test_a_server_that_only_fails_ends_the_run_with_a_sentence(tmp_path, fault, sentence, calls):
    with OpenAIServer([fault] * 20) as server:
        settings = {"timeout": 0.2} if fault == "timeout" else {}
        with pytest.raises(UserError, match=sentence):
            describe(one(tmp_path), endpoint=endpoint(server, **settings), cache=tmp_path / "c")
        assert len(server.requests) == calls


@pytest.mark.parametrize("fault", ["refusal", "filter", "policy"])
def test_refused_content_is_listed_and_the_rest_is_written(tmp_path, fault):
    bench = make_bench(tmp_path / "b", splits=["train"])
    with OpenAIServer([fault]) as server:
        outcome = describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c")
    (failure,) = outcome.failures
    assert failure.label == "scratch" and "refused" in failure.reason
    assert {s.label for s in outcome} == {"good", "hole"}, "a refused defect does not hold up the normal text"


def test_a_normal_text_waits_for_defect_texts_that_failed_for_now(tmp_path):
    bench = make_bench(tmp_path / "b", splits=["train"])
    with OpenAIServer(["503"] * 3) as server:
        outcome = describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c")
        assert {f.label for f in outcome.failures} == {"scratch", "good"} and [s.label for s in outcome] == ["hole"]
        assert "waits" in next(f.reason for f in outcome.failures if f.label == "good")
        again = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c")
    assert not again.failures and len(again) == 3 and len(server.answered) == 3


def test_a_server_that_goes_away_ends_a_long_run_early(tmp_path):
    bench = make_bench(tmp_path / "b", products=[f"p{i}" for i in range(30)], splits=["train"], defects=["hole"])
    with OpenAIServer(["ok"] * 3 + ["503"] * 1000) as server:
        with pytest.raises(UserError, match="overloaded"):
            describe(bench, endpoint=endpoint(server, attempts=2), cache=tmp_path / "c")
        assert len(server.requests) < 40
    assert len(describe(bench, "gpt-test", cache=tmp_path / "c", dry_run=True)) == 3, "what was paid is kept"


def test_no_network_is_said_soon(tmp_path):
    with OpenAIServer() as server:
        gone = endpoint(server, attempts=50)
    with pytest.raises(UserError, match="cannot be reached: check the network"):
        describe(one(tmp_path), endpoint=gone, cache=tmp_path / "c")


def test_without_key_and_server_the_way_out_is_named(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY.*offline describer"):
        describe(one(tmp_path), "gpt-4o", cache=tmp_path / "c")
    assert not Endpoint("gpt-4o").ready
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert Endpoint("llava").ready, "a server of one's own may need no key"
    for settings in ({"model": " "}, {"model": "m", "workers": 0}, {"model": "m", "base_url": "localhost:80"}):
        with pytest.raises(UserError):
            Endpoint(**settings)


def test_damaged_and_missing_pictures_are_listed_and_the_rest_is_written(tmp_path):
    bench = make_bench(tmp_path / "b", splits=["train"], defects=["scratch", "hole", "stain"])
    bench.path("shop/plate/scratch/train.png").write_bytes(b"not a picture")
    bench.path("shop/plate/hole/train.png").unlink()
    whole = bench.path("shop/plate/good/train0.png").read_bytes()
    bench.path("shop/plate/good/train0.png").write_bytes(whole[: len(whole) // 2])
    with OpenAIServer() as server:
        outcome = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c")
    reasons = {f.label: f.reason for f in outcome.failures}
    assert "is not a picture" in reasons["scratch"] and "does not exist" in reasons["hole"]
    assert "stain" in {s.label for s in outcome} | set(reasons)


def test_the_key_is_nowhere(tmp_path, caplog, capfd):
    """Wrong key, failing calls, success: not in a log, the cache, an exception, a repr or on the screen."""
    caplog.set_level(logging.DEBUG)
    seen = [repr(Endpoint("m", "http://u:pass-word@h/v1", KEY)), Endpoint("m", "http://u:pass-word@h/v1", KEY).host]
    bench = make_bench(tmp_path / "b", splits=["train"])
    with OpenAIServer(key="sk-another") as server:
        with pytest.raises(UserError) as refused:
            describe(bench, endpoint=endpoint(server), cache=tmp_path / "c")
        seen.append("".join(traceback.format_exception(refused.value)))
    with OpenAIServer(["500"] * 9, key=KEY) as server:  # these messages repeat the Authorization header
        with pytest.raises(UserError) as failed:
            describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c")
        seen.append("".join(traceback.format_exception(failed.value)))
    with OpenAIServer(["400"] * 3, key=KEY) as server:
        seen.append(repr(describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c")))
        assert len(server.answered) == 1
    files = [path for path in (tmp_path / "c").rglob("*") if path.is_file()]
    assert files
    seen += [path.read_text() + path.name for path in files]
    captured = capfd.readouterr()
    for text in (*seen, caplog.text, captured.out, captured.err):
        assert KEY not in text and "pass-word" not in text.replace(seen[0], "")


def test_a_key_that_a_server_half_masks_is_cut_out_too():
    clean = Endpoint("m", "http://h/v1", KEY).clean
    assert "0123" not in clean("Incorrect API key provided: sk-proj-0123****wxyz.") and "***" in clean("Bearer abc")
    assert clean(f"you sent {KEY} to us") == "you sent *** to us"
    assert clean("line one\n  line two. ") == "line one line two" and len(clean("x" * 999)) == 200


def test_a_damaged_cache_file_is_asked_again(tmp_path):
    with OpenAIServer() as server:
        describe(one(tmp_path), endpoint=endpoint(server), cache=tmp_path / "c")
        (file,) = (tmp_path / "c").rglob("*.json")
        file.write_text('{"title": "half')
        assert len(describe(one(tmp_path), endpoint=endpoint(server), cache=tmp_path / "c")) == 1
    assert len(server.requests) == 2


def test_the_command_says_one_sentence_and_ends_with_2(tmp_path):
    from core.mmad import write_mmad

    write_mmad(one(tmp_path))
    run = subprocess.run(
        [sys.executable, "-m", "core.synthesis.descriptions", str(tmp_path / "b"), "--model", "m",
         "--base-url", "http://127.0.0.1:9/v1", "--cache", str(tmp_path / "c")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2 and "Traceback" not in run.stderr and "cannot be reached" in run.stderr


def test_the_command_does_not_claim_to_have_written_nothing(tmp_path, capsys):
    from core.mmad import write_mmad

    bench = make_bench(tmp_path / "b", splits=["train"])
    write_mmad(bench)
    for picture in tmp_path.rglob("*.png"):
        picture.unlink()
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "b"), "--model", "offline", "--write", "--cache", str(tmp_path / "c")])
    error = capsys.readouterr().err
    assert end.value.code == 2 and "Nothing could be written" in error and "written to" not in error


def test_the_command_writes_into_the_benchmark_and_keeps_what_is_there(tmp_path):
    from core.mmad import read_mmad, write_mmad

    bench = make_bench(tmp_path / "b", splits=["train"], knowledge={"shop": {"plate": {"hole": "Edited."}}})
    write_mmad(bench)
    main([str(tmp_path / "b"), "--model", "offline", "--write"])
    texts = read_mmad(tmp_path / "b").knowledge["shop"]["plate"]
    assert texts["hole"] == "Edited." and set(texts) == {"good", "hole", "scratch"}
