"""What every room stands on: errors a person can act on, files that are whole, pictures of every kind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import NO_MEMORY, UserError, command, explain_os_error
from core.files import check_writable, digest, file_digest, read_json, write_atomic, write_json
from core.pictures import image_size, open_image, open_mask, to_rgb


class TestCommands:
    def code(self, error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        @command
        def main() -> None:
            raise error

        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code), capsys.readouterr().err

    def test_what_a_user_can_put_right_is_one_line_and_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.code(UserError("Give a folder."), capsys) == (2, "error: Give a folder.\n")
        code, text = self.code(PermissionError(errno.EACCES, "denied", "/x/y"), capsys)
        assert code == 2 and "No permission for /x/y" in text and text.count("\n") == 1
        assert self.code(OSError(errno.ENOSPC, "full", "z"), capsys)[1].startswith("error: The disk is full")
        for error in (
            MemoryError(),
            OSError(errno.ENOMEM, "Cannot allocate memory"),
            # What torch says on a CPU.
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        ):
            assert self.code(error, capsys) == (2, f"error: {NO_MEMORY}\n")

    def test_stopping_is_130_and_a_fault_of_ours_keeps_its_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.code(KeyboardInterrupt(), capsys) == (130, "stopped\n")

        @command
        def main() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            main()

    def test_an_unknown_error_still_names_the_path(self) -> None:
        assert "somewhere" in str(explain_os_error(OSError(errno.EIO, "Input/output error"), "somewhere"))


class TestFiles:
    def test_a_file_is_whole_or_as_it_was(self, tmp_path: Path) -> None:
        target = tmp_path / "deep" / "a.json"
        write_json(target, {"ü": 1})
        assert read_json(target) == {"ü": 1}

        def half(path: Path) -> None:
            path.write_text("half")
            raise OSError(errno.ENOSPC, "No space left")

        with pytest.raises(UserError, match="disk is full"):
            write_atomic(target, half)
        assert read_json(target) == {"ü": 1} and [p.name for p in target.parent.iterdir()] == ["a.json"]

    def test_a_place_is_tried_before_the_work(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "deep" / "a.json")
        assert list((tmp_path / "deep").iterdir()) == []
        with pytest.raises(UserError, match="deep is a folder"):
            check_writable(tmp_path / "deep")
        (tmp_path / "file").write_text("x")
        with pytest.raises(UserError, match="file"):
            check_writable(tmp_path / "file" / "a.json")
        with pytest.raises(UserError, match="cannot be written there"):
            check_writable("/proc/nowhere/a.json")

    def test_a_written_file_follows_the_umask(self, tmp_path: Path) -> None:
        mask = os.umask(0o022)
        os.umask(mask)
        assert write_atomic(tmp_path / "a", b"x").stat().st_mode & 0o777 == 0o666 & ~mask

    @pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
    def test_what_is_no_json_says_where(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(UserError, match="a.json is not"):
            read_json(tmp_path / "a.json")
        with pytest.raises(UserError, match="does not exist"):
            read_json(tmp_path / "b.json")

    def test_digests_ignore_the_order_of_keys_and_nothing_else(self, tmp_path: Path) -> None:
        assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"a": 1, "b": [2, 1]})
        (tmp_path / "a").write_bytes(b"x")
        (tmp_path / "b").write_bytes(b"x")
        assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")
        with pytest.raises(UserError, match="does not exist"):
            file_digest(tmp_path / "c")


class TestPictures:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
    def test_every_mode_opens_as_rgb(self, tmp_path: Path, mode: str) -> None:
        values = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
        if mode == "I;16":
            image = Image.fromarray(values.astype(np.uint16) * 200)
        else:
            image = Image.fromarray(values).convert("RGB").convert("L" if mode in {"I", "F"} else mode)
            image = image.convert(mode)
        image.save(tmp_path / "a.tif")
        opened = open_image(tmp_path / "a.tif")
        assert (opened.mode, opened.size) == ("RGB", (8, 6)) == ("RGB", image_size(tmp_path / "a.tif"))
        assert np.asarray(opened).std() > 10

    def test_a_quarter_turn_in_exif_is_applied(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (30, 10)).save(tmp_path / "a.jpg", exif=exif)
        assert open_image(tmp_path / "a.jpg").size == image_size(tmp_path / "a.jpg") == (10, 30)

    def test_broken_files_are_named_in_one_sentence(self, tmp_path: Path) -> None:
        Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
        whole = (tmp_path / "whole.png").read_bytes()
        for name, content in {"torn": whole[:500], "text": b"hello", "empty": b"", "header": whole[:20]}.items():
            path = tmp_path / f"{name}.png"
            path.write_bytes(content)
            for read in (open_image, open_mask):
                with pytest.raises(UserError, match=f"{name}.png") as error:
                    read(path)
                assert "\n" not in str(error.value)
        with pytest.raises(UserError, match="does not exist"):
            open_image(tmp_path / "gone.png")
        with pytest.raises(UserError, match="is a folder"):
            open_image(tmp_path)

    def test_pictures_of_one_pixel_and_of_twenty_thousand(self, tmp_path: Path) -> None:
        Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
        assert open_image(tmp_path / "dot.png").getpixel((0, 0)) == (255, 0, 0)
        Image.new("1", (20_000, 400)).save(tmp_path / "wide.png")
        assert image_size(tmp_path / "wide.png") == open_image(tmp_path / "wide.png").size == (20_000, 400)

    def test_a_picture_beyond_the_limit_is_refused_by_its_header(self, tmp_path: Path) -> None:
        import struct
        import zlib

        header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
        chunk = b"IHDR" + header
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data = b"IDAT" + zlib.compress(b"")
        png += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        (tmp_path / "huge.png").write_bytes(png)
        for read in (open_image, open_mask, image_size):
            with pytest.raises(UserError, match="30000 x 30000|damaged"):
                read(tmp_path / "huge.png")

    def test_flat_and_transparent_pictures(self) -> None:
        assert to_rgb(Image.new("I", (2, 2), 70000)).getpixel((0, 0)) == (0, 0, 0)
        assert to_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)

    def test_a_masks_palette_index_is_its_label(self, tmp_path: Path) -> None:
        image = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "L")
        image.putpalette([255, 255, 255, 0, 0, 0, 9, 9, 9])
        image.save(tmp_path / "m.png")
        assert open_mask(tmp_path / "m.png").tolist() == [[False, True], [True, False]]
