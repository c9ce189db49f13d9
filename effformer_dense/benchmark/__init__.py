"""Benchmarks of time and memory: the command ``benchmark``."""
