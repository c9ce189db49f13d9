"""Data of our own: synthetic shapes in COCO layout, and reading pictures with clear errors."""
