"""Descriptions by a vision model: address and key in Settings, an estimate, progress, stop; and what can go wrong with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.openai_server import OpenAIServer
from tests.ui.benchmark import write_benchmark
from tests.ui.conftest import free_port, serving

KEY = "sk-of-a-tester-1234567890"


@pytest.fixture
def studio(tmp_path, monkeypatch):
    """A studio whose products have no text yet."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    bench = write_benchmark(tmp_path / "bolts", good=2, bad=1)
    (bench.root / "domain_knowledge.json").unlink()
    with serving(tmp_path / "workspace", bench.root) as running:
        yield running


def enter(page, studio, address: str, key: str = KEY) -> None:
    """Name the endpoint as a person does, and go on to the descriptions."""
    page.goto(f"{studio.url}/settings")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Model", exact=True).fill("gpt-4o")
    page.get_by_label("Key", exact=True).fill(key)
    page.locator("#settings-endpoint-save").click()
    expect(page.get_by_text("never shown again")).to_be_visible()
    page.goto(f"{studio.url}/describe?dataset=drawn&product=washer&name=scratch")
    expect(page.locator("#describe-main h1")).to_have_text("scratch")


def test_all_missing_texts_are_written_after_an_estimate(studio, open_page):
    with OpenAIServer(key=KEY) as server:
        page = open_page(studio.url)
        enter(page, studio, server.url)
        page.locator("#generate-all").click()
        side = page.locator("#describe-side")
        expect(side.locator(".notice").first).to_contain_text(re.compile(r"9 texts.*tokens.*\$"))
        assert server.requests == [], "an estimate asks nobody"
        page.locator("#generate-start").click()
        expect(side.locator(".notice.good")).to_contain_text("9 suggestions written")
        expect(page.locator(".suggestion .badge").first).to_have_text("gpt-4o")
        expect(page.locator(".suggestion .origin").first).to_contain_text(re.compile(r"\d tokens.*\$"))
        page.get_by_role("button", name="Use this text").click()
        expect(page.locator("#describe-text textarea")).not_to_have_value("")
        assert KEY not in page.content()
    assert KEY not in "".join(
        path.read_text("utf-8", "replace") for path in (studio.services.folder / "descriptions").rglob("*.*")
    )


def test_a_generation_is_stopped_and_keeps_what_was_written(studio, open_page):
    with OpenAIServer(delay=1.0) as server:
        page = open_page(studio.url)
        enter(page, studio, server.url)
        page.locator("#generate-all").click()
        page.locator("#generate-start").click()
        expect(page.locator("#describe-side .meter")).to_contain_text(re.compile("[1-8] / 9"))
        page.locator("#generate-stop").click()
        expect(page.locator("#describe-side .notice.warn")).to_contain_text("Stopped")
        done = studio.services.workspace.texts.suggested(studio.services.of(None).id)
        assert 0 < len(done) < 9
        expect(page.locator(".entries .badge", has_text="suggested").first).to_be_visible()


def test_an_expired_key_and_no_network_are_said_and_lead_to_settings(studio, open_page):
    with OpenAIServer(key="another") as server:
        page = open_page(studio.url)
        enter(page, studio, server.url)
        field = page.locator("#describe-text textarea")
        field.fill("Half a thought.")
        page.locator("#generate-one").click()
        expect(page.locator("#describe-side .notice").first).to_contain_text(re.compile(r"1 texts.*\$"))
        page.locator("#generate-start").click()
        notice = page.locator("#describe-side .notice.bad")
        expect(notice).to_contain_text("does not accept the key")
        expect(field).to_have_value("Half a thought.")
        assert KEY not in page.content()
        page.locator("#describe-side .links a").click()
        expect(page.get_by_label("Address")).to_be_visible()
    enter(page, studio, f"http://127.0.0.1:{free_port()}/v1")
    page.locator("#generate-one").click()
    page.locator("#generate-start").click()
    expect(notice).to_contain_text(re.compile("reach|connect", re.I))
