"""EMIT for scripts: dataset synthesis, heatmap-guided comparison, difficulty-aware GRPO, evaluation.

Each room below is imported on its own (`from core.mmad import read_mmad`); nothing is imported here, so that a script
which only reads a benchmark never pays for torch. ARCHITECTURE.md is the tour.
"""

__version__ = "0.1.0"
