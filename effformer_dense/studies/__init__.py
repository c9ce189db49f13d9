"""Experiments that the documentation draws conclusions from, each from one command."""
