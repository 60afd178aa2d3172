"""An uploaded zip file is unpacked into its folder and nowhere else."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from core.errors import UserError
from core.synthesis.archives import unpack


def pack(path: Path, members: dict[str, bytes], mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            file.writestr(info, content)
    return path


def test_a_folder_comes_out_as_it_went_in(tmp_path: Path) -> None:
    archive = pack(
        tmp_path / "a.zip",
        {"bolt/good/0.png": b"1", "bolt/ü/1.png": b"2", "__MACOSX/bolt/x": b"", "bolt/.DS_Store": b""},
    )
    assert unpack(archive, tmp_path / "out") == tmp_path / "out" / "bolt"
    assert (tmp_path / "out/bolt/ü/1.png").read_bytes() == b"2" and not (tmp_path / "out/__MACOSX").exists()


def test_names_written_on_windows_become_folders(tmp_path: Path) -> None:
    unpack(pack(tmp_path / "a.zip", {"good\\0.png": b"1", "rust\\1.png": b"2"}), tmp_path / "out")
    assert (tmp_path / "out/good/0.png").is_file()


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_a_name_that_climbs_out_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / "a.zip", {"fine.png": b"1", name: b"2"})
    with pytest.raises(UserError, match="outside"):
        unpack(archive, tmp_path / "in" / "out")
    assert not (tmp_path / "in").exists() and [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(UserError, match="link"):
        unpack(archive, tmp_path / "out")


def test_bombs_are_refused(tmp_path: Path) -> None:
    bomb = pack(tmp_path / "a.zip", {"big.bmp": bytes(150 * 2**20)})
    with pytest.raises(UserError, match="grow to"):
        unpack(bomb, tmp_path / "out")
    with pytest.raises(UserError, match="more than 2"):
        unpack(pack(tmp_path / "b.zip", {f"{i}": b"" for i in range(3)}), tmp_path / "out", most_files=2)
    with pytest.raises(UserError, match="grow to"):
        unpack(pack(tmp_path / "c.zip", {"a": b"x" * 100}), tmp_path / "out", most_bytes=50)
    assert not (tmp_path / "out").exists()


def test_what_is_no_whole_zip_file_says_so(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip", {f"{i}.png": bytes(range(256)) * 40 for i in range(9)})
    (tmp_path / "torn.zip").write_bytes(whole.read_bytes()[:-40])
    (tmp_path / "empty.zip").write_bytes(b"")
    pack(tmp_path / "none.zip", {})
    flipped = bytearray(whole.read_bytes())
    flipped[60:70] = b"\x00" * 10
    (tmp_path / "flipped.zip").write_bytes(flipped)
    for name in ("torn", "empty", "none", "flipped", "gone"):
        with pytest.raises(UserError):
            unpack(tmp_path / f"{name}.zip", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UserError, match="already there"):
        unpack(pack(tmp_path / "a.zip", {"a": b"1"}), tmp_path / "out")
    assert (tmp_path / "out" / "mine").is_file()
