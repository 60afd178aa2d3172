"""The table of samples that Browse filters: what people corrected is what counts."""

from __future__ import annotations

import pytest

from core.mmad import OBJECT_TASKS, Task
from core.mmad.vocabulary import GOOD
from studio.services import Services
from studio.views.catalogue import Choice, catalogue, counts, select
from tests.ui.benchmark import write_benchmark


@pytest.fixture
def opened(tmp_path):
    write_benchmark(tmp_path / "bolts", good=2, bad=2)
    services = Services(tmp_path / "workspace", tmp_path / "bolts")
    yield services, services.of(None)
    services.close()


def correct(services, opened, image, label):
    services.workspace.marks.correct(opened.id, image, label=label, author="Ana")


def test_a_corrected_label_is_what_the_defect_filter_counts_and_finds(opened):
    services, bench = opened
    image = next(s.image for s in bench.bench if s.product == "washer" and s.defect == "dent" and s.text is None)
    washers = Choice({"product": "washer"})
    before = counts(catalogue(services, bench), washers)["defect"]
    correct(services, bench, image, "crack")  # a label the benchmark did not know
    table = catalogue(services, bench)
    after = counts(table, washers)["defect"]
    assert (after["dent"], after["crack"]) == (before["dent"] - 1, 1)
    assert list(select(table, Choice({"defect": "crack"}))["image"]) == [image]
    assert counts(table, Choice({"defect": "crack"}))["mark"] == {"corrected": 1}


def test_questions_about_an_old_label_are_gone_from_the_task_filter(opened):
    services, bench = opened
    image = next(s.image for s in bench.bench if s.defect and s.questions and s.text is None)
    asked = {q.task for q in bench.bench.by_image[image].questions}
    correct(services, bench, image, GOOD)
    row = catalogue(services, bench).set_index("image").loc[image]
    assert row["defect"] == GOOD
    assert {task for task in Task if row[task.value]} == asked & set(OBJECT_TASKS)
    assert asked - set(OBJECT_TASKS)


def test_a_mask_drawn_anew_keeps_label_and_questions(opened):
    services, bench = opened
    before = catalogue(services, bench).drop(columns="corrected")
    image = bench.bench.samples[-1].image
    correct(services, bench, image, bench.bench.by_image[image].label)
    after = catalogue(services, bench)
    assert list(after.loc[after["corrected"], "image"]) == [image]
    assert (after[[task.value for task in Task]] == before[[task.value for task in Task]]).all().all()
    assert list(after["defect"].astype(str)) == list(before["defect"].astype(str))


def test_a_corrected_sample_has_the_status_of_its_new_labels_text(opened):
    services, bench = opened
    image = next(s.image for s in bench.bench if s.product == "washer" and s.defect == "dent" and s.text is None)
    correct(services, bench, image, "crack")
    assert catalogue(services, bench).set_index("image").loc[image, "status"] == "none"
