"""Reading a run folder: what it was asked to do, where it stands, what it has measured so far.

Every reader copes with a folder that is being written: a half line at the end of `metrics.jsonl` is not there yet, a
part file is there or not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core.errors import UserError, explain_os_error
from core.files import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
STATUSES = ("queued", "running", "finished", "stopped", "failed", "lost")
ENDED = ("finished", "stopped", "failed", "lost")


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands; times are seconds since 1970.

    Attributes:
        status: one of `STATUSES`.
        pid, process_started, host: the worker's process, None before one was started. PID and start time together name it.
        created, started, updated, ended: when the folder was made, the worker began, last wrote, and ended.
        stage: "grounding", "sft", "grpo", "evaluation" or "" before the first.
        step, steps: within the stage.
        eta: seconds left in the stage, None while unknown.
        message: one sentence for a person: what it does, or why it ended.
        done: names of the stages that are complete.
    """

    status: str = "queued"
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    created: float = 0.0
    started: float | None = None
    updated: float = 0.0
    ended: float | None = None
    stage: str = ""
    step: int = 0
    steps: int = 0
    eta: float | None = None
    message: str = ""
    done: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def ended_well(self) -> bool:
        return self.status == "finished"

    @property
    def is_over(self) -> bool:
        """No process works on it any more."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run; `path` is its folder."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def final(self) -> Path:
        """What `load_model` takes once the run is over."""
        return self.path / "final"

    def config(self) -> dict[str, Any]:
        """The content of `config.yaml`.

        Raises:
            UserError: missing, not YAML, or not a mapping.
        """
        path = self.path / "config.yaml"
        try:
            value = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise explain_os_error(error, path) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            problem = " ".join(str(error).split())
            raise UserError(f"{path} is not YAML ({problem}): repair it.") from error
        if not isinstance(value, dict):
            raise UserError(f"{path} must be a mapping of settings: make a new run.")
        return value

    def state(self) -> RunState:
        """Where the run stands; a state file that cannot be read counts as failed and says why."""
        try:
            return self.read_state()
        except UserError as error:
            return RunState(status="failed", message=str(error))

    def read_state(self) -> RunState:
        """As `state`.

        Raises:
            UserError: missing, not JSON, or of another version.
        """
        path = self.path / "state.json"
        value = read_json(path)
        if not isinstance(value, dict) or value.get("version") != VERSION or value.get("status") not in STATUSES:
            raise UserError(f"{path} is not a run state of version {VERSION}: start a new run with the same settings.")
        known = {field.name for field in fields(RunState)}
        content: dict[str, Any] = {name: value[name] for name in known if name in value}
        content["done"] = tuple(content.get("done", ()))
        return RunState(**content)

    def write_state(self, state: RunState) -> None:
        write_json(self.path / "state.json", {**asdict(state), "updated": time.time()})

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Held while a state is read, judged and written; app and worker wait for each other."""
        try:
            file = open(self.path / ".lock", "w")  # noqa: SIM115 - closed below, after the yield
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def metric_rows(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`; a row that is still being written is left out."""
        rows = []
        for line in _text(self.path / "metrics.jsonl").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                row = json.loads(line)
                if isinstance(row, dict):
                    rows.append(row)
        return rows

    def metrics(self) -> pd.DataFrame:
        """One row per logged step: stage, step, time and what was measured (loss, reward, kl, val_accuracy, ...)."""
        import pandas as pd

        return pd.DataFrame(self.metric_rows() or {"stage": [], "step": [], "time": []})

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of `log.txt`, at most 64 KiB; progress bars leave their last state only."""
        path = self.path / "log.txt"
        try:
            with open(path, "rb") as file:
                file.seek(max(0, path.stat().st_size - 65536))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(line.rsplit("\r", 1)[-1] for line in text.splitlines()[-lines:] or [])

    def difficulty(self) -> pd.DataFrame:
        """One row per question and step of the GRPO stage: image, index, dataset, product, defect, question_type, step,
        wrong (share of wrong responses), resamplings, reward (mean), weight, solved."""
        return _parts(self.path / "difficulty")

    def completions(self) -> pd.DataFrame:
        """Sample responses of the GRPO stage: step, image, index, prompt, completion, rewards and advantage."""
        return _parts(self.path / "grpo" / "completions")

    def table(self) -> dict[str, Any] | None:
        """`answers/table.json`: accuracy of base and tuned per task, None before the evaluation."""
        path = self.path / "answers" / "table.json"
        return read_json(path) if path.is_file() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parts(folder: Path) -> pd.DataFrame:
    """All Parquet part files of a folder, in the order of their names."""
    import pandas as pd

    tables = []
    for path in sorted(folder.glob("*.parquet")):
        with contextlib.suppress(OSError):  # a part that resuming has just removed
            tables.append(pd.read_parquet(path))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
