"""Settings: a name that stands beside one's words, a key that is kept and never shown, addresses that are checked."""

import re
import stat

from playwright.sync_api import expect


def test_the_name_stands_beside_what_is_written(studio, open_page):
    page = open_page(f"{studio.url}/settings")
    name = page.get_by_label("Your name")
    expect(name).not_to_have_value("")
    name.fill("Ana Müller 安娜")
    name.blur()
    page.wait_for_function("document.cookie.includes('emit_name=Ana')")
    page.goto(f"{studio.url}/describe?dataset=drawn&product=gear&name=good")
    expect(page.locator("#describe-main h1")).to_have_text("good")
    page.get_by_role("button", name="Approve").click()
    page.goto(f"{studio.url}/describe?dataset=drawn&product=gear&name=good")
    expect(page.locator("#describe-history")).to_contain_text("Ana Müller 安娜")


def test_a_key_is_kept_for_its_owner_alone_and_never_shown(studio, open_page, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    page = open_page(f"{studio.url}/settings")
    expect(page.get_by_text("No key is kept")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("sk-very-secret")
    page.locator("#settings-endpoint-save").click()
    expect(page.get_by_text("never shown again")).to_be_visible()
    file = studio.services.folder / "secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page.reload()
    expect(page.get_by_text("never shown again")).to_be_visible()
    assert "sk-very-secret" not in page.content()
    expect(page.get_by_label("Key", exact=True)).to_have_value("")
    page.locator("#settings-forget").click()
    expect(page.get_by_text("No key is kept")).to_be_visible()
    assert studio.services.secrets.get() is None


def test_wrong_addresses_are_said(studio, open_page):
    page = open_page(f"{studio.url}/settings", errors_expected=True)
    page.get_by_label("Address").fill("ftp://somewhere")
    page.locator("#settings-endpoint-save").click()
    expect(page.locator(".toast-body")).to_contain_text("must start with http")
    assert studio.services.workspace.settings.get("endpoint_url") in (None, "")


def test_about_lists_licences(studio, open_page):
    page = open_page(f"{studio.url}/settings")
    expect(page.locator("#about table")).to_contain_text("Apache-2.0")
    expect(page.locator("#about tr", has_text="gradio")).to_contain_text(re.compile(r"\d+\.\d+"))
