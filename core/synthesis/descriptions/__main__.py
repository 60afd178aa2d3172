"""`python -m core.synthesis.descriptions BENCHMARK ...`, the same as `python -m core.synthesis describe BENCHMARK ...`."""

from core.synthesis.descriptions.command import main

main()
