"""The measured figures on the Compare page are those of the report."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.demo.report import claim, read_bench
from core.errors import UserError
from studio.views.proof import proof, there
from tests.unit.demo.test_report import GROUPS, PRICE, add


@pytest.fixture
def measured(tmp_path):
    folder = tmp_path / "proof" / "demo"
    add(folder, "base", 0, 0.3)
    for seed in (0, 1):
        add(folder, "grpo", seed, 0.5, **(PRICE | GROUPS))
        add(folder, "emit", seed, 0.7, **(PRICE | GROUPS))
    return folder.parent


def test_the_page_shows_what_the_report_computes(measured):
    page, bench = proof("en", measured), read_bench(measured / "demo")
    for arm in ("base", "grpo", "emit"):
        row = re.search(rf"<b>{arm}</b>.*?</tr>", page).group(0)
        average = np.mean(bench.values(arm, "Average"))
        assert f"<b>{average:.1f}" in row and row.count("<td>") == 10
    found = claim(bench, "grpo", "emit")
    assert f"<b>{found['difference']:+.1f}</b> <small>± {found['spread']:.1f}</small>" in page
    assert f"+{found['fixed']}" in page and "2025-01-02" in page and "2 CPU cores" in page
    assert f"{bench.arms['base'][0]['questions']} test questions" in page
    assert "每" not in page and "种子" in proof("zh", measured)


def test_without_summaries_there_is_nothing_to_show(tmp_path):
    assert not there(tmp_path)
    with pytest.raises(UserError, match="no summary"):
        proof("en", tmp_path)
