"""Scripts: the example of docs/api.md runs as it stands, every endpoint is in its table, and mistakes are one sentence."""

from __future__ import annotations

import json
import re
import time
import urllib.request
import zipfile

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from core.mmad import read_mmad
from core.pictures import open_mask
from core.runs import cancel_run
from tests.conftest import PROJECT
from tests.ui.conftest import serving
from tests.ui.pretend import answer_files, start_pretend

PAGE = PROJECT / "docs" / "api.md"


@pytest.fixture(scope="module")
def studio(drawn, tmp_path_factory):
    """A studio whose worker is small and quick, and leaves answers."""
    bench = read_mmad(drawn)

    def start(run):
        answer_files(run, bench)
        return start_pretend(run, 0.005)

    with serving(tmp_path_factory.mktemp("endpoints"), drawn, lambda s: setattr(s.queue, "_start", start)) as running:
        yield running
        for run in running.services.queue.runs():
            cancel_run(run)


@pytest.fixture(scope="module")
def client(studio):
    return Client(studio.url, verbose=False)


def test_the_example_lists_describes_trains_and_compares(studio, capsys):
    script = re.search(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    exec(script.replace("http://127.0.0.1:7860", studio.url), {})
    printed = capsys.readouterr().out
    assert re.search(r"Anomaly Detection: \d+\.\d -> \d+\.\d", printed), printed
    texts = studio.services.workspace.texts.latest(studio.services.of(None).id)
    assert [text.text for text in texts.values() if text.text.endswith("Seen by script.")]
    assert studio.services.queue.runs()[0].state().status == "finished"


def test_the_page_lists_every_endpoint_and_no_other(studio):
    with urllib.request.urlopen(f"{studio.url}/gradio_api/info", timeout=60) as answer:
        offered = set(json.load(answer)["named_endpoints"])
    rows = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `/")]
    assert set(re.findall(r"/[a-z_]+", " ".join(rows))) == offered


def test_a_sample_is_corrected_with_a_mask(studio, client, tmp_path):
    sample = client.predict("", {"defect": "dent", "product": "washer"}, 1, 1, api_name="/list_samples")["samples"][0]
    mask = tmp_path / "mask.png"
    shape = Image.new("L", (320, 320))
    shape.paste(255, (40, 40, 80, 90))
    shape.save(mask)
    client.predict(sample["image"], "scratch", [handle_file(mask)], "", api_name="/correct_sample")
    kept = studio.services.resolved(studio.services.of(None)).bench.by_image[sample["image"]]
    assert kept.defect == "scratch"
    assert (open_mask(studio.services.of(None).bench.mask_path(kept)) == (np.asarray(shape) > 0)).all()


def test_texts_have_a_history_and_suggestions_can_be_asked_for(client):
    first = client.predict("gear", "scratch", "", api_name="/get_text")
    client.predict("gear", "scratch", "A bright line.", "approved", first["revision"], "", api_name="/save_text")
    text = client.predict("gear", "scratch", "", api_name="/get_text")
    assert (text["text"], text["status"], text["history"][0]["revision"]) == (
        "A bright line.",
        "approved",
        text["revision"],
    )
    estimate = client.predict("gear", "offline", "", api_name="/estimate_texts")
    assert estimate == {"texts": 3, "calls": 0, "tokens": 0, "cost": 0.0}
    assert client.predict("", api_name="/stop_suggesting")["state"] in ("none", "done")


def test_a_run_is_planned_read_cancelled_and_deleted(studio, client):
    assert "smoke" in client.predict(api_name="/presets")
    plan = client.predict("preset: smoke\ngrpo: {temperature: 0.7}", api_name="/plan_training")
    assert plan["settings"]["grpo"]["temperature"] == 0.7 and plan["memory"] > 1e6
    run = client.predict("name: of a script\npreset: smoke", "", "", api_name="/start_training")
    while client.predict(run, api_name="/run_state")["status"] in ("queued", "running"):
        time.sleep(0.5)
    assert {row["stage"] for row in client.predict(run, api_name="/run_metrics")} == {"sft", "grpo"}
    assert "grpo 60/60" in client.predict(run, 3, api_name="/run_log")
    wrong = client.predict(f"{run}:base", f"{run}:tuned", "fixed", "", "", 1, 5, api_name="/list_answers")
    assert wrong["count"] >= len(wrong["answers"]) > 0
    assert all(row["answer_b"] == row["correct_answer"] != row["answer_a"] for row in wrong["answers"])
    row = wrong["answers"][0]
    ballot = (f"{run}:base", f"{run}:tuned", row["image"], row["index"], "second", "")
    assert client.predict(*ballot, api_name="/vote") == {"first": 0, "second": 1, "tie": 0}
    assert client.predict(f"{run}:base", f"{run}:tuned", api_name="/comparison_report").startswith("<!doctype html>")
    client.predict(run, api_name="/delete_training")
    assert run not in {known["id"] for known in client.predict(api_name="/runs")}


def test_a_product_comes_as_a_zip_and_goes_off_the_list(studio, client, tmp_path):
    archive = tmp_path / "washers.zip"
    root = studio.services.of(None).bench.root / "drawn" / "washer" / "image"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(root.rglob("*.png")):
            file.write(path, path.relative_to(root))
    found = client.predict("", [handle_file(archive)], api_name="/list_folders")
    assert {row["folder"]: row["role"] for row in found["folders"]} == {
        "good": "good",
        "dent": "defect",
        "scratch": "defect",
    }
    assert found["root"].startswith("upload:"), "where it lies on the server is nobody's business"
    client.predict(found["root"], "own washers", ["good"], ["dent", "scratch"], [], False, api_name="/add_product")
    while (state := client.predict("own washers", api_name="/product_state"))["state"] == "running":
        time.sleep(0.5)
    assert state["state"] == "done" and state["pictures"] == 20
    client.predict("own washers", api_name="/forget_benchmark")
    assert "own washers" not in {row["name"] for row in client.predict(api_name="/list_benchmarks")}


def test_a_key_can_be_set_never_read_and_belongs_to_its_address(studio, client, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told = client.predict({"key": "sk-secret", "endpoint_url": "http://127.0.0.1:9/v1"}, api_name="/set_settings")
    assert told["key"] == "file" and "sk-secret" not in json.dumps(told)
    assert client.predict({"threshold": 0.4}, api_name="/set_settings")["key"] == "file"
    moved = client.predict({"endpoint_url": "http://elsewhere.example/v1"}, api_name="/set_settings")
    assert moved["key"] == "none" and studio.services.secrets.get() is None
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-server")
    monkeypatch.setattr(studio.services, "local", False)
    with pytest.raises(AppError, match="environment"):
        client.predict({"endpoint_url": "http://mine.example/v1"}, api_name="/set_settings")
    client.predict({"threshold": 0.5}, api_name="/set_settings")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("/list_samples", "no such benchmark"), "There is no benchmark 'no such benchmark'"),
        (("/get_sample", "../../etc/passwd", ""), "has no sample"),
        (("/start_training", "preset: [", "", ""), "not YAML"),
        (("/run_state", "../.."), "There is no such run"),
        (("/compare_models", "a", "b"), "Both models need stored answers"),
        (("/save_text", "gear", "good", "x", "perhaps", -1, ""), "There is no status 'perhaps'"),
        (("/put_knowledge", {"drawn": {"gear": "no texts"}}, ""), "dataset -> product -> defect -> text"),
        (("/add_product", "upload:../../../etc", "x", ["a"], ["b"], []), "This upload is not there any more"),
        (("/set_settings", {"colour": "red"}), "There is no setting 'colour'"),
        (("/set_settings", {"model": "/no/such/folder"}), "not a folder on this machine"),
        (("/ask_model", "no such model", "drawn/gear/image/good/000.png", 0, False, ""), "There is no such model"),
    ],
)
def test_mistakes_are_said_in_one_sentence(client, call, said):
    with pytest.raises(AppError, match=re.escape(said)):
        client.predict(*call[1:], api_name=call[0])


def raw(url: str, name: str, *data: object) -> str:
    """What the server says to a caller that does not keep to gradio_client's manners."""
    body = json.dumps({"data": data}).encode()
    asked = urllib.request.Request(f"{url}/gradio_api/call/{name}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/{name}/{event}", timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("manners", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_files_of_the_server_cannot_be_named_as_pictures(studio, manners):
    bench = studio.services.of(None).bench
    picture = {"path": str(bench.path(bench.samples[0].image)), **manners}
    answer = raw(studio.url, "inspect_pictures", [picture], [], "anything", [], 0.5)
    assert "event: error" in answer
    assert "no such model" not in answer, "the path was let through"
