"""The detection task: checks of COCO annotations, results as COCO tables, drawing."""
