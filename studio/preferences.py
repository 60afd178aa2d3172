"""What people choose for the whole studio: the model, the threshold, and the vision model that writes descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from studio import generation
from studio.i18n import say
from studio.models import first_model

if TYPE_CHECKING:
    import gradio as gr

    from studio.services import Services

THRESHOLD = 0.5  # P(defect) from which a picture counts as defective


class Preferences:
    """The choices of one studio; `set` checks them together before it keeps any."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def get(self) -> dict[str, Any]:
        settings = self._services.workspace.settings
        return {
            "model": str(settings.get("model") or first_model()), "threshold": float(settings.get("threshold", THRESHOLD)),
            "endpoint_url": str(settings.get("endpoint_url") or ""),
            "endpoint_model": generation.endpoint_model(self._services),
        }  # fmt: skip

    def set(self, values: Mapping[str, Any], request: gr.Request | None = None) -> None:
        """Keep the named ones; "key" keeps the endpoint's key, an empty one forgets it.

        Raises:
            UserError: an unknown name or an impossible value; the sentence says which.
        """
        services, now = self._services, self.get()
        if unknown := set(values) - {*now, "key"}:
            raise UserError(f"There is no setting {sorted(unknown)[0]!r}: use {', '.join(now)} or key.")
        wanted = {**now, **values}
        if not Path(str(wanted["model"])).is_dir():
            raise UserError(say(request, "settings.no_model", path=wanted["model"]))
        if not isinstance(wanted["threshold"], int | float) or not 0 < wanted["threshold"] < 1:
            raise UserError(say(request, "settings.bad_threshold"))
        url = str(wanted["endpoint_url"]).strip()
        if url and not url.startswith(("http://", "https://")):
            raise UserError(say(request, "settings.bad_url"))
        moved = url != now["endpoint_url"]
        if moved and not services.local and services.secrets.place() == "environment":
            # Else whoever reaches the studio could have its key sent to an address of their own.
            raise UserError(say(request, "settings.key_elsewhere"))
        kept = {
            "model": "" if Path(wanted["model"]) == first_model() else str(wanted["model"]),
            "threshold": float(wanted["threshold"]), "endpoint_url": url,
            "endpoint_model": str(wanted["endpoint_model"]).strip(),
        }  # fmt: skip
        if "key" in values or (moved and services.secrets.place() == "file"):
            # A key belongs to the address it was entered for.
            services.secrets.set(str(values.get("key") or "").strip() or None)
        for name, value in kept.items():
            services.workspace.settings.set(name, value)
