"""The Compare page in a browser: stored answers, filters, tasks, blind votes, live answers, exports, and their failures."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.mmad import read_mmad
from studio.models import SHIPPED
from tests.ui.conftest import serving
from tests.ui.pretend import answer_files, pretend_run


@pytest.fixture(scope="module")
def comparing(drawn: Path, tmp_path_factory):
    def prepare(services):
        bench = read_mmad(drawn)
        answer_files(pretend_run(services.runs_dir, bench, name="first try"), bench)

    with serving(tmp_path_factory.mktemp("compare"), drawn, prepare) as running:
        yield running


def test_base_and_tuned_answers_stand_side_by_side(comparing, open_page):
    page = open_page(f"{comparing.url}/compare")
    expect(page.locator("#answer-left")).to_contain_text("first try · base")
    expect(page.locator("#answer-right")).to_contain_text("first try · tuned")
    expect(page.locator("#answer-left")).to_contain_text("stored answer")
    expect(page.locator("#answer-left")).to_contain_text("Reasoning")
    expect(page.locator("#pictures img")).to_have_count(2)
    expect(page.locator("#asked")).to_contain_text("right answer")


def test_filters_and_keys_move_through_the_questions_and_the_address_remembers(comparing, open_page):
    page = open_page(f"{comparing.url}/compare")
    page.get_by_role("radio", name=re.compile("Fixed")).check()
    expect(page.locator("#answer-left .verdict")).to_have_text("wrong")
    expect(page.locator("#answer-right .verdict")).to_have_text("right")
    before = page.locator("#questions .chosen").inner_text()
    page.keyboard.press("j")
    expect(page.locator("#questions")).to_contain_text("2 of")
    asked = page.locator("#asked").inner_text()
    expect(page).to_have_url(re.compile("question="))
    page.reload()
    expect(page.locator("#asked")).to_have_text(asked, use_inner_text=True)
    assert before


def test_the_seven_tasks_with_radar_and_exports(comparing, open_page):
    page = open_page(f"{comparing.url}/compare")
    page.get_by_role("tab", name="All tasks").click()
    expect(page.locator("table.scores")).to_contain_text("Anomaly detection")
    expect(page.locator("#radar svg")).to_be_visible()
    expect(page.locator("#task-notes")).to_contain_text("Only 36 questions")
    for name, start in (("#export-html", "<!doctype html>"), ("#export-csv", "image,"), ("#export-table", "task,")):
        with page.expect_download() as download:
            page.click(name)
        assert Path(download.value.path()).read_text().startswith(start)


def test_a_blind_vote_hides_the_models_and_is_kept(comparing, open_page):
    page = open_page(f"{comparing.url}/compare")
    page.get_by_label("Blind vote").check()
    expect(page.locator("#answer-left h4")).to_have_text("Left")
    expect(page.locator("#answer-left .verdict")).to_have_count(0)
    expect(page.locator("#asked")).not_to_contain_text("right answer")
    page.keyboard.press("1")
    expect(page.locator("#compare-said")).to_contain_text("Your vote is kept")
    page.keyboard.press("0")
    expect(page.locator("#compare-said")).to_contain_text("Ties")
    opened = comparing.services.of(None)
    votes = comparing.services.workspace.marks.votes(opened.id)
    assert len(votes) == 2 and votes[1].winner == "tie" and votes[0].winner in (votes[0].left, votes[0].right)


def test_asking_live_without_a_model_says_so_and_keeps_the_stored_answers(comparing, open_page):
    page = open_page(f"{comparing.url}/compare")
    page.get_by_label("Ask live").check()
    expect(page.locator("#compare-said")).to_contain_text("no model on this machine")
    expect(page.locator("#answer-right")).to_contain_text("stored answer")


@pytest.fixture
def talking(comparing, monkeypatch):
    """Two models that answer slowly, every word of an answer naming its question; gives their page's address."""
    from studio.pages import compare_question

    def slow(_loaded, _bench, sample, question, _protocol):
        for count in range(60):
            time.sleep(0.05)
            yield f"[{sample.image} {question.text}]" + " word" * count

    monkeypatch.setattr(compare_question, "stream", slow)
    monkeypatch.setattr(comparing.services.models, "get", lambda path: None)
    run = comparing.services.queue.runs()[0]
    run.final.mkdir()
    yield f"{comparing.url}/compare?a=model:{SHIPPED / 'emit-tiny'}&b={run.id}:tuned"
    run.final.rmdir()


def test_live_words_of_a_question_that_was_left_do_not_appear_under_the_next(talking, open_page):
    page = open_page(talking)
    left = page.locator("#answer-left")
    expect(left).to_contain_text("stored answer" if left.get_by_text("stored").count() else "No stored answer")
    page.get_by_label("Ask live").check()
    for _ in range(3):
        expect(left).to_contain_text("word word")
        old = left.inner_text().split("[")[1].split("]")[0]
        asked = page.locator("#asked .q-card").inner_text()
        page.locator("#next").click()
        expect(page.locator("#asked .q-card")).not_to_have_text(asked, use_inner_text=True)
        for _ in range(20):
            assert old not in page.locator(".answers").inner_text()
            page.wait_for_timeout(50)


def test_models_that_are_in_memory_answer_live_at_once(talking, open_page, monkeypatch, comparing):
    monkeypatch.setattr(comparing.services.models, "ready", lambda path: True)
    page = open_page(talking)
    expect(page.get_by_label("Ask live")).to_be_checked()
    expect(page.locator("#answer-left")).to_contain_text("word word")
    page.get_by_label("Ask live").uncheck()
    expect(page.locator("#answer-right")).to_contain_text("stored answer")


def test_a_sample_from_the_browse_page_is_shown(comparing, open_page):
    image = comparing.services.of(None).bench.split("test").samples[5].image
    page = open_page(f"{comparing.url}/compare?sample={image}")
    expect(page.locator("#asked")).to_contain_text(image)


def test_nothing_to_compare_shows_the_way_to_training(drawn, tmp_path, open_page, monkeypatch):
    alone = tmp_path / "models"  # the base without the tuned adapter that is shipped beside it
    alone.mkdir()
    (alone / "emit-tiny").symlink_to(SHIPPED / "emit-tiny")
    monkeypatch.setattr("studio.models.SHIPPED", alone)
    with serving(tmp_path / "empty", drawn) as running:
        page = open_page(f"{running.url}/compare")
        expect(page.locator("#compare-nothing")).to_contain_text("Nothing to compare yet")
        page.close()  # before its studio goes: else it complains


def test_the_shipped_models_stand_beside_each_other_before_anything_is_trained(drawn, tmp_path, open_page):
    with serving(tmp_path / "fresh", drawn) as running:
        page = open_page(f"{running.url}/compare")
        expect(page.locator("#answer-left h4")).to_have_text("emit-tiny")
        expect(page.locator("#answer-right h4")).to_have_text("emit-tiny-tuned")
        first = next(sample for sample in read_mmad(drawn) if sample.split == "test" and sample.questions)
        expect(page.locator("#asked")).to_contain_text(first.image)  # not one that a model may have learned from
        page.close()
