"""Detection around the backbones: checks of COCO annotations, results as COCO tables, drawing."""
