"""What the tools call: training, testing, inference, preparing data."""

import warnings

# mmdet warns at import that an optional metric, which nothing here uses, "will not be computed": strangers take fright.
warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
# mmseg recommends another average of the loss than the one that the published recipes, and so our configs, use.
warnings.filterwarnings('ignore', message='Default ``avg_non_ignore`` is False')
