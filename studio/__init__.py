"""The studio: pages over core, one file each. `build(services)` makes the app, `serve` opens it to browsers.

frame.py    header, page shell, the table of pages       services.py   what pages share (the only thing they share)
pages/      one file a page                              jobs.py       background work with progress and stop
endpoints/  the same for scripts, one file a page        thumbnails.py small pictures, made once
texts/      every word on screen, in two languages       models.py     the few models that are in memory
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

# Before gradio is imported: nothing is sent anywhere.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from typing import TYPE_CHECKING, Any  # noqa: E402

from core.errors import UserError  # noqa: E402
from studio.services import Services, open_services  # noqa: E402

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["Services", "build", "launch_options", "open_services", "serve"]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MAX_UPLOAD = "2gb"


def build(services: Services) -> gr.Blocks:
    """The whole app; `launch_options` says how to launch it."""
    from studio.frame import assemble

    return assemble(services)


def launch_options(services: Services) -> dict[str, Any]:
    """What `Blocks.launch` must be told, wherever it is launched (here, in tests, on a Space)."""
    from studio.i18n import translations
    from studio.theme import head, theme

    return {
        "theme": theme(), "head": head(), "i18n": translations(), "footer_links": [],
        # The thumbnails are all that is served from disk; everything else goes out as a picture in memory.
        "allowed_paths": [str(services.thumbnails.folder)], "max_file_size": MAX_UPLOAD,
        "run_history": False, "enable_monitoring": False, "ssr_mode": False, "mcp_server": False, "show_error": True,
        "auth": services.accounts or None, "favicon_path": str(Path(__file__).parent / "assets" / "favicon.svg"),
    }  # fmt: skip


def serve(services: Services, host: str, port: int, *, share: bool = False) -> None:
    """Open the studio to browsers until it is stopped.

    Raises:
        UserError: the port is taken or the address is not one of this machine.
    """
    _check_address(host, port)
    services.local = host in LOOPBACK and not share
    if not services.local and not services.accounts:
        print(
            f"Everybody who reaches {host}:{port} can use this studio: set EMIT_LOGIN (--help) to ask for a password."
        )
    services.start_background()
    try:
        build(services).launch(
            server_name=host, server_port=port, share=share, inbrowser=False, **launch_options(services)
        )
    finally:
        services.close()


def _check_address(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise UserError(f"Port {port} does not exist: choose one from 1 to 65535.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: a port in its waiting time after a restart is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise UserError(f"Port {port} needs more rights: choose one above 1023 with --port.") from error
        except (OSError, socket.gaierror) as error:
            raise UserError(f"Port {port} on {host} is in use or not ours: choose another with --port.") from error
