"""Small pictures: made once, anew when the original changes, and work ahead rests while a page waits."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from studio.thumbnails import SMALL, Thumbnails


@pytest.fixture
def thumbnails(tmp_path):
    made = Thumbnails(tmp_path / "cache")
    yield made
    made.close()


def picture(path, colour="red"):
    Image.new("RGB", (900, 600), colour).save(path)
    return path


def files(thumbnails):
    return sorted(thumbnails.folder.rglob("*.jpg"))


def test_a_small_picture_is_made_once_and_anew_when_the_original_changes(thumbnails, tmp_path):
    original = picture(tmp_path / "a.jpg")
    first = thumbnails.url(original)
    made = files(thumbnails)
    assert len(made) == 1 and max(Image.open(made[0]).size) == SMALL
    stamp = made[0].stat().st_mtime_ns
    assert thumbnails.urls([original, original]) == [first, first] and made[0].stat().st_mtime_ns == stamp
    picture(original, "blue")
    assert thumbnails.url(original) != first and len(files(thumbnails)) == 2


def test_what_cannot_be_opened_has_no_address(thumbnails, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert thumbnails.urls([tmp_path / "no.png", tmp_path / "missing.png"]) == [None, None]


def test_work_ahead_rests_while_a_page_waits(thumbnails, tmp_path, monkeypatch):
    ahead = [picture(tmp_path / f"{i}.jpg") for i in range(3)]
    url = Thumbnails.url

    def slow(self, path, **more):
        if path.name == "page.jpg":
            thumbnails.prepare(ahead)
            time.sleep(0.5)
            assert not files(thumbnails)
        return url(self, path, **more)

    monkeypatch.setattr(Thumbnails, "url", slow)
    assert all(thumbnails.urls([picture(tmp_path / "page.jpg")]))
    until = time.monotonic() + 10
    while len(files(thumbnails)) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(files(thumbnails)) == 4
