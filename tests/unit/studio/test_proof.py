"""The measured figures on the Compare page are those of the report."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.demo.evidence import claim, read_all, read_bench
from core.demo.report import markdown
from core.demo.tables import SAID, signed, tables
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
        assert f"<b>{average:.1f}" in row and row.count("<td>") == 9
    found = claim(bench, "grpo", "emit")
    assert f"<b>{found['difference']:+.1f}</b> <small>± {found['spread']:.1f}</small>" in page
    assert f"+{found['fixed']}" in page and "2025-01-02" in page and "2 CPU cores" in page
    assert f"{bench.arms['base'][0]['questions']} test questions" in page
    # Every table of the report, in the report's own figures.
    text = markdown([bench], {})
    for table in tables(bench):
        for cell in (cell for row in table.rows for cell in row[1:] if re.match(r"[-+\d]", cell) and " " not in cell):
            assert f"{cell}</" in page and cell in text, (table.name, cell)
    assert page.count("<table") == len(tables(bench)) > 2
    assert "每" not in page and "种子" in proof("zh", measured)


def test_without_summaries_there_is_nothing_to_show(tmp_path):
    assert not there(tmp_path)
    with pytest.raises(UserError, match="no summary"):
        proof("en", tmp_path)


def test_every_word_of_the_tables_is_said_in_both_languages(measured):
    from studio.i18n import texts
    from studio.views.proof import SUMMARIES

    keys = {"arm", "all"}
    for bench in read_all(SUMMARIES):
        for table in tables(bench):
            keys |= set(table.heads) | {
                c for row in table.rows for h, c in zip(table.heads, row, strict=True) if h in SAID
            }
    assert len(keys) > 30
    for key in keys:
        known = texts().get(f"compare.proof.{key.lower()}") or texts()[f"compare.task.{key.lower().replace(' ', '_')}"]
        assert len(known) == 2 and all(isinstance(word, str) for word in known)


def test_a_difference_that_rounds_to_nothing_has_no_sign():
    assert [signed(value) for value in (-0.04, 0.04, -0.05001, 2.0)] == ["0.0", "0.0", "-0.1", "+2.0"]
