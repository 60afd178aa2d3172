"""Scripts: the example of docs/api.md runs as it stands, every endpoint is in its table, and mistakes are one sentence."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from core.mmad import read_mmad
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


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("/list_samples", "no such benchmark"), "There is no benchmark 'no such benchmark'"),
        (("/get_sample", "../../etc/passwd", ""), "has no sample"),
        (("/start_training", "preset: [", "", ""), "not YAML"),
        (("/run_state", "../.."), "There is no such run"),
        (("/compare_models", "a", "b"), "Both models need stored answers"),
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
