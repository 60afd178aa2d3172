"""`python -m core.evaluation` as people type it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.errors import UserError
from core.evaluation.__main__ import main
from core.evaluation.guarding import refuse_trained
from core.evaluation.records import Reply, frame, labels_of, read_answers, row, write_answers
from core.mmad import Protocol, Snapshot, write_mmad
from core.mmad.leaks import NAMES_DEFECTS
from tests.unit.evaluation.scenes import random_answers, small_benchmark, tiny_model
from tests.unit.mmad import benches


def test_table_compare_and_report(tmp_path: Path, capsys) -> None:
    for name, skill in (("base", 0.4), ("tuned", 0.8)):
        write_answers(random_answers(300, skill=skill, seed=len(name)), tmp_path / f"{name}.csv")
    base, tuned = str(tmp_path / "base.csv"), str(tmp_path / "tuned.csv")
    assert main(["table", base, "--json", str(tmp_path / "table.json")]) == 0
    assert "300 of 300" in capsys.readouterr().out
    assert "Average" in json.loads((tmp_path / "table.json").read_text())
    assert main(["compare", base, tuned, "--draws", "100", "--names", "base", "tuned"]) == 0
    assert "points, 95 % interval" in capsys.readouterr().out
    assert main(["report", base, tuned, "--out", str(tmp_path / "report"), "--draws", "50"]) == 0
    assert (tmp_path / "report" / "report.html").is_file()


def test_answer_asks_and_goes_on(tmp_path: Path, capsys) -> None:
    write_mmad(small_benchmark(tmp_path / "W", 4))
    model, processor = tiny_model()
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    command = ["answer", "--data", str(tmp_path / "W"), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out"),
               "--answering", "letters", "--device", "cpu"]  # fmt: skip
    assert main([*command, "--splits", "test"]) == 0
    said = capsys.readouterr().out
    assert "Anomaly Detection" in said and f"note: {NAMES_DEFECTS}" in said
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--splits", "val"])
    assert stopped.value.code == 2 and "choose another folder" in capsys.readouterr().err


def test_answers_are_held_against_their_benchmark(tmp_path: Path, capsys) -> None:
    bench = small_benchmark(tmp_path / "W", 6)
    write_mmad(bench)
    rows = [
        row(s, i, Reply("A", "A"), "m", Protocol()) for s in bench.split("val") for i in range(len(s.questions))
    ]  # fmt: skip
    write_answers(frame(rows[:5]), tmp_path / "some.csv")
    some, own = str(tmp_path / "some.csv"), str(tmp_path / "W")
    assert main(["table", some, "--data", own]) == 0
    assert f"5 of {len(rows)} questions answered" in capsys.readouterr().out, "test pictures were not asked about"
    assert main(["compare", some, some, "--names", "a", "b", "--data", own, "--draws", "20"]) == 0
    assert f"note: a is partial: 5 of {len(rows)} questions" in capsys.readouterr().out
    write_answers(random_answers(20), tmp_path / "other.csv")
    for command in (["table"], ["report", "--out", str(tmp_path / "out")]):
        with pytest.raises(SystemExit) as stopped:
            main([command[0], str(tmp_path / "other.csv"), *command[1:], "--data", own])
        assert stopped.value.code == 2 and "20 of 20 answers are to questions" in capsys.readouterr().err
    a_run(tmp_path / "run", bench)
    assert main(["table", some, "--data", str(tmp_path / "run")]) == 0, "a run's folder names its questions too"


def test_two_processes_share_the_work(tmp_path: Path, capfd) -> None:
    bench = small_benchmark(tmp_path / "W", 4)
    write_mmad(bench)
    model, processor = tiny_model()
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    command = ["answer", "--data", str(tmp_path / "W"), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out"),
               "--answering", "letters", "--device", "cpu", "--processes", "2"]  # fmt: skip
    assert main(command) == 0
    asked = len(bench.questions)
    assert f"{asked} of {asked} answers" in capfd.readouterr().out
    assert len({part.name.split("-")[1] for part in (tmp_path / "out").glob("part-*")}) == 2
    shutil.rmtree(tmp_path / "out")
    (bench.root / bench.samples[1].image).unlink()
    assert main([*command, "--batch-size", "1"]) == 1
    kept = len(read_answers(tmp_path / "out"))
    assert 0 < kept < asked and f"1 of 2 processes broke off; {kept} of {asked} questions" in capfd.readouterr().err


def test_labels_go_with_the_answers_into_every_output(tmp_path: Path, capsys) -> None:
    for name, labels in (("clean", ""), ("told", NAMES_DEFECTS)):
        write_answers(random_answers(200, seed=len(name)).assign(labels=labels), tmp_path / f"{name}.csv")
    clean, told = str(tmp_path / "clean.csv"), str(tmp_path / "told.csv")
    assert labels_of(read_answers(told)) == (NAMES_DEFECTS,) and labels_of(read_answers(clean)) == ()
    for path, count in ((told, 1), (clean, 0)):
        main(["table", path])
        assert capsys.readouterr().out.count(NAMES_DEFECTS) == count
    main(["compare", clean, told, "--draws", "50"])
    said = capsys.readouterr().out
    assert f"note: told.csv: {NAMES_DEFECTS}." in said and "note: clean.csv" not in said


def a_run(folder: Path, bench, base: str = "") -> Path:
    """A run folder with `final/`, trained on the training part of `bench`."""
    (folder / "final").mkdir(parents=True)
    Snapshot.of(bench).save(folder / "snapshot.json")
    (folder / "config.yaml").write_text(f"base: {base}\n")
    return folder


def test_a_model_is_not_asked_about_what_it_was_trained_on(tmp_path: Path, capsys) -> None:
    run = a_run(tmp_path / "run", benches.pair(tmp_path / "a"))
    later = a_run(tmp_path / "later", benches.write(tmp_path / "c", {"E/nut/x/good/5.png": {"conversation": []}}), run)
    copied, clean = "F/cup/x/good/7.png", "F/cup/x/good/8.png"
    entries = {name: {"conversation": [benches.question("B")], "split": "test"} for name in (copied, clean)}
    bench = benches.write(tmp_path / "b", entries)
    for model in (run, run / "final", later):
        refuse_trained(model, bench.select([bench.by_image[clean]]))
    shutil.copy(tmp_path / "a/D/bolt/train/hole/2.png", tmp_path / "b" / copied)
    refuse_trained("some/name-of-a-hub", bench)
    refuse_trained(tmp_path / "b", bench)
    for model in (run, run / "final", later / "final"):
        with pytest.raises(UserError, match=f"1 of 2 test pictures.*{copied} = D/bolt/train/hole/2.png"):
            refuse_trained(model, bench)
    refuse_trained(run, bench.split("train"))
    with pytest.raises(SystemExit) as stopped:
        main(["answer", "--data", str(tmp_path / "b"), "--model", str(run / "final"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2 and copied in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["table", "nowhere"], "does not exist"),
        (["compare", "nowhere", "there"], "does not exist"),
        (["answer", "--data", "nowhere", "--endpoint", "gpt", "--out", "x"], "not a folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_two(command, said, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_mmads_own_answer_files_are_read(tmp_path: Path, capsys) -> None:
    rows = random_answers(40).drop(columns="index").rename(columns={"answer": "gpt_answer"}).to_dict("records")
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    assert main(["table", str(tmp_path / "answers.json")]) == 0


def test_broken_files_are_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "part-000-000000.parquet").write_bytes(b"no parquet")
    (tmp_path / "list.json").write_text("{}")
    for path, said in ((tmp_path, "not a Parquet file"), (tmp_path / "list.json", "must be a list")):
        with pytest.raises(SystemExit):
            main(["table", str(path)])
        assert said in capsys.readouterr().err
