"""What people write: append-only, with a parent, and nothing lost when two write at once."""

import threading

import pytest

from core.errors import UserError
from core.workspace import Conflict, Workspace


@pytest.fixture
def subject(workspace: Workspace) -> int:
    bench = workspace.benchmarks.open("/data/bench").id
    found = workspace.texts.subject(bench, "shop", "bolt", "scratch")
    assert found is not None
    return found


def test_every_save_appends_and_the_former_text_stays(workspace, subject):
    workspace.texts.save(subject, "one", author="Ana", based_on=0)
    workspace.texts.save(subject, "two", author="Ben", based_on=1, status="approved")
    assert [(r.number, r.text, r.author, r.status) for r in workspace.texts.history(subject)] == [
        (2, "two", "Ben", "approved"),
        (1, "one", "Ana", "draft"),
    ]
    assert workspace.texts.current(subject).text == "two"


def test_a_late_save_is_told_and_kept_and_the_first_one_stays_current(workspace, subject):
    workspace.texts.save(subject, "Ana's words", author="Ana", based_on=0)
    with pytest.raises(Conflict, match="Ana saved this text") as told:
        workspace.texts.save(subject, "Ben's words", author="Ben", based_on=0)
    assert told.value.mine.text == "Ben's words" and told.value.theirs.text == "Ana's words"
    assert workspace.texts.current(subject).text == "Ana's words"
    assert [r.text for r in workspace.texts.open_conflicts(subject)] == ["Ben's words"]


def test_saving_with_both_in_view_settles_the_conflict(workspace, subject):
    workspace.texts.save(subject, "Ana's words", author="Ana", based_on=0)
    with pytest.raises(Conflict):
        workspace.texts.save(subject, "Ben's words", author="Ben", based_on=0)
    workspace.texts.save(subject, "both words", author="Ben", based_on=2)
    assert workspace.texts.open_conflicts(subject) == []
    assert workspace.texts.current(subject).text == "both words"
    assert len(workspace.texts.history(subject)) == 3


def test_the_same_words_twice_are_no_conflict(workspace, subject):
    workspace.texts.save(subject, "same", author="Ana", based_on=0)
    assert not workspace.texts.save(subject, "same", author="Ben", based_on=0).parked


def test_twenty_people_saving_at_once_lose_no_word(workspace, subject):
    conflicts = []

    def write(number: int) -> None:
        try:
            workspace.texts.save(subject, f"words of {number}", author=str(number), based_on=0)
        except Conflict as conflict:
            conflicts.append(conflict)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = workspace.texts.history(subject)
    assert {r.text for r in history} == {f"words of {n}" for n in range(20)}
    assert [r.number for r in history] == list(range(20, 0, -1))
    assert len(conflicts) == 19 and sum(not r.parked for r in history) == 1


def test_two_studios_on_one_workspace_see_each_other(tmp_path):
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    subject = first.texts.subject(first.benchmarks.open("/b").id, "d", "p", "good")
    first.texts.save(subject, "one", author="Ana", based_on=0)
    with pytest.raises(Conflict):
        second.texts.save(subject, "two", author="Ben", based_on=0)


def test_suggestions_are_kept_beside_with_what_they_cost(workspace, subject):
    workspace.texts.suggest(subject, "old", model="gpt-4o", prompt_tokens=900, completion_tokens=80, cost=0.003)
    workspace.texts.suggest(subject, "new", model="offline", splits=["train"])
    newest, oldest = workspace.texts.suggestions(subject)
    assert (newest.text, newest.model, newest.cost) == ("new", "offline", None)
    assert (oldest.prompt_tokens, oldest.cost) == (900, 0.003)
    bench = workspace.benchmarks.all()[0].id
    assert workspace.texts.suggested(bench) == {("shop", "bolt", "scratch")}
    assert workspace.texts.latest(bench) == {}, "a suggestion is no revision"


def test_unknown_status_and_subject_are_refused(workspace, subject):
    with pytest.raises(UserError, match="not a status"):
        workspace.texts.save(subject, "x", author="Ana", based_on=0, status="perfect")
    with pytest.raises(UserError, match="no longer exists"):
        workspace.texts.save(999, "x", author="Ana", based_on=0)


def test_times_come_back_in_utc(workspace, subject):
    workspace.texts.save(subject, "x", author="Ana", based_on=0)
    assert workspace.texts.current(subject).created.utcoffset().total_seconds() == 0
