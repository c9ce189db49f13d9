"""Search: networks for a picture size and a machine, after both papers (docs/search.md)."""
