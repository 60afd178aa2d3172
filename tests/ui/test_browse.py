"""A quality engineer looks for samples: filters, pages, one sample, a wrong one, addresses that can be passed on."""

import re

import pytest
from playwright.sync_api import expect

SCRATCH = "drawn/washer/image/scratch/001.png"


def facet(page, value):
    return page.locator(f'.facet button[data-pick="{value}"]')


def tally(page):
    return page.locator(".tally b")


def test_filters_combine_and_their_counts_are_live(studio, open_page):
    page = open_page(studio.url)
    expect(tally(page)).to_have_text("61")
    facet(page, "product=washer").click()
    expect(tally(page)).to_have_text("21")
    expect(facet(page, "defect=scratch").locator("b")).to_have_text("5")
    facet(page, "defect=scratch").click()
    expect(tally(page)).to_have_text("5")
    expect(facet(page, "product=gear").locator("b")).to_have_text("5")  # a gear has scratches too
    expect(facet(page, "defect=scratch")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".card")).to_have_count(5)
    expect(page).to_have_url(re.compile("product=washer.*defect=scratch|defect=scratch.*product=washer"))
    facet(page, "defect=scratch").click()
    expect(tally(page)).to_have_text("21")
    page.get_by_role("button", name="Clear filters").click()
    expect(tally(page)).to_have_text("61")


def test_a_page_holds_48_and_the_next_one_the_rest(studio, open_page):
    page = open_page(studio.url)
    expect(page.locator(".card")).to_have_count(48)
    page.locator("#browse-pager").get_by_role("button", name="Next").click()
    expect(page.locator(".card")).to_have_count(13)
    expect(page).to_have_url(re.compile(r"p=2"))
    page.reload()
    expect(page.locator(".card")).to_have_count(13)


def test_every_thumbnail_is_a_picture_from_the_cache(studio, open_page):
    page = open_page(studio.url)
    expect(page.locator(".card img")).to_have_count(48)
    page.wait_for_function(
        "[...document.querySelectorAll('.card img')].slice(0, 12).every(i => i.complete && i.naturalWidth)"
    )
    assert all("thumbnails" in src for src in page.locator(".card img").evaluate_all("all => all.map(i => i.src)"))


def test_words_find_paths(studio, open_page):
    page = open_page(studio.url)
    expect(tally(page)).to_have_text("61")
    page.get_by_label("Search in paths").press_sequentially("gear scratch/00")
    expect(tally(page)).to_have_text("5")
    page.get_by_label("Search in paths").press_sequentially("nothing")
    expect(page.get_by_role("heading", name="No sample fits")).to_be_visible()


def test_a_sample_shows_query_mask_reference_and_the_right_answers(studio, open_page):
    page = open_page(studio.url)
    page.locator(f'[data-pick="{SCRATCH}"]').click()
    expect(page.get_by_role("heading", name="washer")).to_be_visible()
    expect(page.locator(".query .veil")).to_be_visible()
    page.get_by_label("Mask", exact=True).uncheck()
    expect(page.locator(".query .veil")).to_be_hidden()
    expect(page.get_by_role("img", name="Normal reference")).to_be_visible()
    expect(page.locator(".question")).to_have_count(4)
    kind = page.locator(".question", has_text="What type of defect")
    expect(kind.locator("li.right")).to_contain_text("scratch")
    expect(page).to_have_url(re.compile("sample=drawn"))
    page.go_back()
    expect(page.locator(".card").first).to_be_visible()


def test_keys_walk_through_the_chosen_samples(studio, open_page):
    page = open_page(f"{studio.url}/?defect=scratch&product=washer&sample={SCRATCH}")
    expect(page.locator(".sample-title .at")).to_have_text("2 of 5")
    page.keyboard.press("j")
    expect(page.locator(".sample-title .at")).to_have_text("3 of 5")
    page.keyboard.press("k")
    expect(page.locator(".sample-title .at")).to_have_text("2 of 5")
    page.keyboard.press("k")
    expect(page.locator(".sample-title .at")).to_have_text("1 of 5")
    page.keyboard.press("e")
    expect(page.get_by_label("Right label")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")


def test_a_wrong_sample_is_reported_kept_out_listed_and_taken_back(studio, open_page):
    page = open_page(f"{studio.url}/?sample={SCRATCH}")
    page.get_by_role("button", name="Report a wrong sample").click()
    page.get_by_label("What is wrong with it?").fill('a <b>nut</b> & "not" a washer')
    page.get_by_role("button", name="Keep out of training").click()
    expect(page.locator(".notice.warn")).to_contain_text('a <b>nut</b> & "not" a washer')
    assert SCRATCH not in studio.services.resolved(studio.services.of(None)).bench.by_image
    page.get_by_role("button", name="Back to the samples").click()
    facet(page, "mark=flagged").click()
    expect(page.locator(".card.off")).to_have_count(1)
    page.locator(".card.off").click()
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".notice.warn")).to_have_count(0)
    assert SCRATCH in studio.services.resolved(studio.services.of(None)).bench.by_image


def test_a_label_is_corrected_as_a_revision(studio, open_page):
    image = "drawn/washer/image/dent/002.png"
    page = open_page(f"{studio.url}/?sample={image}")
    page.get_by_role("button", name="Correct label or mask").click()
    label = page.get_by_label("Right label")
    label.click()
    page.get_by_role("option", name="scratch").click()
    page.get_by_role("button", name="Save correction").click()
    expect(page.locator(".notice", has_text="corrected the label")).to_be_visible()
    assert studio.services.resolved(studio.services.of(None)).bench.by_image[image].defect == "scratch"
    page.goto(f"{studio.url}/?product=washer&defect=scratch")
    expect(tally(page)).to_have_text("6")
    expect(page.locator(f'[data-pick="{image}"]')).to_contain_text("scratch")


def test_links_lead_to_describing_and_comparing_this_sample(studio, open_page):
    page = open_page(f"{studio.url}/?sample={SCRATCH}")
    expect(page.get_by_role("link", name="Compare on this sample")).to_have_attribute(
        "href", re.compile("/compare.*sample=")
    )
    page.get_by_role("link", name="Describe this product").click()
    expect(page.locator("#describe-main h1")).to_have_text("scratch")


def test_the_audit_is_a_work_list(studio, open_page):
    page = open_page(studio.url)
    page.get_by_role("button", name="Findings").click()
    page.get_by_role("button", name="Check this benchmark").click()
    expect(page.locator("#browse-audit .notice, #browse-audit .findings").first).to_be_visible()


def test_an_unknown_sample_is_said_and_the_list_shown(studio, open_page):
    page = open_page(f"{studio.url}/?sample=drawn/none/good/<img src=x onerror=alert(1)>.png")
    expect(page.locator(".notice.warn")).to_contain_text("no sample drawn/none/good/<img")
    expect(page.locator(".card").first).to_be_visible()


def test_without_reference_or_model_the_heatmap_says_why(studio, open_page):
    page = open_page(f"{studio.url}/?sample=drawn/washer/text/dent/000.txt")
    expect(page.locator("#sample-heat .stage")).to_contain_text("needs a picture")
    expect(page.locator("blockquote")).to_contain_text("dark hollow")


@pytest.mark.parametrize("address", ["/?bench=999", "/?bench=999&sample=x", "/?p=-7", "/?p=99999", "/?order=%27&p=x"])
def test_odd_addresses_do_not_break_the_page(studio, open_page, address):
    page = open_page(studio.url + address)
    expect(page.locator(".card, .notice").first).to_be_visible()
