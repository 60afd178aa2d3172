"""The form of a new run: preset, data, parts of the method, all settings, and beside them the YAML they amount to."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import UserError
from core.mmad import Snapshot
from core.mmad.leaks import FROM_TEST_IMAGES
from core.runs import RunFolder
from core.training import RunConfig, preset, preset_names
from studio import markup
from studio.frame import guarded, in_order
from studio.i18n import both, language, say, texts, tr
from studio.machine import gpus, rooms, size
from studio.services import Opened, Services
from studio.views.settings_form import FIELDS, SWITCHES, Field, form_values, parse, switched_on, to_yaml, with_form

NOW = "now"
DEFAULT = "demo"


@dataclass(frozen=True)
class Form:
    """The form's components; `started` is given the new run's id."""

    panel: gr.Column
    started: gr.State
    fill: Callable[..., list[Any]]
    outputs: list[Any]
    data: gr.Dropdown


def build_form(services: Services) -> Form:
    """Make the form; the page decides when it is seen."""
    first = preset(DEFAULT)
    started = gr.State("")
    with gr.Column(visible=False, elem_classes=["new-run"]) as panel, gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=360):
            names = [(_preset_name(name), name) for name in preset_names()]
            chosen = gr.Radio(names, value=DEFAULT, label=tr("train.preset"), elem_id="preset")
            fields = {"name": _component(FIELDS[0], first)}
            data = gr.Dropdown([], label=tr("train.data"), info=tr("train.data.info"), elem_id="data")
            switches = gr.CheckboxGroup(
                [(tr(f"train.switch.{name}"), name) for name in SWITCHES], value=switched_on(first),
                label=tr("train.switches"), info=tr("train.switches.info"), elem_id="switches",
            )  # fmt: skip
            # Open until the form is filled: Gradio writes the values of a panel that was born closed once more, a frame
            # after it is opened, over what is typed there by then.
            with gr.Accordion(tr("train.settings"), open=True) as all_settings:
                for section in ("basics", "grounding", "sft", "grpo", "evaluate"):
                    markup.view(f'<div class="section">{both(f"train.section.{section}")}</div>')
                    with gr.Row(elem_classes=["fields"]):
                        for field in FIELDS:
                            if field.section == section:
                                fields[field.path] = _component(field, first)
        with gr.Column(scale=2, min_width=320):
            text = gr.Code(
                to_yaml(first), language="yaml", label=tr("train.yaml"), interactive=True, lines=8, elem_id="run-yaml",
                buttons=["copy"],  # Gradio's download link has no name for screen readers
            )  # fmt: skip
            command = gr.Code(
                command_of(services, first), language="shell", label=tr("train.command"), interactive=False, lines=1,
                wrap_lines=True, elem_id="run-command", buttons=["copy"],
            )  # fmt: skip
            note = markup.view(elem_id="run-note")
            button = gr.Button(tr("train.start"), variant="primary", elem_id="start-run", elem_classes=["key-save"])
            status = markup.view(elem_id="start-status")

    inputs = [fields[field.path] for field in FIELDS]
    shown = [text, command, note, button]

    def tell(config: RunConfig, request: gr.Request) -> list[Any]:
        return [
            to_yaml(config),
            command_of(services, config),
            _ready(services, config, request),
            gr.Button(interactive=True),
        ]

    def refused(error: UserError) -> list[Any]:
        return [gr.skip(), gr.skip(), markup.notice(str(error), "bad"), gr.Button(interactive=False)]

    def from_preset(name: str, request: gr.Request) -> list[Any]:
        config = preset(name)
        return [*tell(config, request), switched_on(config), *form_values(config)]

    def from_fields(request: gr.Request, yaml_text: str, on: list[str], *values: Any) -> list[Any]:
        try:
            return tell(with_form(parse(yaml_text), values, on), request)
        except UserError as error:
            return refused(error)

    def from_yaml(yaml_text: str, request: gr.Request) -> list[Any]:
        try:
            config = parse(yaml_text)
        except UserError as error:
            return [*refused(error), gr.skip(), *(gr.skip() for _ in FIELDS)]
        return [gr.skip(), *tell(config, request)[1:], switched_on(config), *form_values(config)]

    @guarded
    def begin(
        yaml_text: str,
        source: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str]:
        told = _progress(progress, say(request, "train.snapshotting"))
        run = start_run_of(services, services.of(request), yaml_text, source, told)
        name = run.config().get("name", run.id)
        key = "train.queued" if services.queue.place(run) else "train.started"
        return run.id, markup.notice(say(request, key, name=name), "good")

    # In order: what a field said first must not come last.
    options = in_order("form")
    chosen.input(from_preset, chosen, [*shown, switches, *inputs], **options)
    for component in (*inputs, switches):
        event = component.blur if isinstance(component, gr.Textbox | gr.Number) else component.input
        event(from_fields, [text, switches, *inputs], shown, **options)
    text.input(from_yaml, text, [*shown, switches, *inputs], **options)
    button.click(
        begin, [text, data], [started, status], api_visibility="private", show_progress="full",
        show_progress_on=status, concurrency_limit=2,
    )  # fmt: skip

    def fill(request: gr.Request, config: RunConfig | None = None) -> list[Any]:
        """Values for `outputs`: the form as it should be when it is opened, or with the settings of another run."""
        config = config or preset(DEFAULT)
        choices = data_choices(services, request)
        picked = gr.Dropdown(choices=choices, value=choices[0][1] if choices else None)
        known = config.preset if config.preset in preset_names() else DEFAULT
        closed = gr.Accordion(open=False)
        return [known, picked, "", closed, *tell(config, request), switched_on(config), *form_values(config)]

    return Form(panel, started, fill, [chosen, data, status, all_settings, *shown, switches, *inputs], data)


def start_run_of(
    services: Services, opened: Opened | None, yaml_text: str, source: str, progress: Callable[[int, int], None] | None
) -> RunFolder:
    """Take the snapshot (or the named one), write the run folder and put it in line.

    Raises:
        UserError: no data, impossible settings, or no room on the disk.
    """
    config = parse(yaml_text)
    if source and source != NOW:
        path = next((path for path in saved_snapshots(services) if path.name == source), None)
        if path is None:
            raise UserError("This snapshot is not there any more: choose other data.")
    elif opened is None:
        raise UserError("No benchmark is open: add a product, or choose a benchmark in the header.")
    else:
        path = take_snapshot(services, opened, progress)
    return services.queue.add(config.with_(snapshot=str(path)).to_dict())


def take_snapshot(services: Services, opened: Opened, progress: Callable[[int, int], None] | None = None) -> Path:
    """The benchmark as people left it, as a file named by its content; the same content gives the same file.

    Raises:
        UserError: a picture is missing, or nothing is there to learn from.
    """
    resolved = services.resolved(opened)
    if not any(sample.split == "train" and sample.questions for sample in resolved.bench):
        raise UserError(
            f"{opened.name} has no training samples: add a product of your own, or choose another benchmark."
        )
    origin = resolved.origin
    # A normal text also rests on the pictures of the defect texts the model was given: only the splits tell of them.
    labels = [FROM_TEST_IMAGES] if {"test", "unknown"} & set(origin.splits) else []
    snapshot = Snapshot.of(
        resolved.bench, revisions=resolved.revisions, progress=progress, labels=labels, described_from=origin.images,
        options={"benchmark": opened.name, "flagged": len(resolved.flagged), "corrected": len(resolved.corrected)},
    )  # fmt: skip
    slug = "".join(c if c.isalnum() else "-" for c in opened.name.lower())[:40]
    path = services.snapshots_dir / f"{slug}-{snapshot.digest[:12]}.json"
    return path if path.is_file() else snapshot.save(path)


def saved_snapshots(services: Services) -> list[Path]:
    """Snapshot files, newest first."""
    found = [path for path in services.snapshots_dir.glob("*.json") if path.name[0] != "."]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def data_choices(services: Services, request: gr.Request | None) -> list[tuple[str, str]]:
    """What can be trained on: the open benchmark as it is now, then the snapshots taken so far."""
    choices = []
    try:
        opened = services.of(request)
    except UserError:
        opened = None
    if opened is not None:
        splits = opened.bench.questions["split"].value_counts()
        counts = {name: int(splits.get(name, 0)) for name in ("train", "val", "test")}
        choices.append((say(request, "train.data.now", name=opened.name, **counts), NOW))
    for path in saved_snapshots(services)[:30]:
        day = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        choices.append((say(request, "train.data.snapshot", name=path.stem, day=day), path.name))
    return choices


def command_of(services: Services, config: RunConfig) -> str:
    """The worker's command, as the studio is going to run it."""
    slug = "".join(c if c.isalnum() else "-" for c in config.name.lower()).strip("-") or "run"
    return f"python -m core.training {shlex.quote(str(services.runs_dir))}/YYYYMMDD-HHMMSS-{slug}"


def run_command(run: RunFolder) -> str:
    """The worker's command, as the studio runs it."""
    return f"python -m core.training {shlex.quote(str(run.path))}"


def _ready(services: Services, config: RunConfig, request: gr.Request) -> str:
    """Whether it can start, and whether the machine has room for it."""
    lang = language(request)
    if config.device.startswith("cuda") and not gpus():
        return markup.notice(say(lang, "train.no_gpu"), "warn")
    needed = _needed(config)
    if needed is None:
        return markup.notice(say(lang, "train.memory.unknown"), "accent")
    found = rooms(services.folder)
    room = next((room for room in found if room.key == "gpu"), found[0]) if config.device != "cpu" else found[0]
    device = say(lang, f"train.meter.{room.key}", n=room.number)
    fits = needed * 1.1 < room.free
    words = say(lang, f"train.memory.{'fits' if fits else 'tight'}", have=size(room.free), device=device)
    return markup.notice(f"{say(lang, 'train.memory', size=size(needed))}. {words}", "good" if fits else "warn")


def _needed(config: RunConfig) -> int | None:
    """Bytes the run will need per device, None when nobody can tell."""
    from core.training.memory import estimate

    found = estimate(config)
    return found.peak if found else None


def _progress(progress: gr.Progress, words: str) -> Callable[[int, int], None]:
    return lambda done, total: progress((done, total), desc=words)


def _preset_name(name: str) -> Any:
    key = f"train.preset.{name}"
    return tr(key) if key in texts() else name


def _component(field: Field, config: RunConfig) -> Any:
    value = dict(zip((f.path for f in FIELDS), form_values(config), strict=True))[field.path]
    name = f"field-{field.path}".replace(".", "-")
    if field.path == "name":
        return gr.Textbox(value, label=tr("train.name"), info=tr("train.name.info"), max_length=60, elem_id="run-name")
    options: dict[str, Any] = {"label": tr(f"train.field.{field.path}"), "min_width": 150, "elem_id": name}
    if field.kind == "switch":
        return gr.Checkbox(value, **options)
    if field.kind == "choice":
        return gr.Dropdown(list(field.choices), value=value, **options)
    if field.kind == "text":
        return gr.Textbox(value, **options)
    return gr.Number(value, precision=0 if field.kind == "integer" else None, **options)
