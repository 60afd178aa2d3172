"""The table of samples that Browse filters: what people corrected is what counts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from core.mmad import OBJECT_TASKS, Task
from core.mmad.vocabulary import GOOD
from core.runs import create_run
from studio.services import Services
from studio.views.catalogue import Choice, catalogue, counts, last_run, select
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


def found_hard(services, name, images, wrong):
    """A run that asked about these images and got this share of wrong answers."""
    run = create_run(services.runs_dir, {"name": name, "preset": "smoke"})
    columns = {"index": 0, "dataset": "d", "product": "p", "defect": "x", "question_type": "t", "step": 1,
               "resamplings": 0, "reward": 0.0, "weight": 1.0, "solved": True}  # fmt: skip
    (run.path / "difficulty").mkdir()
    table = pd.DataFrame({"image": images, "wrong": wrong}).assign(**columns)
    table.to_parquet(run.path / "difficulty" / "part-000001.parquet")
    # The newest is that with the latest time of creation; two of one test are equally new.
    run.write_state(replace(run.state(), created=run.state().created + len(list(services.runs_dir.iterdir()))))
    return run


def test_hardest_first_takes_the_newest_run_that_asked_about_this_benchmark(opened):
    services, bench = opened
    images = [sample.image for sample in bench.bench.samples[:3]]
    found_hard(services, "older", images, [0.2, 0.9, 0.5])
    own = found_hard(services, "own", images[:2], [0.1, 0.8])
    found_hard(services, "of another benchmark", ["elsewhere/a.png"], [1.0])
    assert last_run(services, bench).name == own.id
    shown = select(catalogue(services, bench), Choice(order="hardest"))
    assert list(shown["image"][:2]) == [images[1], images[0]] and list(shown["hardness"][:2]) == [0.8, 0.1]
    assert shown["hardness"][2:].isna().all()
