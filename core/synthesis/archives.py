"""Unpacking an archive that somebody uploads: nothing leaves the folder, and nothing fills the disk.

Refused: names that climb out ("..", absolute, drive letters), links and devices, more files or bytes than allowed, and
members that grow more than a picture can (zip bombs). What is unpacked is checked by what it really yields, not by what the
archive's header says.
"""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from core.errors import UserError, explain_os_error
from core.synthesis.atomic import new_folder

MOST_FILES = 200_000
MOST_BYTES = 20 * 2**30
# Deflate cannot do more than about 1030 : 1, and a mask, which is nearly all zeros, comes close in a BMP of a few MB.
MOST_GROWTH = 200
GROWTH_COUNTS_FROM = 100 * 2**20
_CHUNK = 1 << 20
# Left behind by file managers; never data.
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")


def unpack(
    archive: str | Path,
    out: str | Path,
    *,
    most_files: int = MOST_FILES,
    most_bytes: int = MOST_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Unpack a zip file into the new folder `out` and return the folder that holds the data.

    A single folder at the top of the archive is that folder. Names with backslashes (written on Windows) become folders.

    Raises:
        UserError: no zip file, damaged, encrypted, an unsafe name, or too large. Nothing is left behind then.
    """
    out = Path(out)
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir() and not _junk(member)]
            _check(members, archive, most_files, most_bytes)
            with new_folder(out, overwrite=False) as place:
                left = most_bytes
                for done, member in enumerate(members, 1):
                    left -= _write(file, member, place, left)
                    if progress:
                        progress(done, len(members))
    except zipfile.BadZipFile as error:
        raise UserError(f"{Path(archive).name} is not a whole zip file ({error}): zip the folder again.") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way Python does not know
        raise UserError(f"{Path(archive).name} cannot be unpacked ({error}): zip it without a password.") from error
    except (zlib.error, EOFError) as error:
        raise UserError(f"{Path(archive).name} is damaged ({error}): zip the folder again.") from error
    except OSError as error:
        raise explain_os_error(error, archive) from error
    inside = list(out.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else out


def _junk(member: zipfile.ZipInfo) -> bool:
    return any(part in _JUNK for part in PurePosixPath(member.filename).parts)


def _check(members: list[zipfile.ZipInfo], archive: str | Path, most_files: int, most_bytes: int) -> None:
    if not members:
        raise UserError(f"{Path(archive).name} holds no files: zip the product's folder.")
    if len(members) > most_files:
        raise UserError(f"{Path(archive).name} holds {len(members):,} files, more than {most_files:,}: split it.")
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > most_bytes or (total > GROWTH_COUNTS_FROM and total > MOST_GROWTH * max(1, packed)):
        raise UserError(
            f"{Path(archive).name} would grow to {total / 2**30:.1f} GiB, which no folder of pictures does: "
            "zip only the pictures, or split it."
        )
    for member in members:
        _safe(member)


def _safe(member: zipfile.ZipInfo) -> PurePosixPath:
    name = member.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\x00" in name:
        raise UserError(f"The zip file names {member.filename[:80]!r}, which lies outside of it: zip the folder again.")
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise UserError(f"The zip file holds a link or device, {member.filename[:80]!r}: zip plain files only.")
    return path


def _write(file: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, left: int) -> int:
    target = place / _safe(member)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(place).free < member.file_size:
            raise UserError("The disk has too little free space for this zip file: free some space and try again.")
        written = 0
        with file.open(member) as source, open(target, "xb") as out:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > min(member.file_size, left):
                    raise UserError(
                        f"{member.filename[:80]!r} in the zip file is larger than it says: zip the folder again."
                    )
                out.write(chunk)
    except FileExistsError as error:
        raise UserError(f"The zip file holds {member.filename[:80]!r} twice: zip the folder again.") from error
    except OSError as error:
        raise explain_os_error(error, os.fspath(target)) from error
    return written
