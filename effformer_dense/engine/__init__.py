"""What the tools call: configs and their overrides, checks before any long work, training, testing, inference."""

import warnings

# mmdet warns at import that an optional metric, which nothing here uses, "will not be computed": strangers take fright.
warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
