"""The score: fresh pictures, both models, one line of JSON at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.demo import score
from core.demo.__main__ import main
from core.demo.score import fresh_split, refuse_seen, score_models
from core.errors import UserError
from core.mmad import Task
from core.synthesis.factory import PRODUCTS
from tests.unit.evaluation.scenes import small_benchmark, tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    model, processor = tiny_model()
    for name in ("base", "tuned"):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder / "base", folder / "tuned"


def test_no_seed_shares_a_lot_with_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (0, 1, 12345):
        refuse_seen(seed)

    def one_seed(*args: object, **kwargs: object) -> int:
        return 1

    monkeypatch.setattr("core.synthesis.factory.plans.seed_of", one_seed)
    with pytest.raises(UserError, match="training has seen"):
        refuse_seen(3)


def test_a_fresh_split_asks_enough_on_every_product_and_in_every_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dict(list(PRODUCTS.items())[:3])
    monkeypatch.setattr("core.synthesis.factory.PRODUCTS", few)
    monkeypatch.setattr("core.synthesis.factory.writing.PRODUCTS", few)
    bench = fresh_split(tmp_path / "fresh", 7, questions=40)
    assert len(bench.questions) >= 40 and {sample.product for sample in bench} == set(few)
    assert {question.task for sample in bench for question in sample.questions} == set(Task)
    assert {sample.split for sample in bench} == {"test"}


@pytest.mark.parametrize("questions", [-5, 0, 99_999_999])
def test_an_absurd_number_of_questions_is_refused_before_a_picture_is_made(tmp_path: Path, questions: int) -> None:
    with pytest.raises(UserError, match="give 1 to 100,000"):
        fresh_split(tmp_path / "fresh", 7, questions=questions)
    assert not (tmp_path / "fresh").exists()


def test_equal_models_have_no_difference(models: tuple[Path, Path], tmp_path: Path) -> None:
    result = score_models(small_benchmark(tmp_path), *models)
    assert result["delta"] == 0 and result["p"] == 1.0 and result["base"] == result["tuned"]
    assert result["questions"] == result["table"].loc["Average", "questions"] > 0


def test_the_last_line_is_json(
    models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(score, "fresh_split", lambda root, seed, questions: small_benchmark(tmp_path))
    main(["score", "--seed", "3", "--base", str(models[0]), "--tuned", str(models[1])])
    lines = capsys.readouterr().out.strip().splitlines()
    assert set(json.loads(lines[-1])) == {"base", "tuned", "delta", "p", "questions"}
    assert any(line.startswith("Anomaly Detection") for line in lines) and any("1-shot" in line for line in lines)


def test_a_missing_adapter_is_said_before_anything_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["score", "--seed", "3", "--tuned", str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert "The tuned model" in (said := capsys.readouterr().err) and "is not there" in said and "pictures" not in said
