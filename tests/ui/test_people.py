"""Many people at once: a login by name and password, and twenty who save, browse and vote in the same second."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from core.errors import UserError
from tests.ui.conftest import serving

PEOPLE = 20


@pytest.fixture(scope="module")
def closed(drawn, tmp_path_factory):
    """A studio that Ana and Ben may enter."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EMIT_LOGIN", "ana:se cret,ben:an:other")
    with serving(tmp_path_factory.mktemp("closed"), drawn) as running:
        patch.undo()  # read at the start: the other studios of this file are open
        yield running


def test_without_the_password_nothing_is_seen(closed, open_page):
    page = open_page(closed.url, errors_expected=True, ready=False)
    page.get_by_role("textbox").first.fill("ana")
    page.locator("input[type=password]").fill("wrong")
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_text("Incorrect")).to_be_visible()
    assert page.locator(".card").count() == 0
    for path in ("config", "gradio_api/info", "gradio_api/call/list_benchmarks"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{closed.url}/{path}", timeout=20)
        assert refused.value.code in (401, 403, 405), path
    image = closed.services.thumbnails.url(next(closed.services.of(None).bench.root.rglob("*.png")))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{closed.url}{image}", timeout=20)
    assert refused.value.code in (401, 403)


def test_who_is_let_in_signs_with_that_name(closed, open_page):
    page = open_page(closed.url, errors_expected=True, ready=False)
    page.get_by_role("textbox").first.fill("ana")
    page.locator("input[type=password]").fill("se cret")
    page.get_by_role("button", name="Login").click()
    expect(page.locator(".card").first).to_be_visible()
    page.goto(f"{closed.url}/settings")
    expect(page.get_by_text("You are signed in as ana")).to_be_visible()
    expect(page.get_by_label("Your name")).to_be_disabled()
    client = Client(closed.url, auth=("ben", "an:other"), verbose=False)
    client.predict("gear", "scratch", "By Ben.", "draft", -1, "", api_name="/save_text")
    text = client.predict("gear", "scratch", "", api_name="/get_text")
    assert text["history"][0]["author"] == "ben"


@pytest.mark.parametrize("login", ["ana", "ana:", ":secret", "ana:x,ben"])
def test_a_login_that_cannot_be_read_is_said(login, tmp_path, drawn, monkeypatch):
    from studio import open_services

    monkeypatch.setenv("EMIT_LOGIN", login)
    services = open_services(tmp_path, drawn)
    with pytest.raises(UserError, match="EMIT_LOGIN"):
        assert services.accounts
    services.close()


def test_twenty_people_save_browse_and_flag_at_once_and_no_word_is_lost(studio):
    """Each writes a text of their own, and all write the same one: there one wins a round, the others' words are kept too."""
    clients = [Client(studio.url, verbose=False) for _ in range(PEOPLE)]
    together, failures = threading.Barrier(PEOPLE), []

    def work(number: int) -> None:
        ask = clients[number].predict
        try:
            together.wait(120)
            for turn in range(3):
                ask("gear", "scratch", f"words {turn} of person {number}", "draft", 0, "", api_name="/save_text")
                ask("", {"product": "washer"}, 1, 48, api_name="/list_samples")
                ask("drawn/label/image/stain/000.png", f"seen by {number}", "", api_name="/flag_sample")
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    history = clients[0].predict("gear", "scratch", "", api_name="/get_text")["history"]
    words = {f"words {turn} of person {number}" for turn in range(3) for number in range(PEOPLE)}
    assert words <= {revision["text"] for revision in history}
    numbers = [revision["revision"] for revision in history]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "every save has a number of its own"
    assert len(studio.services.workspace.marks.flags(studio.services.of(None).id)) == 1
