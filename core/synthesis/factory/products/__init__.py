"""The products: one file each. `PRODUCTS` is the table of all, in the order they are shown."""

from core.synthesis.factory.catalogue import Product
from core.synthesis.factory.products import (
    ball_bearing,
    biscuit,
    blister_pack,
    bottle_cap,
    bracket,
    button,
    cable,
    carton,
    ceramic_tile,
    circuit_board,
    glass_bottle,
    hex_nut,
    leather,
    wire_mesh,
    wood_panel,
    wood_screw,
    woven_cloth,
    zipper,
)

_MODULES = (
    hex_nut,
    circuit_board,
    woven_cloth,
    carton,
    bottle_cap,
    cable,
    wood_panel,
    glass_bottle,
    blister_pack,
    leather,
    bracket,
    biscuit,
    button,
    wire_mesh,
    wood_screw,
    ball_bearing,
    ceramic_tile,
    zipper,
)
PRODUCTS: dict[str, Product] = {module.PRODUCT.name: module.PRODUCT for module in _MODULES}

__all__ = ["PRODUCTS"]
