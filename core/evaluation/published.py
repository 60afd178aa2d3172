"""Published MMAD figures (`data/published.json`), each with its protocol and source.

They are drawn beside a user's own results and never mixed up with them: other pictures, prompts and shots make other
numbers (InternVL3-8B alone stands at 70.5 or 74.18, depending on the protocol).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from core.files import read_json
from core.mmad import Task

FILE = Path(__file__).resolve().parents[2] / "data" / "published.json"


def published_table(path: str | Path | None = None) -> pd.DataFrame:
    """A row per published result, best average first: model, the seven tasks (NaN where only the average is published),
    Average, approximate (read off a chart), note, protocol, source, url; figures in percent."""
    value = read_json(path or FILE)
    rows: list[dict[str, Any]] = [
        {
            "model": row["model"],
            **{task.value: row.get("tasks", {}).get(task.value) for task in Task},
            "Average": row["average"],
            "approximate": bool(row.get("approximate")),
            "note": row.get("note", ""),
            "protocol": value["protocols"][row["protocol"]],
            "source": value["sources"][row["source"]]["citation"],
            "url": value["sources"][row["source"]]["url"],
        }
        for row in value["rows"]
    ]
    table = pd.DataFrame(rows).astype({task.value: float for task in Task})
    return table.sort_values("Average", ascending=False, ignore_index=True)
