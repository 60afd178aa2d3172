"""Runs for the browser tests: folders as a worker leaves them, and a small worker that behaves like the real one.

python -m tests.ui.pretend RUN_DIR [seconds]      claims the run, writes metrics, obeys SIGTERM, ends well
"""

from __future__ import annotations

import json
import math
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from core.files import write_json
from core.mmad import Benchmark
from core.runs import Journal, RunFolder, create_run, resume_run, start_run
from core.training import preset

REWARDS = ("accuracy_reward", "cosine_length_reward", "format_reward", "repetition_reward")


def row(stage: str, step: int, seed: int = 0) -> dict[str, object]:
    """One line of metrics.jsonl that looks like training."""
    noise = random.Random(seed * 1000 + step)
    grown = 1 - math.exp(-step / 25)
    if stage == "sft":
        found: dict[str, object] = {"loss": round(1.4 * math.exp(-step / 12) + 0.35 + noise.uniform(-0.06, 0.06), 4)}
        return {
            "stage": stage,
            "step": step,
            **found,
            **({"val_accuracy": 0.42 + 0.1 * grown} if step % 10 == 0 else {}),
        }
    found = {
        "loss": round(0.02 + noise.uniform(-0.012, 0.012), 4), "reward": round(1.2 + 2.6 * grown + noise.uniform(-0.4, 0.4), 3),
        "kl": round(0.002 + 0.02 * grown + noise.uniform(0, 0.004), 5), "length": round(18 - 6 * grown + noise.uniform(-2, 2), 1),
        "resamplings": max(0.0, round(1.1 - 0.9 * grown + noise.uniform(-0.2, 0.2), 3)),
        "hard_groups": max(0.0, round(0.45 - 0.35 * grown + noise.uniform(-0.08, 0.08), 3)),
        "unsolved_groups": max(0.0, round(0.2 - 0.16 * grown + noise.uniform(-0.05, 0.05), 3)),
        "rewards/accuracy_reward/mean": round(0.35 + 0.45 * grown + noise.uniform(-0.1, 0.1), 3),
        "rewards/cosine_length_reward/mean": round(0.2 + 0.4 * grown + noise.uniform(-0.1, 0.1), 3),
        "rewards/format_reward/mean": round(min(1.0, 0.6 + 0.4 * grown + noise.uniform(-0.05, 0.05)), 3),
        "rewards/repetition_reward/mean": round(-0.1 + 0.08 * grown + noise.uniform(-0.02, 0.02), 3),
    }  # fmt: skip
    if step % 10 == 0:
        found["val_accuracy"] = round(0.5 + 0.25 * grown + noise.uniform(-0.03, 0.03), 3)
    return {"stage": stage, "step": step, **found}


def completions(bench: Benchmark, step: int, groups: int = 3, size: int = 4) -> pd.DataFrame:
    """Sample answers of a step as the GRPO stage leaves them."""
    rows = []
    samples = [sample for sample in bench if sample.questions and not sample.text][:groups]
    for number, sample in enumerate(samples):
        question = sample.questions[0]
        rights = [(number + g) % 3 > 0 for g in range(size)]
        mean = sum(rights) / size
        for right in rights:
            letter = question.answer if right else next(x for x in question.options if x != question.answer)
            rows.append({
                "step": step, "image": sample.image, "index": 0, "solution": question.answer,
                "completion": f"<think>The surface {'differs from' if right else 'matches'} the reference.</think>"
                f"<answer>{letter}</answer>",
                "accuracy_reward": float(right), "cosine_length_reward": 0.9 if right else -0.4, "format_reward": 1.0,
                "repetition_reward": 0.0, "advantage": round((right - mean) * 2.1, 3),
            })  # fmt: skip
    return pd.DataFrame(rows)


def pretend_run(
    runs_dir: Path, bench: Benchmark, *, name: str = "smoke", status: str = "finished", steps: int = 60, seed: int = 0,
    message: str = "", log: str = "",
) -> RunFolder:  # fmt: skip
    """A run folder in the wanted state, with curves, sample answers and a log."""
    run = create_run(runs_dir, preset("smoke").with_(name=name, seed=seed).to_dict(), name=name)
    now = time.time()
    rows = [row("sft", step, seed) for step in range(1, 31)] + [row("grpo", step, seed) for step in range(1, steps + 1)]
    text = "".join(json.dumps({"time": now, **item}) + "\n" for item in rows)
    (run.path / "metrics.jsonl").write_text(text)
    folder = run.path / "grpo" / "completions"
    folder.mkdir(parents=True)
    completions(bench, steps).to_parquet(folder / f"part-{steps:06d}.parquet")
    lines = [f"grpo step {step} of 60: reward {item['reward']}" for step, item in enumerate(rows[30:], 1)]
    (run.path / "log.txt").write_text("\n".join([*lines, log]) + "\n")
    over = status not in ("running", "queued")
    run.write_state(
        replace(
            run.state(), status=status, started=now - 140, ended=now if over else None, stage="grpo", step=steps, steps=60,
            message=message or {"finished": "Done: 60 questions scored."}.get(status, ""),
        )
    )  # fmt: skip
    return run


def answer_files(run: RunFolder, bench: Benchmark, *, base: float = 0.5, tuned: float = 0.8, seed: int = 0) -> None:
    """Stored answers of base and tuned to the benchmark's test questions, as the worker's last stage writes them."""
    from core.evaluation.records import AnswerFolder, Reply
    from core.evaluation.records import row as answer_row
    from core.mmad import Protocol

    table: dict[str, object] = {}
    protocol = Protocol(thinking=True, answering="generate")
    for side, share in (("base", base), ("tuned", tuned)):
        chance = random.Random(seed + len(side))
        rows = []
        for sample in bench.split("test"):
            for index, question in enumerate(sample.questions):
                right = chance.random() < share
                letter = question.answer if right else next(x for x in question.options if x != question.answer)
                thought = (
                    f"Compared with the reference the surface {'differs in one place' if right else 'looks the same'}."
                )
                reply = Reply(f"<think>{thought}</think><answer>{letter}</answer>", letter)
                rows.append(answer_row(sample, index, reply, side, protocol))
        table[side] = {
            "Average": {"Average": round(100 * sum(r["answer"] == r["correct_answer"] for r in rows) / len(rows), 1)}
        }
        folder = AnswerFolder(run.path / "answers" / side)
        folder.open(side, protocol, bench.split("test"))
        folder.append(rows)
    write_json(run.path / "answers" / "table.json", table)


def start_pretend(run: RunFolder, seconds: float = 0.05) -> int:
    """Start the small worker in place of the real one."""
    return start_run(run, command=[sys.executable, "-m", "tests.ui.pretend", str(run.path), str(seconds)])


def resume_pretend(run: RunFolder, seconds: float = 0.05) -> int:
    """Let the small worker go on in place of the real one."""
    return resume_run(run, command=[sys.executable, "-m", "tests.ui.pretend", str(run.path), str(seconds)])


def main(path: str, pause: str = "0.05") -> None:
    run = RunFolder(Path(path))
    journal = Journal.claim(run)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    if "fails" in run.config()["name"]:
        print("RuntimeError: CUDA out of memory. Tried to allocate 20.00 GiB", flush=True)
        journal.close("failed", "The GPU has too little memory.")
        sys.exit(1)
    for stage, steps in (("sft", 20), ("grpo", 60)):
        journal.stage(stage, steps, message=f"Stage {stage}.")
        for step in range(1, steps + 1):
            time.sleep(float(pause))
            journal.metrics(**row(stage, step))
            journal.progress(step)
            print(f"{stage} {step}/{steps}", flush=True)
            if asked:
                journal.close("stopped", f"Stopped at step {step}; the checkpoint is saved.")
                return
        journal.stage_done(stage)
    journal.close("finished", "Done.")


if __name__ == "__main__":
    main(*sys.argv[1:])
