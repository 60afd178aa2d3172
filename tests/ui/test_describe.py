"""People write descriptions: save, approve, history, undo, two at once, a model's suggestions, import, export."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import serving


@pytest.fixture(scope="module")
def studio(drawn, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("describe"), drawn) as running:
        yield running


def at(studio, product, name):
    return f"{studio.url}/describe?dataset=drawn&product={product}&name={name}"


def field(page):
    return page.locator("#describe-text textarea")


def title(page):
    return page.locator("#describe-main h1")


def entry(page, name):
    return page.locator(f'.entries button[data-pick="description|{name}"]')


def latest(studio, product, name):
    return studio.services.workspace.texts.latest(studio.services.of(None).id)["drawn", product, name]


def test_an_edit_is_compared_saved_and_kept_with_its_former_text(studio, open_page):
    page = open_page(at(studio, "washer", "scratch"))
    expect(field(page)).to_have_value(re.compile("^A thin bright line"))
    page.keyboard.press("e")
    expect(field(page)).to_be_focused()
    field(page).fill("A thin dark line runs across the washer.")
    expect(page.locator("#describe-changes ins").first).to_contain_text("dark")
    expect(page.locator("#describe-changes del").first).to_contain_text("bright")
    page.keyboard.press("Control+Enter")
    expect(title(page)).not_to_have_text("scratch")  # on to the next
    expect(entry(page, "scratch")).to_contain_text("draft")
    page.reload()
    entry(page, "scratch").click()
    expect(field(page)).to_have_value("A thin dark line runs across the washer.")
    expect(page.locator("#describe-history li")).to_have_count(1)


def test_approving_counts_and_rejecting_takes_a_text_out(studio, open_page):
    page = open_page(at(studio, "label", "good"))
    expect(title(page)).to_have_text("good")
    page.get_by_role("button", name="Approve").click()
    expect(entry(page, "good")).to_contain_text("approved")
    expect(page.locator("#describe-side")).to_contain_text("1 of 3 approved")
    entry(page, "stain").click()
    expect(title(page)).to_have_text("stain")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#describe-main")).to_contain_text("gear · drawn")  # after the last text comes the next product
    opened = studio.services.of(None)
    assert "stain" not in studio.services.resolved(opened).bench.descriptions("drawn", "label")


def test_undo_walks_back_through_the_revisions_and_appends(studio, open_page):
    page = open_page(at(studio, "gear", "scratch"))
    original = "A thin bright line runs across the surface of the gear."
    for number, text in enumerate(("first words", "second words"), 1):
        expect(title(page)).to_have_text("scratch")
        field(page).fill(text)
        page.get_by_role("button", name="Save and next").click()
        expect(title(page)).not_to_have_text("scratch")
        page.goto(at(studio, "gear", "scratch"))
        expect(page.locator("#describe-history li")).to_have_count(number)
    page.get_by_role("button", name="Undo").click()
    expect(field(page)).to_have_value("first words")
    page.get_by_role("button", name="Undo").click()
    expect(field(page)).to_have_value(original)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#describe-main .notice")).to_contain_text("nothing to undo")
    expect(page.locator("#describe-history li")).to_have_count(4)
    page.locator("#describe-history li", has_text="Revision 2").get_by_role("button").click()
    expect(field(page)).to_have_value("second words")


def test_two_people_at_one_text_are_told_and_lose_no_word(studio, open_page):
    ana = open_page(at(studio, "washer", "dent"))
    ben = open_page(at(studio, "washer", "dent"))
    for page, name in ((ana, "Ana"), (ben, "Ben")):
        page.context.add_cookies([{"name": "emit_name", "value": name, "url": studio.url}])
        page.reload()
        expect(title(page)).to_have_text("dent")
        field(page).fill(f"{name}'s words about the dent.")
        expect(page.locator("#describe-changes ins").first).to_be_visible()
    ana.get_by_role("button", name="Save and next").click()
    expect(title(ana)).not_to_have_text("dent")
    expect(ben.locator("#describe-main .notice")).to_contain_text("Ana has just saved")  # told while typing
    ben.get_by_role("button", name="Save and next").click()
    expect(ben.locator("#describe-main .notice")).to_contain_text("Ana saved this text while you were editing")
    expect(field(ben)).to_have_value("Ben's words about the dent.")
    expect(ben.locator("#describe-changes")).to_contain_text("Ana's text")
    entry(ana, "dent").click()
    expect(ana.locator("#describe-main .notice")).to_contain_text("Ben wrote a text at the same time")
    assert latest(studio, "washer", "dent").text == "Ana's words about the dent."
    ben.get_by_role("button", name="Save and next").click()  # with both in view
    expect(title(ben)).not_to_have_text("dent")
    revision = latest(studio, "washer", "dent")
    assert (revision.text, revision.author, revision.number) == ("Ben's words about the dent.", "Ben", 3)


def test_leaving_a_changed_text_keeps_it_as_a_draft(studio, open_page):
    page = open_page(at(studio, "gear", "good"))
    expect(title(page)).to_have_text("good")
    field(page).fill("Left without saving.")
    entry(page, "broken_tooth").click()
    expect(title(page)).to_have_text("broken tooth")
    assert latest(studio, "gear", "good").text == "Left without saving."


def test_words_typed_while_the_next_text_is_on_its_way_are_not_overwritten(studio, open_page, monkeypatch):
    """The field is held from the click to the answer; who clicks again meanwhile is not forgotten."""
    from studio.pages import describe

    class Slow(describe.Describing):
        def show(self, *given, **more):
            time.sleep(1.5)
            return super().show(*given, **more)

    page = open_page(at(studio, "washer", "good"))
    monkeypatch.setattr(describe, "Describing", Slow)
    old = field(page).input_value()
    page.evaluate("document.querySelector('[data-pick=\"description|scratch\"]').click()")
    page.locator("#describe-text textarea[readonly]").wait_for()
    field(page).press_sequentially("lost?", timeout=5000)
    expect(field(page)).to_have_value(old)  # nothing is taken that would be lost
    page.evaluate("document.querySelector('[data-pick=\"description|dent\"]').click()")
    expect(title(page)).to_have_text("dent")
    assert ("drawn", "washer", "good") not in studio.services.workspace.texts.latest(studio.services.of(None).id)
    field(page).fill("Typed as soon as it was there.")
    page.wait_for_timeout(2000)
    expect(field(page)).to_have_value("Typed as soon as it was there.")


def test_taking_a_suggestion_or_a_former_text_keeps_what_was_typed(studio, open_page):
    page = open_page(at(studio, "gear", "good"))
    field(page).fill("Half a thought.")
    page.get_by_role("button", name="Use this text").click()
    expect(field(page)).not_to_have_value("Half a thought.")
    assert latest(studio, "gear", "good").text == "Half a thought."


def test_a_full_disk_is_said_and_loses_no_word(studio, open_page):
    from sqlalchemy import event

    def full(connection, _record, _proxy):
        connection.execute("PRAGMA max_page_count = 1")  # SQLite keeps what is there and takes no page more

    words = "No room for these words. " * 4000
    engine = studio.services.workspace.texts._engine
    page = open_page(at(studio, "gear", "good"), errors_expected=True)
    event.listen(engine, "checkout", full)
    try:
        field(page).fill(words)
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".toast-body")).to_contain_text("disk is full")
        expect(field(page)).to_have_value(words)
        page.reload()
        expect(field(page)).to_have_value(words)
    finally:
        event.remove(engine, "checkout", full)
        event.listen(engine, "checkout", lambda c, *_: c.execute("PRAGMA max_page_count = 1073741823"))
    page.get_by_role("button", name="Approve").click()
    expect(title(page)).not_to_have_text("good")
    assert latest(studio, "gear", "good").text.strip() == words.strip()


def test_words_of_a_closed_tab_are_put_back(studio, open_page):
    page = open_page(at(studio, "label", "missing_print"))
    expect(title(page)).to_have_text("missing print")
    field(page).press_sequentially("Typed, then the tab was closed.")
    page.reload()
    expect(field(page)).to_have_value("Typed, then the tab was closed.")


def test_html_in_a_text_is_shown_never_run(studio, open_page):
    page = open_page(at(studio, "gear", "broken_tooth"))
    expect(title(page)).to_have_text("broken tooth")
    field(page).fill('<img src=x onerror="window.hit=1"> & <script>window.hit=1</script> \' "')
    page.get_by_role("button", name="Save and next").click()
    expect(title(page)).not_to_have_text("broken tooth")
    entry(page, "broken_tooth").click()
    expect(page.locator("#describe-history")).to_contain_text("<script>window.hit=1</script>")
    assert page.evaluate("window.hit") is None


def test_without_a_key_the_offline_describer_suggests_and_says_so(studio, open_page, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    page = open_page(at(studio, "label", "missing_print"))
    expect(page.locator("#describe-side")).to_contain_text("No key for a vision model")
    page.locator("#generate-one").click()
    expect(page.locator("#describe-side .notice.good")).to_contain_text("1 suggestions written")
    expect(page.locator(".suggestion .badge").first).to_have_text("offline")
    page.get_by_role("button", name="Use this text").click()
    expect(field(page)).to_have_value(re.compile("missing print"))


def test_all_missing_are_suggested_after_an_estimate(studio, open_page):
    page = open_page(at(studio, "gear", "good"))
    page.locator("#generate-all").click()
    expect(page.locator("#describe-side .notice").first).to_be_visible()
    if page.locator("#generate-start").is_visible():
        expect(page.locator("#describe-side .notice").first).to_contain_text("free of charge")
        page.locator("#generate-start").click()
        expect(page.locator("#describe-side .notice.good")).to_contain_text("suggestions written")
    page.locator("#generate-all").click()
    expect(page.locator("#describe-side")).to_contain_text("has a text or a suggestion")


def test_knowledge_goes_out_and_comes_back_in(studio, open_page, tmp_path):
    page = open_page(at(studio, "washer", "good"))
    expect(title(page)).to_have_text("good")
    page.get_by_role("button", name="Import and export").click()
    with page.expect_download() as download:
        page.locator("#export").click()
    knowledge = json.loads(download.value.path().read_text(encoding="utf-8"))
    knowledge["drawn"]["washer"]["good"] = "Imported words: 导入的文字."
    changed = tmp_path / "domain_knowledge.json"
    changed.write_text(json.dumps(knowledge, ensure_ascii=False), encoding="utf-8")
    page.locator("#import").locator("xpath=..").locator("input[type=file]").set_input_files(changed)
    expect(page.locator("#describe-main .notice.good")).to_contain_text("1 texts saved as drafts")
    assert latest(studio, "washer", "good").text == "Imported words: 导入的文字."


def test_a_file_that_is_no_json_is_said_in_one_sentence(studio, open_page, tmp_path):
    broken = tmp_path / "knowledge.json"
    broken.write_text("{not json")
    page = open_page(at(studio, "washer", "good"), errors_expected=True)
    page.get_by_role("button", name="Import and export").click()
    page.locator("#import").locator("xpath=..").locator("input[type=file]").set_input_files(broken)
    expect(page.locator(".toast-body")).to_contain_text("is not JSON")


def test_text_samples_are_edited_like_descriptions(studio, open_page):
    page = open_page(at(studio, "washer", "good"))
    page.locator(".entries button", has_text="dent/000.txt").click()
    expect(field(page)).to_have_value(re.compile("small dark hollow"))
    field(page).fill("A washer with a hollow.")
    page.get_by_role("button", name="Save and next").click()
    expect(title(page)).not_to_have_text("dent/000.txt")
    resolved = studio.services.resolved(studio.services.of(None)).bench
    assert resolved.by_image["drawn/washer/text/dent/000.txt"].text == "A washer with a hollow."
