"""Endpoints of the Settings page. A key can be set, never read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.preferences import Preferences
from studio.services import Services


def endpoints(services: Services) -> list[Callable[..., Any]]:
    preferences = Preferences(services)

    def get_settings() -> dict:
        """model, threshold, endpoint_url, endpoint_model, and where a key is kept (never the key itself)."""
        return {**preferences.get(), "key": services.secrets.place() or "none"}

    def set_settings(settings: dict) -> dict:
        """Change some of model, threshold, endpoint_url, endpoint_model; `key` keeps a key, an empty one forgets it."""
        preferences.set(settings)
        return get_settings()

    return [get_settings, set_settings]
