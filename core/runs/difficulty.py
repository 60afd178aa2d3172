"""What a run found hard, most difficult first: the table that tells people what to describe next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

LEVELS = {
    "question": ["image", "index"],
    "sample": ["image"],
    "defect": ["dataset", "product", "defect"],
    "product": ["dataset", "product"],
}


def hardest(table: pd.DataFrame, by: str = "question") -> pd.DataFrame:
    """Rank questions, samples, defects or products by how hard the model found them.

    Args:
        table: `RunFolder.difficulty()`.
        by: one of `LEVELS`.

    Returns:
        One row each, hardest first: the level's columns, dataset, product, defect and question_type where they are
        unique, `hardness` (mean share of wrong responses), `resamplings` (mean), `unsolved` (share of visits without a
        right answer even after resampling), `reward` (mean), `visits`, `last_step`.

    Raises:
        UserError: no such level.
    """
    if by not in LEVELS:
        raise UserError(f"There is no level {by!r}: use one of {', '.join(LEVELS)}.")
    keys = LEVELS[by]
    columns = [*keys, "hardness", "resamplings", "unsolved", "reward", "visits", "last_step"]
    if table.empty:
        import pandas as pd

        return pd.DataFrame(columns=columns)
    named = [name for name in ("dataset", "product", "defect", "question_type") if name not in keys]
    groups = table.assign(unsolved=~table["solved"].astype(bool)).groupby(keys, observed=True)
    facts = groups.agg(
        hardness=("wrong", "mean"),
        resamplings=("resamplings", "mean"),
        unsolved=("unsolved", "mean"),
        reward=("reward", "mean"),
        visits=("step", "size"),
        last_step=("step", "max"),
    )
    for name in named:
        if (groups[name].nunique() <= 1).all():
            facts[name] = groups[name].first()
    order = ["hardness", "unsolved", "resamplings"]
    return facts.reset_index().sort_values(order, ascending=False, kind="stable", ignore_index=True)
