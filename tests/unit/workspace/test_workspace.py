"""The workspace as a whole: opening, migrating, resolving a benchmark, marks, settings, exchange."""

import sqlite3
import sys

import pytest
from sqlalchemy import inspect

from core.errors import UserError
from core.workspace import Workspace, export_knowledge, import_knowledge
from core.workspace.database import FILE, HEAD
from core.workspace.tables import Base


def open_(workspace, bench) -> int:
    return workspace.benchmarks.open(bench.root, "bolts").id


def write(workspace, bench_id, name, text, kind="description", **more):
    subject = workspace.texts.subject(bench_id, "DS-MVTec", "bolt", name, kind=kind)
    return workspace.texts.save(subject, text, author="Ana", based_on=0, **more)


def test_what_was_written_is_there_after_a_restart(tmp_path, bench):
    first = Workspace(tmp_path / "w")
    write(first, open_(first, bench), "scratch", "A fine line.")
    first.close()
    again = Workspace(tmp_path / "w")
    row = again.benchmarks.all()[0]
    assert (row.name, again.texts.latest(row.id)["DS-MVTec", "bolt", "scratch"].text) == ("bolts", "A fine line.")


def test_the_migrated_schema_is_the_one_of_the_classes(workspace):
    found = inspect(workspace.engine)
    for table in Base.metadata.sorted_tables:
        assert {c["name"] for c in found.get_columns(table.name)} == set(table.columns.keys()), table.name
    with workspace.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_places_that_are_no_workspace_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file is a file, a folder is needed"):
        Workspace(tmp_path / "file")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE).write_text("this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(UserError, match="choose another"):
        Workspace(tmp_path / "text")
    (tmp_path / "foreign").mkdir()
    with sqlite3.connect(tmp_path / "foreign" / FILE) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(UserError, match="another program"):
        Workspace(tmp_path / "foreign")


def test_a_database_without_its_driver_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(UserError, match="needs the package"):
        Workspace("postgresql+psycopg2://nobody@127.0.0.1:1/x")


def test_a_newer_workspace_is_left_alone(tmp_path):
    Workspace(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="newer"):
        Workspace(tmp_path)


def test_texts_of_people_lie_over_those_of_the_benchmark(workspace, bench):
    bench_id = open_(workspace, bench)
    revision = write(workspace, bench_id, "scratch", "A fine line.")
    resolved = workspace.resolve(bench, bench_id)
    assert resolved.bench.descriptions("DS-MVTec", "bolt") == {"good": "A clean bolt.", "scratch": "A fine line."}
    assert resolved.bench.knowledge["MVTec"]["bolt"]["scratch"] == "A line.", "the namesake dataset keeps its text"
    assert resolved.revisions == (revision.id,)
    assert bench.knowledge["MVTec"]["bolt"]["scratch"] == "A line."


def test_a_rejected_text_is_not_shown_to_any_model(workspace, bench):
    bench_id = open_(workspace, bench)
    write(workspace, bench_id, "scratch", "Wrong.", status="rejected")
    assert "scratch" not in workspace.resolve(bench, bench_id).bench.descriptions("DS-MVTec", "bolt")


def test_an_edited_text_sample_carries_its_new_text(workspace, bench):
    bench_id = open_(workspace, bench)
    write(workspace, bench_id, "DS-MVTec/bolt/text/2.txt", "A bolt with a line.", kind="text sample")
    resolved = workspace.resolve(bench, bench_id).bench
    assert resolved.by_image["DS-MVTec/bolt/text/2.txt"].text == "A bolt with a line."


def test_a_flag_takes_a_sample_out_until_it_is_lifted(workspace, bench):
    bench_id, image = open_(workspace, bench), "DS-MVTec/bolt/scratch/1.png"
    workspace.marks.flag(bench_id, image, reason="a nut", author="Ana")
    workspace.marks.flag(bench_id, image, reason="again", author="Ben")
    assert workspace.marks.flags(bench_id)[image].reason == "a nut"
    resolved = workspace.resolve(bench, bench_id)
    assert image not in resolved.bench.by_image and resolved.flagged == (image,)
    workspace.marks.unflag(bench_id, image, author="Ben")
    assert image in workspace.resolve(bench, bench_id).bench.by_image


def test_a_corrected_label_drops_the_questions_it_makes_wrong(workspace, bench):
    bench_id, image = open_(workspace, bench), "DS-MVTec/bolt/scratch/1.png"
    workspace.marks.correct(bench_id, image, label="dent", author="Ana")
    workspace.marks.correct(bench_id, image, label="good", author="Ben", mask="corrections/m.png")
    sample = workspace.resolve(bench, bench_id).bench.by_image[image]
    assert (sample.defect, sample.mask) == (None, "corrections/m.png")
    assert [q.type for q in sample.questions] == ["Object Classification"]


def test_a_new_mask_alone_keeps_all_questions(workspace, bench):
    bench_id, image = open_(workspace, bench), "DS-MVTec/bolt/scratch/1.png"
    workspace.marks.correct(bench_id, image, label="scratch", author="Ana", mask="corrections/m.png")
    assert len(workspace.resolve(bench, bench_id).bench.by_image[image].questions) == 2


def test_votes_and_settings(workspace, bench):
    bench_id = open_(workspace, bench)
    workspace.marks.vote(bench_id, "x.png", 0, left="base", right="run-1", winner="tie", author="Ana")
    assert [v.winner for v in workspace.marks.votes(bench_id)] == ["tie"]
    assert workspace.settings.get("model", "none") == "none"
    workspace.settings.set("model", {"path": "m"})
    workspace.settings.set("model", {"path": "n"})
    assert workspace.settings.get("model") == {"path": "n"}


def test_a_forgotten_benchmark_comes_back_with_its_texts(workspace, bench):
    bench_id = open_(workspace, bench)
    workspace.benchmarks.forget(bench_id)
    assert workspace.benchmarks.all() == []
    assert open_(workspace, bench) == bench_id


def test_import_saves_what_differs_and_names_what_is_unknown(workspace, bench):
    bench_id = open_(workspace, bench)
    incoming = {
        "MVTec": {"bolt": {"good": "A clean bolt.", "scratch": "A thin line."}, "pill": {"good": "A pill."}},
        "VisA": {"bolt": {"good": "Another bolt."}},
    }
    done = import_knowledge(workspace, bench, bench_id, incoming, author="Ana")
    assert done.saved == (("DS-MVTec", "bolt", "scratch"),) and done.same == 1
    assert set(done.unknown) == {("MVTec", "pill", "good"), ("VisA", "bolt", "good")}
    assert export_knowledge(workspace, bench, bench_id)["DS-MVTec"]["bolt"]["scratch"] == "A thin line."
    assert import_knowledge(workspace, bench, bench_id, incoming, author="Ben").saved == ()
