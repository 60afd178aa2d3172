"""How fast the factory makes pictures: per core, by product, size and kind, in CPU time."""

from __future__ import annotations

import time

from core.synthesis.factory import PRODUCTS, render

PICTURES = 12


def main() -> None:
    print(f"{'product':16} {'good 224':>9} {'bad 224':>9} {'good 112':>9}   pictures a second on one core")
    sums = [0.0, 0.0, 0.0]
    for name, product in PRODUCTS.items():
        kinds = list(product.defects)
        render(name, kinds[0], 0)  # tiles are made once
        rates = []
        for column, (defects, size) in enumerate((((None,), 224), (kinds, 224), ((None,), 112))):
            start = time.process_time()
            for number in range(PICTURES):
                render(name, defects[number % len(defects)], number, size=size)
            spent = (time.process_time() - start) / PICTURES
            sums[column] += spent
            rates.append(1 / spent)
        print(f"{name:16} " + " ".join(f"{rate:9.0f}" for rate in rates))
    mean = [len(PRODUCTS) / total for total in sums]
    print(f"{'all':16} " + " ".join(f"{rate:9.0f}" for rate in mean))
    print(
        f"a defect costs {mean[0] / mean[1]:.2f} x a normal picture; 112 px takes {mean[0] / mean[2]:.2f} x the time of 224 px"
    )


if __name__ == "__main__":
    main()
