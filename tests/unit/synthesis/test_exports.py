"""What is exported can be read by the tools it is meant for, and a leak is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.errors import UserError
from core.mmad import Benchmark, Protocol, Snapshot, Task, read_mmad
from core.synthesis import build, export
from core.synthesis.exports import FORMATS
from core.synthesis.exports.__main__ import main
from tests.unit.synthesis import trees


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    root = tmp_path_factory.mktemp("exports")
    trees.deeppcb(root / "in", ("group00041", "group77000"), count=1)
    return build("deeppcb", root / "in", root / "out", most=2, k=2).bench


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def load(path: Path, columns: tuple[str, ...] = ("images",)):
    """As a user of `datasets` would."""
    from datasets import Image, List, load_dataset

    table = load_dataset("json", data_files=str(path), split="train", cache_dir=str(path.parent / "cache"))
    for column in columns:
        table = table.cast_column(column, List(Image()))
    return table


def test_every_question_is_a_line_of_its_split(bench: Benchmark, tmp_path: Path) -> None:
    out = export(bench, "trl-grpo", tmp_path / "out")
    assert sorted(p.name for p in out.iterdir()) == ["test.jsonl", "train.jsonl"]
    for split in ("train", "test"):
        assert len(lines(out / f"{split}.jsonl")) == len(bench.split(split).questions)


def test_trl_grpo_rows_load_with_their_pictures(bench: Benchmark, tmp_path: Path) -> None:
    table = load(export(bench, "trl-grpo", tmp_path / "out") / "train.jsonl")
    expected = bench.split("train").questions
    assert table["solution"] == list(expected.correct_answer)
    for row in table:
        marks = [part for message in row["prompt"] for part in message["content"] if part["type"] == "image"]
        assert len(marks) == len(row["images"]) == (1 if row["task"].startswith("Object") else 2)
        assert row["images"][-1].size == (160, 160)
    assert "<think>" in json.dumps(table[0]["prompt"])


def test_swift_rows_have_its_schema(bench: Benchmark, tmp_path: Path) -> None:
    """ms-swift pins older libraries, so its schema is checked: roles in turn, one <image> mark a picture, files there."""
    for name, roles in (("swift-grpo", ["system", "user"]), ("swift-sft", ["system", "user", "assistant"])):
        for row in lines(export(bench, name, tmp_path / name) / "train.jsonl"):
            assert [message["role"] for message in row["messages"]] == roles
            assert all(set(message) == {"role", "content"} and message["content"] for message in row["messages"])
            assert row["messages"][1]["content"].count("<image>") == len(row["images"]) > 0
            assert "<image>" not in row["messages"][0]["content"]
            assert all(Path(image).is_absolute() and Path(image).is_file() for image in row["images"])
            answer = row["solution"] if name == "swift-grpo" else row["messages"][2]["content"]
            assert answer in "ABCD" and ("solution" in row) == (name == "swift-grpo")


def test_paths_may_be_relative(bench: Benchmark, tmp_path: Path) -> None:
    out = export(bench, "trl-sft", tmp_path / "out", absolute=False, protocol=Protocol(shots=0, knowledge=False))
    for row in lines(out / "test.jsonl"):
        assert len(row["images"]) == 1 and (bench.root / row["images"][0]).is_file()
        assert str(bench.root) not in json.dumps(row) and "What is known" not in json.dumps(row)


def test_datasets_reads_samples_with_image_columns(bench: Benchmark, tmp_path: Path) -> None:
    from datasets import load_dataset

    out = export(bench, "datasets", tmp_path / "out")
    table = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(table) == {"train", "test"} and len(table["train"]) == len(bench.split("train"))
    for row, sample in zip(table["train"], bench.split("train"), strict=True):
        assert row["image"].size == row["reference"].size == (160, 160) and (row["mask"] is None) == sample.is_normal
        assert [q["answer"] for q in row["questions"]] == [q.answer for q in sample.questions]
        assert all(q["options"][0].startswith("A. ") and Task(q["task"]) for q in row["questions"])


def test_mmads_own_layout_is_the_same_benchmark_elsewhere(bench: Benchmark, tmp_path: Path) -> None:
    again = read_mmad(export(bench, "mmad", tmp_path / "out"))
    assert again.samples == bench.samples and again.knowledge == bench.knowledge
    assert Snapshot.of(again).digest == Snapshot.of(bench).digest
    with pytest.raises(UserError, match="already there"):
        export(bench, "mmad", tmp_path / "out")


def test_only_the_splits_asked_for(bench: Benchmark, tmp_path: Path) -> None:
    assert {s.split for s in read_mmad(export(bench, "mmad", tmp_path / "out", splits=("test",)))} == {"test"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_leak_is_refused_in_every_format(bench: Benchmark, tmp_path: Path, name: str) -> None:
    leaky = read_mmad(export(bench, "mmad", tmp_path / "in"))
    train, test = leaky.split("train").samples[0].image, leaky.split("test").samples[0].image
    shutil.copy(leaky.path(train), leaky.path(test))
    for what in (leaky, Snapshot.of(leaky)):
        with pytest.raises(UserError, match=test):
            export(what, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(bench: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--data", str(bench.root), "--format", "trl-sft", "--out", str(tmp_path / "out")]
    main([*flags, "--splits", "train"])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["train.jsonl"]
    with pytest.raises(SystemExit) as end:
        main(flags)
    assert end.value.code == 2 and "--overwrite" in capsys.readouterr().err
    main([*flags, "--overwrite"])


class TestTrainers:
    """TRL's own trainers take the rows as they are."""

    @pytest.fixture(scope="class")
    def checkpoint(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        from core.model.tiny import build_tiny

        path = tmp_path_factory.mktemp("checkpoint")
        model, processor = build_tiny(
            None, image_size=56, patch_size=7, vision_width=32, vision_layers=4, vision_heads=2, width=32, layers=2,
            heads=2, key_value_heads=1, window=3, rotations=(0,),
        )  # fmt: skip
        model.save_pretrained(path)
        processor.save_pretrained(path)
        return path

    def test_grpo(self, bench: Benchmark, checkpoint: Path, tmp_path: Path) -> None:
        from trl import GRPOConfig, GRPOTrainer

        from core.model import load_model

        table = load(export(bench, "trl-grpo", tmp_path / "out", protocol=Protocol(knowledge=False)) / "train.jsonl")
        model, processor = load_model(checkpoint)
        seen: list[str] = []

        def reward(completions: list, solution: list[str], **columns: object) -> list[float]:
            seen.extend(solution)
            return [float(i) for i in range(len(completions))]

        GRPOTrainer(
            model=model, processing_class=processor, reward_funcs=reward, train_dataset=table.select(range(2)),
            args=GRPOConfig(
                str(tmp_path / "run"), use_cpu=True, bf16=False, per_device_train_batch_size=2, num_generations=2,
                max_steps=1, max_completion_length=4, report_to=[], save_strategy="no", disable_tqdm=True,
            ),
        ).train()  # fmt: skip
        assert len(seen) == 2 and set(seen) <= set("ABCD")

    def test_sft(self, bench: Benchmark, checkpoint: Path, tmp_path: Path) -> None:
        from trl import SFTConfig, SFTTrainer

        from core.model import load_model

        table = load(export(bench, "trl-sft", tmp_path / "out", protocol=Protocol(knowledge=False)) / "train.jsonl")
        model, processor = load_model(checkpoint)
        trainer = SFTTrainer(
            model=model, processing_class=processor, train_dataset=table.select(range(2)),
            args=SFTConfig(
                str(tmp_path / "run"), use_cpu=True, bf16=False, per_device_train_batch_size=2, max_steps=1, max_length=None,
                report_to=[], save_strategy="no", disable_tqdm=True,
            ),
        )  # fmt: skip
        assert trainer.train().training_loss > 0
