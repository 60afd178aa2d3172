"""What the pages share, and the only thing they share: workspace, opened benchmarks, thumbnails, runs, jobs.

Nothing here imports torch; a page that needs a model imports `core.model` inside its handler.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from core.errors import UserError
from core.mmad import Benchmark, read_mmad
from core.mmad.storage import QUESTIONS_FILE
from core.workspace import Resolved, Workspace
from core.workspace.tables import OpenedBenchmark
from studio.jobs import Job, Jobs
from studio.models import Models
from studio.run_queue import Queue
from studio.secrets import Secrets
from studio.thumbnails import Thumbnails

if TYPE_CHECKING:
    import gradio as gr

DEMO = "demo"
LEFT_BEHIND = 86_400.0  # seconds
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Opened:
    """A benchmark that is open: `id` is its number in the workspace and in addresses (`?bench=`)."""

    id: int
    name: str
    bench: Benchmark
    stamp: float  # modification time of its mmad.json


class Services:
    """Shared by all pages.

    Attributes:
        workspace: what people made (`core.workspace`).
        folder: where the studio keeps its files; below it `runs_dir`, `benchmarks_dir`, `snapshots_dir`.
        thumbnails: small pictures.
        jobs: background work.
        models: loaded models; `models.get(path)` gives (model, processor).
        queue: training runs and those that wait for their device.
        secrets: the endpoint's key, kept in the environment or in a file only its owner can read.
    """

    def __init__(self, place: str | Path = "workspace", mmad: str | Path | None = None) -> None:
        self.workspace = Workspace(place)
        self.folder = Path("workspace" if "://" in str(place) else place).resolve()
        self.runs_dir = self.folder / "runs"
        self.benchmarks_dir = self.folder / "benchmarks"
        self.snapshots_dir = self.folder / "snapshots"
        self.uploads_dir = self.folder / "uploads"
        # Whether only this machine can reach the studio: then people may name its folders.
        self.local = True
        self.thumbnails = Thumbnails(self.folder / "thumbnails")
        self.jobs = Jobs()
        self.queue = Queue(self.runs_dir)
        self.models = Models()
        self.secrets = Secrets(self.folder / "secrets.json")
        self._opened: dict[int, Opened] = {}
        self._made: dict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = {}
        self._lock = threading.RLock()
        self._first: int | None = None
        if mmad is not None:
            self._first = self.open(mmad).id

    # -- benchmarks ---------------------------------------------------------------------------------------------

    def open(self, root: str | Path, name: str | None = None) -> Opened:
        """Read a benchmark folder and remember it.

        Raises:
            UserError: it is no benchmark in MMAD's layout.
        """
        bench = read_mmad(root)
        row = self.workspace.benchmarks.open(bench.root, name)
        return self._keep(row, bench)

    def opened(self, benchmark_id: int) -> Opened:
        """An opened benchmark by its number; read again when its file has changed.

        Raises:
            UserError: there is none of that number, or its folder has disappeared.
        """
        found = self._opened.get(benchmark_id)
        if found is not None and _stamp(found.bench.root) == found.stamp:
            return found
        row = next((row for row in self.workspace.benchmarks.all() if row.id == benchmark_id), None)
        if row is None:
            raise UserError("This benchmark is not open any more: choose one in the header.")
        if not Path(row.path).is_dir():
            raise UserError(f"{row.path} is no longer there: bring the folder back, or choose another benchmark.")
        with self._lock:
            return self._keep(row, read_mmad(row.path))

    def _keep(self, row: OpenedBenchmark, bench: Benchmark) -> Opened:
        self._opened[row.id] = Opened(row.id, row.name, bench, _stamp(bench.root))
        return self._opened[row.id]

    def of(self, request: gr.Request | None) -> Opened | None:
        """The benchmark a page shows: `?bench=` of its address, else --mmad's, else the last opened, else the
        demo; None while that is still being made.

        Raises:
            UserError: the address names a benchmark that is not there, or none is there any more.
        """
        asked = parameter(request, "bench")
        if asked and asked.isdecimal():
            return self.opened(int(asked))
        if self._first is not None:
            return self.opened(self._first)
        demo, problem = str(self.benchmarks_dir / DEMO), None
        for row in sorted(self.workspace.benchmarks.all(), key=lambda row: row.path == demo):
            try:
                return self.opened(row.id)
            except UserError as error:
                problem = problem or error  # a folder that is gone must not hide the others
        if problem:
            raise problem
        return None

    def benchmarks(self) -> list[OpenedBenchmark]:
        """The benchmarks to choose from, the last opened first."""
        return self.workspace.benchmarks.all()

    def resolved(self, opened: Opened) -> Resolved:
        """The benchmark as people left it: to take snapshots of, to train and to score on."""
        return self.workspace.resolve(opened.bench, opened.id)

    def remember(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` gives for `key`, made once; of each kind (the key's first two parts) only the newest is kept."""
        with self._lock:
            kind = key[:2] if isinstance(key[1], int) else key[:1]
            found = self._made.get(kind)
            if found is None or found[0] != key:
                found = self._made[kind] = (key, make())
            return found[1]

    # -- the demo -------------------------------------------------------------------------------------------------

    def start_background(self) -> None:
        """Make the embedded demo benchmark when no other was asked for and it is not there yet."""
        self._tidy()
        self.queue.watch()
        root = self.benchmarks_dir / DEMO
        if self._first is None and not (root / QUESTIONS_FILE).is_file():
            self.jobs.start(DEMO, self._make_demo)
        elif self._first is None and not self.workspace.benchmarks.all():
            self.open(root, "Demo")

    def _tidy(self) -> None:
        """Remove what a killed studio left half done, once it is so old that no other studio can be at it."""
        for folder, pattern in (
            (self.benchmarks_dir, ".staging-*"),
            (self.uploads_dir, "*"),
            (self.runs_dir, ".deleted-*"),
        ):
            for path in folder.glob(pattern):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > LEFT_BEHIND:
                        shutil.rmtree(path, ignore_errors=True)

    def _make_demo(self, job: Job) -> None:
        from core.synthesis.factory import write_demo

        # One core stays free for the pages.
        workers = max(1, (os.cpu_count() or 2) - 1)
        write_demo(self.benchmarks_dir / DEMO, workers=workers, progress=job.progress)
        self.open(self.benchmarks_dir / DEMO, "Demo")

    # -- people -----------------------------------------------------------------------------------------------------

    @cached_property
    def accounts(self) -> list[tuple[str, str]]:
        """Names and passwords from EMIT_LOGIN ("ana:secret,ben:secret"); empty: no login."""
        pairs = [pair.partition(":") for pair in os.environ.get("EMIT_LOGIN", "").split(",") if pair.strip()]
        if any(not name or not password for name, _, password in pairs):
            raise UserError('EMIT_LOGIN must look like "ana:secret,ben:secret": correct it.')
        return [(name.strip(), password) for name, _, password in pairs]

    def person(self, request: gr.Request | None) -> str:
        """Who is at the browser: the login, else the name given in Settings, else the machine's user."""
        if request is not None:
            if request.username:
                return str(request.username)
            if name := request.cookies.get("emit_name"):
                return unquote(name)[:80]
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "me"

    def close(self) -> None:
        self.queue.close()
        self.jobs.stop_all()
        self.thumbnails.close()
        self.workspace.close()


def parameter(request: gr.Request | None, name: str) -> str | None:
    """A value of the page's address (`?name=value`), None without one."""
    return (request.query_params.get(name) or None) if request is not None else None


def open_services(place: str | Path = "workspace", mmad: str | Path | None = None) -> Services:
    """Services for the command: as `Services`, in the words of `UserError`."""
    return Services(place, mmad)


def _stamp(root: Path) -> float:
    try:
        return (root / QUESTIONS_FILE).stat().st_mtime
    except OSError:
        return -1.0
