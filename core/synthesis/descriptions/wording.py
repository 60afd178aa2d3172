"""From prompts.yaml to a chat: the prompts are data, this only fills them in and shows the pictures.

Pictures are sent with a long side of at most 512 px (EMIT, "GPT-written descriptions") as base64 data URLs.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml
from PIL import Image

from core.errors import UserError, explain_os_error
from core.files import digest, file_digest
from core.mmad import Benchmark
from core.pictures import open_image, open_mask
from core.synthesis.descriptions.items import Shown, picture_path

DEFAULT_PROMPTS = Path(__file__).with_name("prompts.yaml")
LONG_SIDE = 512
_PLACEHOLDERS = {
    "system": (),
    "defect": ("product", "defect", "dataset"),
    "normal": ("product", "dataset", "defects"),
    "picture": ("product", "dataset"),
    "simulated": ("product", "dataset", "defect", "normal", "place", "knowledge"),
    "form": (),
}
_ROLES = ("normal", "defective", "mask")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of one file; `templates` by name, `roles` says how each kind of picture is announced."""

    templates: Mapping[str, str]
    roles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """One call before it is made: the filled-in texts and the pictures, which are only read when it is sent."""

    system: str
    text: str
    form: str
    shown: tuple[tuple[str, Path, bool], ...] = ()  # announcement, file, is it a mask

    def hash(self, model: str, options: Mapping[str, Any] | None = None) -> str:
        """Names the call by model, settings, prompt and the content of its pictures: the key of the cache.

        Raises:
            UserError: a picture cannot be read.
        """
        pictures = [[role, _content_hash(path)] for role, path, _ in self.shown]
        return digest([model, dict(options or {}), LONG_SIDE, self.system, self.text, self.form, pictures])

    def messages(self) -> list[dict[str, Any]]:
        """The chat with its pictures encoded.

        Raises:
            UserError: a picture is missing or damaged; it is named.
        """
        parts: list[dict[str, Any]] = []
        for role, path, is_mask in self.shown:
            url = data_url(path, mask=is_mask)
            parts += [{"type": "text", "text": role}, {"type": "image_url", "image_url": {"url": url}}]
        parts.append({"type": "text", "text": f"{self.text}\n{self.form}"})
        return [{"role": "system", "content": self.system}, {"role": "user", "content": parts}]


def load_prompts(path: str | Path | None = None) -> Prompts:
    """Read a prompts file; the one that ships by default. A key a file lacks is taken from that one.

    Raises:
        UserError: missing, not YAML, or a prompt uses a placeholder that is never filled.
    """
    value = read_yaml(DEFAULT_PROMPTS)
    if path is not None:
        own = read_yaml(Path(path))
        unknown = sorted(set(own) - set(value))
        if unknown:
            raise UserError(f"{path} has the unknown prompt {unknown[0]!r}: use {', '.join(value)}.")
        roles = {**value["roles"], **(own.get("roles") or {})} if isinstance(own.get("roles"), dict | None) else None
        value = {**value, **own, "roles": roles}
    if not isinstance(value["roles"], dict) or any(not isinstance(value["roles"].get(name), str) for name in _ROLES):
        raise UserError(f"{path}: 'roles' must name {', '.join(_ROLES)} with a text each.")
    for name, allowed in _PLACEHOLDERS.items():
        template = Template(value[name] if isinstance(value[name], str) else "")
        if not template.template.strip() or not template.is_valid():
            raise UserError(f"{path}: the prompt {name!r} must be text, with $$ where a dollar sign is meant.")
        foreign = sorted(set(template.get_identifiers()) - set(allowed))
        if foreign:
            can = ", ".join(f"${a}" for a in allowed) or "no placeholder"
            raise UserError(f"{path}: the prompt {name!r} uses ${foreign[0]}, which is never filled: it takes {can}.")
    return Prompts({name: value[name].strip() for name in _PLACEHOLDERS}, value["roles"])


def build_ask(prompts: Prompts, name: str, bench: Benchmark, shown: Sequence[Shown] = (), **words: str) -> Ask:
    """Fill in the prompt `name`; underscores in product and defect names become spaces."""
    for key in ("product", "defect"):
        if key in words:
            words[key] = words[key].replace("_", " ")
    pictures = tuple((prompts.roles[s.role], picture_path(bench, s.path), s.role == "mask") for s in shown)
    text = Template(prompts.templates[name]).substitute(words)
    return Ask(prompts.templates["system"], text, prompts.templates["form"], pictures)


def data_url(path: str | Path, *, mask: bool = False) -> str:
    """A picture with its long side at most 512 px as `data:image/...;base64,...`; a mask is PNG, white on black."""
    if mask:
        settings: dict[str, int]
        image = Image.fromarray(open_mask(path).astype("uint8") * 255)
        kind, settings = "png", {}
    else:
        image = open_image(path)
        kind, settings = "jpeg", {"quality": 90}
    # A picture 20,000 px long and 10 px high must keep at least one row.
    scale = min(1.0, LONG_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if mask and scale < 1:
        # Any foreground within a shrunk pixel stays visible: hair-line scratches would vanish otherwise.
        image = image.resize(size, Image.Resampling.BOX).point(lambda value: 255 if value else 0)
    elif scale < 1:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _content_hash(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise explain_os_error(error, path) from error
    return _hash_once(str(path), status.st_mtime_ns, status.st_size)


@cache
def _hash_once(path: str, _changed: int, _size: int) -> str:
    # One reference serves many defects, and the dry run asks for the same hashes as the run itself.
    return file_digest(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; UserError when it is missing or something else."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise explain_os_error(error, path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML ({' '.join(str(error).split())[:120]}): repair it.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold 'name: text' lines: start from {DEFAULT_PROMPTS.name}.")
    return value
