"""The house keeps its order: rooms import downwards, the bottom rooms load no torch, core never knows the studio."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

CORE = PROJECT / "core"
# bottom to top; a room may import what stands before it
ROOMS = ("mmad", "synthesis", "runs", "heatmap", "model", "grpo", "evaluation", "training", "workspace", "demo")
TORCH_FREE = (
    "mmad",
    "synthesis",
    "runs",
    "workspace",
    "training.config",
    "evaluation",
    "model",
    "grpo",
    "heatmap",
    "training",
    "demo",
)
GROUND = frozenset({"errors", "files", "pictures"})


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of everything a file imports, wherever in the file."""
    package = path.relative_to(PROJECT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield name, node.lineno
            if name == "core":
                yield from ((f"core.{alias.name}", node.lineno) for alias in node.names)


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_every_room_has_a_place_in_the_order() -> None:
    assert {path.parent.name for path in CORE.glob("*/__init__.py")} <= set(ROOMS)


def test_rooms_import_downwards_only() -> None:
    wrong = []
    for place, room in enumerate(ROOMS):
        allowed = {*ROOMS[: place + 1], *GROUND}
        for path in sources(CORE / room):
            if path == CORE / room / "__main__.py":
                continue  # a command may use any room
            for imported, line in imports(path):
                parts = imported.split(".")
                if parts[0] == "core" and len(parts) > 1 and parts[1] not in allowed:
                    wrong.append(f"{name(path)}:{line} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_the_ground_imports_no_room() -> None:
    for module in GROUND:
        for imported, _ in imports(CORE / f"{module}.py"):
            parts = imported.split(".")
            assert parts[0] != "core" or parts[1] in GROUND


def test_core_knows_neither_gradio_nor_the_studio() -> None:
    wrong = [
        f"{name(path)}:{line}"
        for path in sources(CORE)
        for imported, line in imports(path)
        if imported.split(".")[0] in {"gradio", "studio", "app", "tests"}
    ]
    assert not wrong, "\n".join(wrong)


def public_names(package: Path) -> set[str]:
    """What a package's `__init__` offers: `__all__`, or the keys of the table it imports lazily from."""
    found: set[str] = set()
    for node in ast.parse(package.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in {"__all__", "_HOME"}:
            names = node.value.keys if isinstance(node.value, ast.Dict) else getattr(node.value, "elts", [])
            found |= {item.value for item in names if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return found


def test_no_module_bears_the_name_of_a_public_function_of_its_package() -> None:
    wrong = []
    for package in [path for path in CORE.rglob("__init__.py") if path.parent != CORE]:
        modules = {path.stem for path in package.parent.glob("*.py")}
        modules |= {path.parent.name for path in package.parent.glob("*/__init__.py")}
        wrong += [f"{name(package.parent)}: {found}" for found in public_names(package) & modules]
    assert not wrong, "\n".join(wrong)


def there(room: str) -> bool:
    path = CORE.joinpath(*room.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("room", TORCH_FREE)
def test_importing_a_room_loads_no_torch(room: str) -> None:
    """Rooms above give their names lazily, so that the studio can name them and still open at once."""
    if not there(room):
        pytest.skip(f"core.{room} is not there yet")
    code = f"import core.{room}, sys; print(*[m for m in ('torch', 'gradio', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("room", ["mmad", "synthesis", "runs", "workspace"])
def test_everything_in_a_room_without_torch_is_without_torch(room: str) -> None:
    if not there(room):
        pytest.skip(f"core.{room} is not there yet")
    wrong = [
        f"{name(path)}:{line} imports {imported}"
        for path in sources(CORE / room)
        if path.name != "__main__.py"
        for imported, line in imports(path)
        if imported.split(".")[0] in {"torch", "transformers", "trl", "peft", "accelerate"}
    ]
    assert not wrong, "\n".join(wrong)


def test_files_stay_of_one_idea() -> None:
    long = [name(path) for path in sources(CORE) if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert not long, "\n".join(long)


def test_public_names_of_the_synthesis_room_are_there() -> None:
    import core.synthesis as room

    for public in (
        "read_source",
        "build_questions",
        "region_names",
        "similar_templates",
        "describe",
        "text_samples",
        "export",
    ):
        assert public in room.__all__
    with pytest.raises(AttributeError):
        room.nonsense  # noqa: B018
