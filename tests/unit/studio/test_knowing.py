"""What the knowledge knew of the test: into the snapshot that the studio takes, and beside the figures it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.mmad import Protocol, Snapshot
from core.mmad.leaks import FROM_TEST_IMAGES, NAMES_DEFECTS
from studio.pages.train_form import take_snapshot
from studio.services import Services
from studio.views.knowing import cautions
from studio.views.pairs import pair
from studio.views.report import report
from studio.views.sources import Source
from tests.unit.mmad import benches
from tests.unit.studio.test_pairs import answers
from tests.unit.studio.test_scores import ROWS

TEST, TRAIN = "D/bolt/test/hole/1.png", "D/bolt/train/hole/2.png"


@pytest.fixture
def services(tmp_path: Path):
    found = Services(tmp_path / "workspace")
    yield found
    found.close()


@pytest.mark.parametrize(
    ("images", "splits", "status", "told"),
    [
        ([TEST], ["test"], "draft", True),
        ([TRAIN], ["train"], "approved", False),
        ([TRAIN], ["train", "test"], "draft", True),  # through the defect texts that the model was given
        ([TEST], ["test"], "rejected", False),
    ],
)
def test_a_snapshot_knows_which_texts_were_written_from_test_pictures(
    services, tmp_path, images, splits, status, told
) -> None:
    benches.pair(tmp_path / "bench")
    opened = services.open(tmp_path / "bench", "Bolts")
    texts = services.workspace.texts
    subject = texts.subject(opened.id, "D", "bolt", "hole")
    texts.suggest(subject, "A round hole.", model="m", images=images, splits=splits)
    assert FROM_TEST_IMAGES not in Snapshot.load(take_snapshot(services, opened)).labels, "nobody took it over yet"
    texts.save(subject, "A round hole, dark.", author="Ana", based_on=0, status=status)
    assert (FROM_TEST_IMAGES in Snapshot.load(take_snapshot(services, opened)).labels) == told


def test_a_text_that_was_there_before_the_suggestion_owes_it_nothing(services, tmp_path) -> None:
    benches.pair(tmp_path / "bench")
    opened = services.open(tmp_path / "bench", "Bolts")
    texts = services.workspace.texts
    subject = texts.subject(opened.id, "D", "bolt", "hole")
    texts.save(subject, "A hole.", author="Ana", based_on=0)
    texts.suggest(subject, "A round hole.", model="m", images=[TEST], splits=["test"])
    assert Snapshot.load(take_snapshot(services, opened)).labels == (NAMES_DEFECTS,)


def test_labels_stand_beside_the_figures_and_in_the_report(tmp_path: Path) -> None:
    told = answers("AB").assign(labels=f"{NAMES_DEFECTS}; {FROM_TEST_IMAGES}")
    html = cautions(((Source("a", "clean"), answers("AB").assign(labels="")), (Source("b", "<t>"), told)), "en")
    assert html.count("names the defect classes") == html.count("written from test images") == 1
    assert "clean" not in html and "<t>" not in html and "&lt;t&gt;" in html
    page = report("clean", "<t>", ROWS, pair(told, told), lambda _: None, "en", html)
    assert page.index("written from test images") < page.index("<table")


def test_older_answers_are_looked_up_in_their_runs_table(tmp_path: Path) -> None:
    (tmp_path / "answers" / "tuned").mkdir(parents=True)
    source = Source("r:tuned", "tuned", answers=tmp_path / "answers" / "tuned")
    shown = answers("AB").assign(**Protocol().as_dict())
    assert cautions(((source, shown),), "en") == "", "no table yet"
    (tmp_path / "answers" / "table.json").write_text(json.dumps({"labels": [NAMES_DEFECTS]}))
    assert "names the defect classes" in cautions(((source, shown),), "en")
    assert cautions(((source, shown.assign(knowledge=False)),), "en") == ""
