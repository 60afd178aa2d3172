"""Where checkpoints lie and what they are: told from the files in the folder, before anything large is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError, out_of_memory
from core.files import read_json, write_json

Kind = Literal["emit", "internvl", "release", "adapter", "hub", "other"]
# `model_type` in config.json -> what it is. The authors' release keeps InternVL's original, remote-code layout.
KINDS: dict[str, Kind] = {"emit": "emit", "internvl": "internvl", "internvl_chat": "release"}

BASE = "base.json"  # beside an adapter: the digest of the weights it was trained on
PIECES, PIECE = 1024, 4096  # of a large file, and bytes of each, that stand for it


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place to load from.

    Attributes:
        kind: "emit", "internvl" (native `-hf` layout), "release" (the authors' layout), "adapter" (LoRA), "hub" (a name
            that is no folder here), "other".
        path: folder or hub name to load.
        base: of an adapter: the base it was trained on, folder or hub name.
        architecture: `model_type` of config.json, for messages.
    """

    kind: Kind
    path: str
    base: str | None = None
    architecture: str | None = None


def find_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """What lies at a path: a checkpoint, an adapter, or a run folder (its `final/` is taken).

    Raises:
        UserError: the folder is missing, empty, of a run that has not finished, or its base is not to be found.
    """
    folder = Path(name_or_path).expanduser()
    if not folder.exists():
        # A hub name has exactly one slash and is no path; everything else was meant as a folder.
        if str(name_or_path).count("/") == 1 and not str(name_or_path).startswith((".", "/", "~")):
            return Checkpoint("hub", str(name_or_path))
        raise UserError(f"{folder} does not exist: give a checkpoint folder, a run folder or a name on the hub.")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file: give the folder that holds the checkpoint.")
    if (folder / "final").is_dir() and not (folder / "config.json").exists():
        return find_checkpoint(folder / "final")
    if (folder / "adapter_config.json").exists():
        return Checkpoint("adapter", str(folder), base=_adapter_base(folder))
    if (folder / "config.json").exists():
        architecture = str(read_json(folder / "config.json").get("model_type", "unknown"))
        return Checkpoint(KINDS.get(architecture, "other"), str(folder), architecture=architecture)
    if (folder / "state.json").exists():
        raise UserError(f"The run {folder.name} has no final model yet: let it finish, or give one of its checkpoints.")
    raise UserError(f"{folder} holds no checkpoint (config.json is missing): give the folder of a saved model.")


def _adapter_base(folder: Path) -> str:
    """The base an adapter names: as it says, or relative to the adapter or its run, wherever both were moved together."""
    named = str(read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "")
    if not named:
        raise UserError(f"{folder}/adapter_config.json names no base model: add base_model_name_or_path.")
    # Another model in the same folder, or another run's final/ in the folder of runs.
    beside = (folder.parent / Path(named).name, folder.parent.parent / Path(*Path(named).parts[-2:]))
    for place in (Path(named), folder / named, *beside):
        if place.is_dir() and place.resolve() != folder.resolve():
            return str(place)
    if named.count("/") == 1 and not named.startswith((".", "/")):
        return named
    raise UserError(f"The base model {named} of the adapter {folder} is not there: put it at that path or beside it.")


def weights_digest(folder: str | Path) -> str:
    """SHA-256 of a checkpoint's weights; of large files their size and a thousand pieces, evenly spread."""
    found = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        size = path.stat().st_size
        found.update(f"{path.name} {size} ".encode())
        with open(path, "rb") as file:
            if size <= PIECES * PIECE * 16:
                found.update(file.read())
                continue
            for number in range(PIECES):
                file.seek(number * (size - PIECE) // (PIECES - 1))
                found.update(file.read(PIECE))
    return found.hexdigest()


def note_base(adapter: Path, base: str | None) -> None:
    """Write beside an adapter which weights it was trained on; of a base on the hub, or of no name, nothing is known here."""
    if base and Path(base).is_dir():
        write_json(adapter / BASE, {"weights": weights_digest(find_checkpoint(base).path)})


def check_base(adapter: Path, base: Checkpoint) -> None:
    """Do nothing when the base is the one the adapter was trained on, as far as that is known.

    Raises:
        UserError: the base's weights are others, so the adapter would make nonsense of them.
    """
    noted = adapter / BASE
    if base.kind == "hub" or not noted.is_file():
        return
    if read_json(noted).get("weights") != weights_digest(base.path):
        raise UserError(
            f"The adapter {adapter} was trained on another version of {base.path}: put that version back, or train anew "
            f"(without {BASE} beside it, it is taken as it is)."
        )


@contextmanager
def readable_errors(name: Any) -> Iterator[None]:
    """Turn what transformers raises while loading into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if out_of_memory(error):
            said = f"Too little memory for {name}: take a smaller checkpoint, quantize='4bit', or another device."
        elif isinstance(error, OSError):
            said = f"{name} cannot be loaded ({first}): check the name, and that all its files are there."
        elif isinstance(error, (ValueError, KeyError, RuntimeError)):
            said = f"{name} does not fit the model ({first}): is it an InternVL3 or EMIT checkpoint?"
        elif type(error).__name__ == "SafetensorError":
            said = f"A weight file of {name} is damaged ({error}): fetch it again."
        else:
            raise
        raise UserError(said) from error
