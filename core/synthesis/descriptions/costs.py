"""Tokens and dollars: guessed before a run, counted after it, from a table one can edit (prices.yaml)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.synthesis.descriptions.suggestions import Usage
from core.synthesis.descriptions.wording import Ask, read_yaml

DEFAULT_PRICES = Path(__file__).with_name("prices.yaml")
CHARACTERS_PER_TOKEN = 4  # rule of thumb for English
UNKNOWN_PICTURE = 500  # tokens; for models the table lacks


@dataclass(frozen=True, slots=True)
class Prices:
    """What one model costs; `input` and `output` are dollars per million tokens, None when unknown."""

    input: float | None
    output: float | None
    picture: int
    answer_tokens: int
    batch_discount: float

    def cost(self, tokens_in: int, tokens_out: int, *, batch: bool = False) -> float | None:
        """US dollars, or None when the table lacks the model."""
        if self.input is None or self.output is None:
            return None
        share = self.batch_discount if batch else 1.0
        return (tokens_in * self.input + tokens_out * self.output) / 1e6 * share

    def estimate(self, asks: Iterable[Ask], *, cached: int = 0, batch: bool = False) -> Usage:
        """What these calls will need if every first try succeeds."""
        asks = list(asks)
        characters = sum(len(a.system) + len(a.text) + len(a.form) + sum(len(s[0]) for s in a.shown) for a in asks)
        pictures = sum(len(a.shown) for a in asks)
        tokens_in = round(characters / CHARACTERS_PER_TOKEN) + pictures * self.picture
        tokens_out = len(asks) * self.answer_tokens
        return Usage(len(asks), 0, cached, tokens_in, tokens_out, self.cost(tokens_in, tokens_out, batch=batch))


def load_prices(model: str, path: str | Path | None = None) -> Prices:
    """The prices of `model` from the table at `path` (the one that ships by default).

    Raises:
        UserError: the table is missing or not in its form.
    """
    path = Path(path) if path is not None else DEFAULT_PRICES
    table = read_yaml(path)
    try:
        models = {str(name): row for name, row in (table.get("models") or {}).items()}
        name = max((n for n in models if model == n or model.startswith(f"{n}-")), key=len, default="")
        row = models.get(name, {})
        return Prices(
            float(row["input"]) if row else None,
            float(row["output"]) if row else None,
            int(row.get("picture", UNKNOWN_PICTURE)),
            int(table.get("answer_tokens", 220)),
            float(table.get("batch_discount", 1.0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise UserError(f"{path}: each model needs 'input' and 'output' in dollars per million tokens.")
