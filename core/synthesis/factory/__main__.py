"""`python -m core.synthesis.factory --out page.png`: a page of rendered products to look at."""

from __future__ import annotations

import argparse

from core.errors import UserError, command


@command
def main(arguments: list[str] | None = None) -> None:
    """Read the flags and draw the page."""
    from core.files import write_atomic
    from core.synthesis.factory import PRODUCTS
    from core.synthesis.factory.sheets import contact_sheet

    parser = argparse.ArgumentParser(
        prog="python -m core.synthesis.factory", description="A page of rendered products."
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="PNG or JPEG to write")
    parser.add_argument("--seed", type=int, default=0, help="other seeds show other pieces (0)")
    parser.add_argument("--products", nargs="+", default=list(PRODUCTS), metavar="NAME", help=", ".join(PRODUCTS))
    parser.add_argument("--columns", type=int, default=6, help="pictures of each product (6)")
    parser.add_argument("--difficulty", type=float, default=0.3, help="0 plain to 1 barely visible (0.3)")
    parser.add_argument("--good", action="store_true", help="normal pieces only")
    parser.add_argument("--outline", action="store_true", help="draw the outline of each defect")
    flags = parser.parse_args(arguments)
    unknown = [name for name in flags.products if name not in PRODUCTS]
    if unknown or flags.columns < 1 or not flags.out.lower().endswith((".png", ".jpg", ".jpeg")):
        raise UserError(f"Give products out of {', '.join(PRODUCTS)}, at least one column, and a .png or .jpg file.")
    page = contact_sheet(
        flags.seed, products=flags.products, columns=flags.columns, defects=not flags.good, outline=flags.outline,
        difficulty=flags.difficulty,
    )  # fmt: skip
    write_atomic(flags.out, lambda path: page.save(path))


if __name__ == "__main__":
    main()
