"""`python -m core.demo thirty --run RUN`: thirty test answers of base and tuned with pictures and heatmaps, on one page.

The questions are drawn evenly from the tasks by the seed, not by how they were answered. The page holds the pictures, so it
is written into the run folder and stays out of the repository when the pictures are somebody else's.
"""

from __future__ import annotations

import argparse
import base64
import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from core.demo.bars import bar
from core.errors import UserError
from core.files import write_atomic
from core.mmad import Benchmark, Sample, Task

COUNT = 30
SIDE = 224


def draw(bench: Benchmark, count: int = COUNT, *, seed: int = 0) -> Benchmark:
    """`count` questions of `bench`, tasks in turn, each from another picture where there are enough."""
    rng = random.Random(seed)
    piles: dict[Task, list[tuple[Sample, int]]] = {}
    for sample in bench:
        for index, question in enumerate(sample.questions):
            if sample.text is None:
                piles.setdefault(question.task, []).append((sample, index))
    for pile in piles.values():
        rng.shuffle(pile)
    chosen: list[tuple[Sample, int]] = []
    used: set[str] = set()
    while len(chosen) < count and any(piles.values()):
        for pile in piles.values():
            if pile and len(chosen) < count:
                fresh = next((place for place in pile if place[0].image not in used), pile[-1])
                pile.remove(fresh)
                used.add(fresh[0].image)
                chosen.append(fresh)
    # A picture's questions stay together.
    wanted: dict[str, list[int]] = {}
    for sample, index in chosen:
        wanted.setdefault(sample.image, []).append(index)
    return bench.select(
        replace(sample, questions=tuple(sample.questions[i] for i in sorted(wanted[sample.image])))
        for sample in bench
        if sample.image in wanted
    )


def page(
    bench: Benchmark, answers: dict[str, pd.DataFrame], heatmap: Callable[[Path, Path], Any], *, title: str, about: str
) -> str:
    """The page as HTML.

    Args:
        answers: model's name -> its answers to all of `bench`.
        heatmap: (query, reference) -> anomaly map [H, W].
    """
    from jinja2 import Environment, FileSystemLoader

    said = {
        name: {(row.image, row.index_): row.answer for row in table.rename(columns={"index": "index_"}).itertuples()}
        for name, table in answers.items()
    }
    cards: list[dict[str, Any]] = []
    for sample in bench:
        pictures = _pictures(bench, sample, heatmap)
        for index, question in enumerate(sample.questions):
            given = {name: by_place.get((sample.image, index)) for name, by_place in said.items()}
            options = [
                {"letter": letter, "text": text, "right": letter == question.answer,
                 "by": [name for name, answer in given.items() if answer == letter]}
                for letter, text in question.options.items()
            ]  # fmt: skip
            silent = [f"{name} gave no letter." for name, answer in given.items() if answer not in question.options]
            cards.append({
                "task": question.task.value, "product": sample.product, "label": sample.label,
                "part": sample.extra.get("holdout"), "question": question.text, "options": options, "silent": silent,
                "pictures": pictures,
            })  # fmt: skip
    order = [task.value for task in Task]
    cards.sort(key=lambda card: order.index(card["task"]))
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template("thirty.jinja").render(title=title, about=about, cards=cards)


def _pictures(bench: Benchmark, sample: Sample, heatmap: Callable[[Path, Path], Any]) -> list[dict[str, str]]:
    from core.heatmap import overlay
    from core.pictures import open_image

    query = open_image(bench.path(sample.image))
    shown = [("query", query)]
    reference = bench.reference(sample)
    if reference:
        shown.append(("normal reference", open_image(bench.path(reference))))
        heat = heatmap(bench.path(sample.image), bench.path(reference))
        shown.append((f"heatmap, {heat.min():.2f} to {heat.max():.2f}", overlay(query, heat, contour=True)))
    mask = bench.mask_path(sample)
    if mask and mask.is_file():
        shown.append(("mask", open_image(mask)))
    return [{"name": name, "source": _source(picture)} for name, picture in shown]


def _source(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    held = io.BytesIO()
    small.save(held, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def add_flags(add: Callable[..., Any]) -> None:
    add("--run", required=True, metavar="RUN", help="a finished run: its base and its final model are asked")
    add("--data", metavar="ROOT", help="a benchmark in MMAD's layout (the run's own)")
    add("--count", type=int, default=COUNT, metavar="N", help=f"questions ({COUNT})")
    add("--seed", type=int, default=0, help="of the draw (0)")
    add("--workspace", default="workspace", metavar="DIR", help="where the demo benchmark is kept (workspace)")
    add("--out", metavar="FILE", help="the page (RUN/thirty.html)")


def act(flags: argparse.Namespace) -> None:
    from core.demo.controls import model_facts
    from core.demo.proof import place_of
    from core.evaluation import answer_questions
    from core.heatmap.pairs import compare_pictures
    from core.model import load_model
    from core.runs import RunFolder

    run = RunFolder(Path(flags.run))
    if not run.final.is_dir():
        raise UserError(f"{flags.run} holds no final model: give the folder of a finished run.")
    whole, protocol = model_facts(flags.run, flags.data, Path(flags.workspace))
    bench = draw(whole, flags.count, seed=flags.seed)
    answers = {}
    for name, place in (("base", place_of(str(run.config().get("base", "")))), ("tuned", str(run.path))):
        model, processor = load_model(place)
        with bar(name, " questions") as show:
            answers[name] = answer_questions(model, processor, bench, protocol=protocol, name=name, progress=show)
    right = {
        name: int((table["answer"] == table["correct_answer"]).fillna(False).sum()) for name, table in answers.items()
    }
    asked = sum(len(sample.questions) for sample in bench)
    # The last model loaded is the tuned one: its map is the one its answers rest on.
    html = page(
        bench, answers, lambda query, reference: compare_pictures(model, processor, query, reference),
        title=f"{asked} test answers of {run.id}",
        about=f"Right: base {right['base']} of {asked}, tuned {right['tuned']} of {asked}. Questions drawn by seed "
        f"{flags.seed}, evenly from the tasks. Heatmaps are the tuned model's, each scaled to its own range. "
        f"Protocol: {protocol}.",
    )  # fmt: skip
    print(write_atomic(Path(flags.out) if flags.out else run.path / "thirty.html", html))
