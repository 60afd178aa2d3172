"""What a studio does when it is opened: it tidies up after a killed one, and finds what ships."""

from __future__ import annotations

import os
import time

from studio import models
from studio.services import LEFT_BEHIND, Services
from studio.views.sources import sources
from tests.ui.benchmark import write_benchmark


def test_leftovers_of_a_killed_studio_are_removed_when_they_are_old(tmp_path):
    write_benchmark(tmp_path / "bolts", good=2, bad=1)
    services = Services(tmp_path / "w", tmp_path / "bolts")
    old = [services.benchmarks_dir / ".staging-x", services.uploads_dir / "tmpx", services.runs_dir / ".deleted-x"]
    kept = [services.benchmarks_dir / "mine", services.uploads_dir / "fresh", services.runs_dir / "20250101-000000-run"]
    for path in (*old, *kept):
        (path / "inside").mkdir(parents=True)
        os.utime(path, (time.time() - LEFT_BEHIND - 60,) * 2)
    os.utime(services.uploads_dir / "fresh")
    services.start_background()
    services.close()
    assert not any(path.exists() for path in old) and all(path.exists() for path in kept)


def test_a_shipped_tuned_model_is_found_by_itself_and_stands_before_its_base(tmp_path, monkeypatch):
    write_benchmark(tmp_path / "bolts", good=2, bad=1)
    services = Services(tmp_path / "w", tmp_path / "bolts")
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "models")
    (tmp_path / "models" / "emit-tiny").mkdir(parents=True)
    assert [source.label for source in sources(services)] == ["emit-tiny"]
    (tmp_path / "models" / "emit-tiny-tuned").mkdir()
    assert [source.label for source in sources(services)] == ["emit-tiny-tuned", "emit-tiny"]
    assert models.first_model().name == "emit-tiny-tuned"
    services.close()
