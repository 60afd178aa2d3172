"""Adapters around a model: what lies inside them."""

from __future__ import annotations

from typing import Any


def inner_model(model: Any) -> Any:
    """The model inside a `PeftModel`; any other model is its own."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
