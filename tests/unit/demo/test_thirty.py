"""Thirty answers on one page: drawn evenly, with pictures inside the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.demo.__main__ import main
from core.demo.thirty import draw, page
from core.evaluation.records import Reply, frame, row
from core.mmad import Protocol, Task
from tests.unit.evaluation.scenes import small_benchmark


def test_questions_are_drawn_evenly_from_the_tasks(tmp_path: Path) -> None:
    bench = small_benchmark(tmp_path, 20)
    drawn = draw(bench, 14)
    tasks = [question.task for sample in drawn for question in sample.questions]
    assert len(tasks) == 14 and all(tasks.count(task) == 2 for task in Task)
    assert draw(bench, 14) == drawn and draw(bench, 14, seed=1) != drawn
    whole = sum(len(sample.questions) for sample in bench)
    assert sum(len(sample.questions) for sample in draw(bench, 10_000)) == whole


def test_the_page_shows_who_said_what_and_holds_its_pictures(tmp_path: Path) -> None:
    bench = draw(small_benchmark(tmp_path), 7)
    answers = {
        name: frame(
            row(s, i, Reply(said or "", said), name, Protocol()) for s in bench for i in range(len(s.questions))
        )
        for name, said in (("base", None), ("tuned", "B"))
    }
    html = page(bench, answers, lambda query, reference: np.eye(4), title="<Seven>", about="about")
    assert "&lt;Seven&gt;" in html and html.count("<article>") == 7
    assert html.count("base gave no letter.") == 7 and html.count("&larr; tuned") == 7
    assert "heatmap, 0.00 to 1.00" in html and html.count("data:image/jpeg;base64,") >= 3 * 7
    assert 'src="/' not in html and "http" not in html


def test_a_run_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["thirty", "--run", str(tmp_path)])
    assert "give the folder of a finished run" in capsys.readouterr().err
