"""The frame: the command, its failures, the first visit, two languages, two themes, names for screen readers, holes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import expect

from tests.conftest import PROJECT
from tests.ui.conftest import free_port


def start(*flags, **environment):
    """The command as a process, once it answers; (process, address)."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), *map(str, flags)],
        cwd=PROJECT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    for _ in range(1800):  # a busy machine is no failure
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return process, url
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
    raise AssertionError("the studio did not answer within three minutes")


def end(process, how=signal.SIGINT):
    process.send_signal(how)
    process.wait(30)


def run(*flags):
    return subprocess.run(
        [sys.executable, "app.py", *map(str, flags)], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )


def test_what_a_person_typed_is_there_after_the_app_was_killed(drawn, tmp_path, open_page):
    process, url = start("--workspace", tmp_path / "w", "--mmad", drawn)
    try:
        page = open_page(f"{url}/describe?dataset=drawn&product=washer&name=dent", errors_expected=True)
        expect(page.locator("#describe-main h1")).to_have_text("dent")
        page.locator("#describe-text textarea").fill("A hollow that outlives the app.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#describe-main h1")).not_to_have_text("dent")
        end(process, signal.SIGKILL)
        process, url = start("--workspace", tmp_path / "w")  # the benchmark is opened again without being named
        page = open_page(f"{url}/describe?dataset=drawn&product=washer&name=dent", errors_expected=True)
        expect(page.locator("#describe-text textarea")).to_have_value("A hollow that outlives the app.")
    finally:
        end(process, signal.SIGKILL)


def test_browsing_loads_no_torch(drawn, tmp_path):
    code = (
        "import sys; from studio import build, open_services\n"
        f"services = open_services({str(tmp_path / 'w')!r}, {str(drawn)!r}); build(services)\n"
        "from studio.views.browsing import updates\n"
        "import types; request = types.SimpleNamespace(query_params={}, headers={}, cookies={}, username=None)\n"
        "assert len(updates(services, request, {})) > 10\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


class TestBadInput:
    def fails(self, done, *words):
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and all(word in done.stderr for word in words), done.stderr

    def test_port_in_use(self, tmp_path, drawn):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.fails(run("--workspace", tmp_path, "--mmad", drawn, "--port", port), str(port), "in use")

    def test_port_that_does_not_exist(self, tmp_path, drawn):
        self.fails(run("--workspace", tmp_path, "--mmad", drawn, "--port", 99999), "99999")

    def test_folder_that_is_not_there(self, tmp_path):
        self.fails(run("--workspace", tmp_path / "w", "--mmad", tmp_path / "none"), "not a folder")

    def test_workspace_that_cannot_be_written(self, tmp_path, drawn):
        (tmp_path / "file").write_text("")
        self.fails(run("--workspace", tmp_path / "file" / "w", "--mmad", drawn), "file")

    def test_questions_that_are_no_json(self, tmp_path):
        (tmp_path / "mmad.json").write_text("{not json")
        self.fails(run("--workspace", tmp_path / "w", "--mmad", tmp_path), "mmad.json", "not JSON")


def test_the_pages_speak_chinese_to_a_chinese_browser(studio, open_page):
    page = open_page(studio.url, locale="zh-CN")
    expect(page.get_by_role("link", name="描述")).to_be_visible()
    expect(page.get_by_role("link", name="Describe")).to_have_count(0)
    expect(page.locator(".tally")).to_contain_text("个样本")
    expect(page.get_by_label("按路径搜索")).to_be_visible()


def test_every_word_is_there_in_both_languages():
    from string import Formatter

    from studio.i18n import texts

    for key, (english, chinese) in texts().items():
        assert english.strip() and chinese.strip(), key
        fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, chinese)]
        assert fields[0] == fields[1], f"{key} has other values in Chinese"


def test_every_word_is_used():
    from studio.i18n import texts

    files = (path for path in (PROJECT / "studio").rglob("*") if path.suffix in (".py", ".js"))
    code = "".join(path.read_text("utf-8") for path in files if path.parent.name != "texts")
    named = set(re.findall(r"""["']([a-z]+\.[\w. ]+)["']""", code))
    begun = tuple(set(re.findall(r"""f["']([a-z]+\.[a-z_.]*)\{""", code)))  # put together: f"train.status.{status}"
    assert [key for key in texts() if key not in named and not key.startswith(begun)] == []


def test_the_theme_is_switched_and_remembered(studio, open_page):
    page = open_page(studio.url, color_scheme="light")
    ground = "getComputedStyle(document.querySelector('#header header')).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_function(f"{ground} !== {json.dumps(light)}")
    page.reload()
    page.locator("#header header").wait_for()
    page.wait_for_function(f"document.body.classList.contains('dark') && {ground} !== {json.dumps(light)}")


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_nothing_but_thumbnails_is_served_from_disk(studio, drawn):
    folder = Path(studio.services.folder)
    secret = drawn.parent / "secret.txt"
    secret.write_text("x")
    for path in (secret, folder / "studio.db", "/etc/passwd", PROJECT / "app.py", drawn / "mmad.json"):
        assert status(f"{studio.url}/gradio_api/file={path}") in (403, 404), path
    inside = studio.services.thumbnails.folder
    assert status(f"{studio.url}/gradio_api/file={inside}/../studio.db") in (403, 404)
    assert status(f"{studio.url}/gradio_api/file=http://127.0.0.1:1/x") in (400, 403, 404)


def test_a_benchmark_that_disappears_is_said_on_the_page(studio, open_page, tmp_path):
    from tests.ui.benchmark import write_benchmark

    root = tmp_path / "goes"
    write_benchmark(root, good=3, bad=1)
    opened = studio.services.open(root)
    page = open_page(f"{studio.url}/?bench={opened.id}")
    expect(page.locator(".card").first).to_be_visible()
    root.rename(tmp_path / "gone")
    page.locator(".facet button").first.click()
    expect(page.locator(".notice.bad")).to_contain_text("goes is no longer there")
    studio.services.workspace.benchmarks.forget(opened.id)


def test_scripts_browse_and_describe_through_named_endpoints(studio):
    from gradio_client import Client

    client = Client(studio.url, verbose=False)
    bench = client.predict(api_name="/list_benchmarks")[0]["name"]
    found = client.predict(bench, {"product": "gear", "defect": "scratch"}, 1, 3, api_name="/list_samples")
    assert found["count"] == 5 and len(found["samples"]) == 3
    sample = client.predict(found["samples"][0]["image"], bench, api_name="/get_sample")
    assert {q["task"] for q in sample["questions"]} >= {"Anomaly Detection", "Defect Classification"}
    saved = client.predict("gear", "scratch", "By script.", "draft", -1, bench, api_name="/save_text")
    late = client.predict("gear", "scratch", "Too late.", "draft", 0, bench, api_name="/save_text")
    assert saved["saved"] and not late["saved"] and "saved this text" in late["message"]
    assert client.predict(bench, api_name="/get_knowledge")["drawn"]["gear"]["scratch"] == "By script."


def test_private_handlers_are_not_offered_to_scripts(studio):
    import urllib.request

    with urllib.request.urlopen(f"{studio.url}/gradio_api/info", timeout=20) as answer:
        names = set(json.load(answer)["named_endpoints"])
    assert all(re.fullmatch(r"/[a-z_]+", name) for name in names) and "/enter" not in names and "/render" not in names
