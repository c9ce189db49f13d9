"""How long, how much memory: ``tools/benchmark.py``."""
