"""How well an answer agrees with the truth: one file per family, one table of all metrics. No torch, no files."""
