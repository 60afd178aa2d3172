"""An own product: what lies in a folder of pictures, what each folder means, and the benchmark that is made of it.

source(...)  -> the folder that was named, or an uploaded zip unpacked
look(root)   -> the folders that hold pictures, each with a guess: good, defect or mask
start(...)   -> in the background: `make` stages them in the layout `core.synthesis` reads and builds the benchmark, with the
                audit's findings
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError, explain_os_error
from core.mmad import SPLITS, Benchmark, audit
from core.pictures import SUFFIXES
from studio.i18n import say
from studio.jobs import Job

if TYPE_CHECKING:
    import gradio as gr

    from studio.services import Services

GOOD_NAMES = {"good", "ok", "normal", "pass", "passed", "fine", "gut", "正常", "良品", "合格"}
MASK_NAMES = {"ground_truth", "masks", "mask", "gt", "label", "labels", "annotations", "segmentation"}
SPLIT_NAMES = {**{name: name for name in SPLITS}, "validation": "val", "training": "train", "testing": "test"}
MOST_FOLDERS = 500
MOST_PICTURES = 200_000


UPLOADED = "upload:"


def only_local(services: Services, request: gr.Request | None = None) -> None:
    """Do nothing when the caller sits at this machine: who comes over the network may not name its folders.

    Raises:
        UserError: the studio is open to the network.
    """
    if not services.local:
        raise UserError(say(request, "product.remote"))


def source(services: Services, folder: str, zipped: str | None, request: gr.Request | None = None) -> Path:
    """Where the pictures lie: the named folder, or the upload unpacked beside the benchmarks.

    Raises:
        UserError: neither was given, the studio is open to the network, or the zip cannot be used.
    """
    if folder.strip():
        only_local(services, request)
        return Path(folder.strip()).expanduser()
    if not zipped:
        raise UserError(say(request, "product.need_source"))
    from core.synthesis import unpack

    services.uploads_dir.mkdir(parents=True, exist_ok=True)
    return unpack(zipped, Path(tempfile.mkdtemp(dir=services.uploads_dir)) / Path(zipped).stem[:60])


def told(services: Services, root: Path) -> str:
    """What scripts are told of a source, and `known` takes back: an upload's place on the server is nobody's business."""
    inside = services.uploads_dir in root.parents
    return UPLOADED + root.relative_to(services.uploads_dir).as_posix() if inside else str(root)


def known(services: Services, name: str) -> Path:
    """The source that `told` named.

    Raises:
        UserError: no such upload, or a folder of a studio that is open to the network.
    """
    if not name.startswith(UPLOADED):
        only_local(services)
        return Path(name).expanduser()
    root = (services.uploads_dir / name.removeprefix(UPLOADED)).resolve()
    if services.uploads_dir not in root.parents or not root.is_dir():
        raise UserError("This upload is not there any more: upload the zip again.")
    return root


def job_name(product: str) -> str:
    return f"product {slug(product)}"


def start(
    services: Services, root: Path, called: str, good: Sequence[str], defects: Sequence[str], masks: Sequence[str],
    *, keep_splits: bool = False, request: gr.Request | None = None,
) -> Job:  # fmt: skip
    """Make the benchmark in the background and open it; the job's result is (its number, `Made`).

    Raises:
        UserError: no name, a name that is taken, or folders of which no benchmark can be made.
    """
    product = slug(called)
    if not product:
        raise UserError(say(request, "product.need_name"))
    out = services.benchmarks_dir / product
    if out.exists():
        raise UserError(say(request, "product.taken", name=product))
    check(look(root), good, defects, masks)

    def work(job: Job) -> tuple[int, Made]:
        made = make(job, root, out, product, good, defects, masks, keep_splits=keep_splits)
        if services.uploads_dir in root.parents:  # an unpacked upload is copied into the benchmark by now
            shutil.rmtree(services.uploads_dir / root.relative_to(services.uploads_dir).parts[0], ignore_errors=True)
        return services.open(out, called.strip()).id, made

    return services.jobs.start(job_name(called), work)


@dataclass(frozen=True)
class PictureFolder:
    """A folder with pictures directly in it.

    Attributes:
        path: relative to the root that was looked at, "." for the root itself.
        count: how many pictures.
        role: "good", "defect" or "mask", as guessed from the names.
        first: the first pictures, to show.
    """

    path: str
    count: int
    role: str
    first: tuple[Path, ...]

    @property
    def label(self) -> str:
        """The defect's name: the folder's own."""
        return Path(self.path).name or "pictures"

    @property
    def split(self) -> str | None:
        return next((SPLIT_NAMES[p.lower()] for p in Path(self.path).parts if p.lower() in SPLIT_NAMES), None)


def look(root: str | Path) -> list[PictureFolder]:
    """The folders with pictures below `root`, in order of their paths; links out of it are not followed.

    Raises:
        UserError: no folder, no pictures, or far too many.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder on this machine: check the path.")
    found, pictures = [], 0
    for place, names, files in os.walk(root, onerror=_complain):
        names[:] = sorted(name for name in names if not name.startswith("."))
        inside = sorted(name for name in files if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."))
        pictures += len(inside)
        if inside:
            path = Path(place).relative_to(root).as_posix()
            found.append(
                PictureFolder(path, len(inside), _guess(path), tuple(Path(place, name) for name in inside[:4]))
            )
        if len(found) > MOST_FOLDERS or pictures > MOST_PICTURES:
            raise UserError(f"{root} holds too many pictures for one product: name the product's own folder.")
    if not found:
        raise UserError(f"{root} holds no pictures (PNG, JPEG, BMP, TIFF or WebP): choose another folder.")
    return found


def _complain(error: OSError) -> None:
    raise explain_os_error(error) from error


def _guess(path: str) -> str:
    parts = [part.lower() for part in Path(path).parts]
    if MASK_NAMES & set(parts):
        return "mask"
    return "good" if parts and parts[-1] in GOOD_NAMES else "defect"


def slug(name: str) -> str:
    """A product's name as a folder's: letters, digits, - and _ of any script."""
    return re.sub(r"[^\w-]+", "_", name.strip()).strip("_")[:60]


def check(folders: Sequence[PictureFolder], good: Sequence[str], defects: Sequence[str], masks: Sequence[str]) -> None:
    """Whether a benchmark can be made of this.

    Raises:
        UserError: nothing is good, nothing is defective, or one folder is two things.
    """
    known = {folder.path for folder in folders}
    if not known >= {*good, *defects, *masks}:
        raise UserError("A chosen folder is not there any more: look inside again.")
    if not good:
        raise UserError("Say which folder holds good pictures: without them there is nothing to compare with.")
    if not defects:
        raise UserError("Say which folders hold defects: without them there is nothing to find.")
    if len({*good, *defects, *masks}) < len(good) + len(defects) + len(masks):
        raise UserError("A folder can be only one of good, defect and mask: take it out of the others.")


@dataclass(frozen=True)
class Made:
    """What came of it: the benchmark, (what, why) of pictures left out, and the audit's (kind, image, message)."""

    bench: Benchmark
    skipped: list[tuple[str, str]]
    findings: list[tuple[str, str, str]]


def make(
    job: Job, root: Path, out: Path, product: str, good: Sequence[str], defects: Sequence[str], masks: Sequence[str],
    *, keep_splits: bool = False,
) -> Made:  # fmt: skip
    """Build the benchmark at `out`; runs as a job.

    Raises:
        UserError: `out` is taken, or no picture can be used.
    """
    from core.synthesis import build

    folders = {folder.path: folder for folder in look(root)}
    check(list(folders.values()), good, defects, masks)
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=out.parent))
    try:
        roles = [(path, "good") for path in good] + [(path, folders[path].label) for path in defects]
        split = all(folders[path].split for path, _ in roles)
        for path, label in roles:
            place = staging / folders[path].split / label if split else staging / label  # type: ignore[operator]
            _link(root / path, place)
        for path in masks:
            _link(root / path, staging / "ground_truth" / folders[path].label)
        built = build(
            "folder", staging, out, most=None, split="own" if split and keep_splits else "auto", link="copy",
            product=product, progress=lambda stage, done, total: job.progress(done, total, stage),
        )  # fmt: skip
        job.progress(0, 0, "audit")
        findings = [(str(r.kind), str(r.image), str(r.message)) for r in audit(built.bench).itertuples()]
        return Made(built.bench, built.skipped, findings)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Links to the pictures of one folder; a name that is taken gets a number."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix.lower() in SUFFIXES:
            place, number = target / file.name, 1
            while place.exists() or place.is_symlink():
                place, number = target / f"{file.stem}-{number}{file.suffix}", number + 1
            place.symlink_to(file.resolve())
