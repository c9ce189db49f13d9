"""Benchmarks of time and memory, as ``tools/benchmark.py`` runs them."""
