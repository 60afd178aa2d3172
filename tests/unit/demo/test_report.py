"""Tables, tests and figures come out of summaries alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.demo.__main__ import main
from core.demo.charts import draw_all
from core.demo.evidence import averages, claim, read_all, read_bench
from core.demo.report import BEGIN, END, markdown, put_between_markers
from core.demo.summaries import accuracies, by_difficulty, keep, part_masks
from core.errors import UserError
from core.files import read_json, write_json

COUNT = 700
ASKED = {
    "version": 1, "digest": "d" * 64, "questions": COUNT, "tasks": "0123456" * (COUNT // 7),
    "parts": "iidp" * (COUNT // 4), "normal": "0011001" * (COUNT // 7), "difficulty": [0.1, 0.4, 0.6, 1.0] * (COUNT // 4),
}  # fmt: skip
MACHINE = {"machine": {"cores": 2, "memory_gb": 8, "gpu": None, "load": 1.0}, "date": "2025-01-02"}

PRICE = {"minutes": {"sft": 1.0}, "tokens": 0,
         "curve": [{"stage": "sft", "step": 1, "minutes": 1.0, "tokens": 0, "accuracy": 40.0}]}  # fmt: skip
GROUPS = {
    "minutes": {"sft": 1.0, "grpo": 3.0},
    "tokens": 1000,
    "hard": [[1, 0.5], [9, 0.2]],
    "unsolved": [[1, 0.4], [9, 0.1]],
}


def add(folder: Path, arm: str, seed: int, skill: float, **more: object) -> None:
    right = np.random.default_rng([seed, len(arm)]).random(COUNT) < skill
    parts = {
        name: {"questions": int(mask.sum()), **accuracies(ASKED, right, mask)}
        for name, mask in part_masks(ASKED).items()
    }
    keep(folder, f"{arm}-{seed}", ASKED, {
        "arm": arm, "seed": seed, "preset": "demo", "recipe": "r", "protocol": "1-shot", "labels": [], "questions": COUNT,
        "asked": ASKED["digest"], "parts": parts, "right": "".join("01"[int(value)] for value in right),
        "difficulty": by_difficulty(ASKED, right), **MACHINE, **more,
    })  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "proof" / "demo"
    add(folder, "base", 0, 0.3)
    for seed in (0, 1, 2):
        for arm, skill in (("sft", 0.45), ("grpo", 0.55), ("emit", 0.7), ("no_resampling", 0.66)):
            add(folder, arm, seed, skill, **(PRICE if arm == "sft" else PRICE | GROUPS))
    return folder.parent


def test_claims_are_tested_within_questions_and_over_seeds(out: Path) -> None:
    bench = read_bench(out / "demo")
    assert bench
    for part in ("all", "instances", "products"):
        found = claim(bench, "base", "emit", part)
        assert found and found["seeds"] == [0, 1, 2] and found["difference"] > 25
        assert found["p"] < 1e-6 and found["p_seeds"] < 0.05 and found["fixed"] > found["regressed"] > 0
    whole, part = (claim(bench, "grpo", "emit", name) for name in ("all", "products"))
    assert whole and part and whole["fixed"] > part["fixed"]
    backwards = claim(bench, "emit", "grpo")
    assert backwards and backwards["difference"] == pytest.approx(-whole["difference"]) and backwards["p"] == whole["p"]
    assert claim(bench, "base", "no_heatmap") is None


def test_averages_for_scripts_hold_one_value_per_seed(out: Path) -> None:
    found = averages(read_all(out))
    assert list(found) == ["demo"] and list(found["demo"]) == ["base", "sft", "grpo", "emit", "no_resampling"]
    assert all(len(row["averages"]) == 3 for row in found["demo"].values())
    assert len(set(found["demo"]["base"]["averages"])) == 1 and len(set(found["demo"]["emit"]["averages"])) == 3


def test_the_text_states_runs_protocol_machine_and_price(out: Path) -> None:
    text = markdown(read_all(out), {})
    for words in ("| emit | 3 |", "| base | 1 |", "protocol: 1-shot", "2 CPU cores", "2025-01-02", "seeds 0, 1, 2",
                  "points per minute", "emit - base", "unseen products", "emit - no_resampling"):  # fmt: skip
        assert words in text, words
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") > 3 for line in lines)


def test_controls_are_folded_and_the_rest_lies_open(out: Path) -> None:
    cells = {"questions": 10, "accuracy": 60.0, "chance": 50.0, "p_above_chance": 0.5}
    (out / "demo" / "controls").mkdir()
    write_json(out / "demo" / "controls" / "emit-1.json", {
        "label": "emit-1", **{name: {"Anomaly Detection": cells} for name in ("own_picture", "other_picture")},
    })  # fmt: skip
    before, folded = markdown(read_all(out), {}).split("<details><summary>")
    inside, after = folded.split("</details>")
    assert "| emit-1 | another picture | detect | 10 | 60.0 | 60.0 | 50.0 | 0.500 |" in inside and not after.strip()
    assert inside.split("</summary>")[1].startswith("\n\n| "), "Markdown within HTML needs an empty line before it"
    assert "| emit | 3 |" in before


def test_what_is_of_a_former_base_or_preset_is_folded_as_a_whole(out: Path) -> None:
    (out / "demo").rename(out / "demo-former-preset")
    title, folded = markdown(read_all(out), {}).split("### demo-former-preset\n\n")[1].split("<details><summary>", 1)
    inside, after = folded.split("</details>")
    assert "| emit | 3 |" in inside and not title and not after.strip()


def test_baselines_stand_in_the_table_without_an_average(out: Path) -> None:
    add(out / "demo", "difference", 0, 0.5)
    place = out / "demo" / "difference-0.json"
    value = read_json(place)
    for part in value["parts"].values():
        part.update(dict.fromkeys([*list(part)[3:3], "Average", "Object Analysis", "Defect Analysis"]))
    write_json(place, value)
    benches = read_all(out)
    row = next(line for line in markdown(benches, {}).splitlines() if line.startswith("| difference | 1 |"))
    assert row.endswith("|  |") and "difference" not in averages(benches)["demo"]


def test_every_figure_has_labelled_axes_and_is_the_same_each_time(out: Path, tmp_path: Path) -> None:
    (bench,) = read_all(out)
    drawn = draw_all(bench, tmp_path / "figures")
    assert len(drawn) == 6
    before = [path.read_bytes() for path, _ in drawn]
    assert before == [path.read_bytes() for path, _ in draw_all(bench, tmp_path / "figures")]
    assert all(b"<svg" in content for content in before)


def test_figures_leave_out_what_no_summary_holds(tmp_path: Path) -> None:
    add(tmp_path / "demo", "base", 0, 0.3)
    (bench,) = read_all(tmp_path)
    assert [path.stem for path, _ in draw_all(bench, tmp_path)] == [
        "proof-demo-tasks", "proof-demo-averages", "proof-demo-difficulty"
    ]  # fmt: skip


def test_two_recipes_are_not_mixed(out: Path) -> None:
    add(out / "demo", "grpo_only", 0, 0.5, recipe="another")
    with pytest.raises(UserError, match="mixes runs of 2 recipes .* remove grpo_only-0.json"):
        read_all(out)


def test_only_what_lies_between_the_markers_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert put_between_markers(readme, "new")
    assert readme.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    readme.write_text("nothing marked")
    assert not put_between_markers(readme, "new") and readme.read_text() == "nothing marked"
    readme.write_text(f"{END} {BEGIN}")
    with pytest.raises(UserError, match="only one of the markers"):
        put_between_markers(readme, "new")


def test_the_command_writes_readme_figures_and_json(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    main(["report", "--summaries", str(out), "--out", str(tmp_path / "docs"), "--readme", str(readme), "--json",
          str(tmp_path / "r.json")])  # fmt: skip
    assert "(docs/proof-demo-tasks.svg)" in readme.read_text()
    assert set(read_json(tmp_path / "r.json")["demo"]["emit"]) == {"averages"}
    with pytest.raises(SystemExit) as stopped:
        main(["report", "--summaries", str(tmp_path / "nothing")])
    assert stopped.value.code == 2 and "make some with python -m core.demo proof" in capsys.readouterr().err


def test_every_arm_has_a_look_of_its_own():
    from core.demo.arms import ARMS, BASE
    from core.demo.charts import _look

    arms = [arm for arm in ARMS if arm != BASE]
    looks = [tuple(_look(arm, arms).values()) for arm in arms]
    assert len(set(looks)) == len(arms) > 12
