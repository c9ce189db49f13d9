"""Formats other than COCO: what a folder holds, as tables like those of COCO."""
