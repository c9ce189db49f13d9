"""Faster R-CNN with FPN on EfficientFormerV2 S1, COCO 2017, 12 epochs: boxes alone.

    python tools/train.py configs/fasterrcnn_v2_s1_coco.py

Recipe: as maskrcnn_v2_l_coco.py, where it is explained, without the masks.
Published score: none.
Measured here: not yet.
"""

_base_ = 'maskrcnn_v2_s1_coco.py'

model = dict(type='FasterRCNN', roi_head=dict(mask_roi_extractor=None, mask_head=None))

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].with_mask = test_pipeline[2].with_mask = False
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
