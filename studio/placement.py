"""How the pieces of a product lie from picture to picture, which decides how far the heatmap looks around.

Aligned boards and turned nuts want different comparisons. The model was trained with one setting and answers with it; what
people look at (heatmap, inspection) may use another one for each product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.services import Services

# "model" is the setting the model was trained with.
PLACEMENTS = ("model", "aligned", "shifted", "turned")


def placement(services: Services, product: str) -> str:
    """What was chosen for `product`, "model" before anybody did."""
    return services.workspace.settings.get(f"placement/{product}", PLACEMENTS[0])


def choose_placement(services: Services, product: str, chosen: str) -> None:
    services.workspace.settings.set(f"placement/{product}", chosen)


def comparison_settings(chosen: str, grid: tuple[int, int]) -> dict[str, Any]:
    """Arguments of `core.heatmap.compare_pictures` for a map of `grid` (rows, columns) patches."""
    side = max(grid)
    # A non-square grid can only be turned by half a turn.
    turns = (0, 90, 180, 270) if grid[0] == grid[1] else (0, 180)
    settings: dict[str, dict[str, Any]] = {
        "model": {},
        "aligned": {"window": 1, "rotations": (0,)},
        "shifted": {"window": max(2, side // 5), "rotations": (0,)},
        "turned": {"window": side, "rotations": turns},
    }
    return settings[chosen]
