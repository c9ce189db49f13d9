"""Whether a detector does what :mod:`.graph` writes down, or something of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdet.models.dense_heads import RetinaHead, RPNHead
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from ..errors import UserError

#: What a head can be, and which of its methods the graph stands in for: a head with its own version of one is another.
_METHODS: Mapping[type, tuple[str, ...]] = {
    RetinaHead: ('predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process'),
    RPNHead: ('predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process'),
    StandardRoIHead: ('predict', 'predict_bbox', 'predict_mask', '_bbox_forward', '_mask_forward'),
    BBoxHead: ('predict_by_feat', '_predict_by_feat_single'),
    FCNMaskHead: ('predict_by_feat', '_predict_by_feat_single'),
    SingleRoIExtractor: ('forward',),
}
_NMS_OPTIONS = {'type', 'iou_threshold', 'class_agnostic', 'split_thr'}
_WORKING = 'Mask R-CNN, Faster R-CNN and RetinaNet can, with the heads that mmdet gives them'


def check_exportable(model: Any) -> None:
    """A detector's parts are those that the graph knows.

    Raises:
        UserError: one is not; names it.
    """
    if getattr(model, 'with_semantic_head', False) or hasattr(model, 'panoptic_fusion_head'):
        raise _refusal(model, 'segments what is no object as well, which files have no place for')
    if hasattr(model, 'roi_head') and hasattr(model, 'rpn_head'):
        _check_two_stages(model)
    else:
        head = next((getattr(model, name) for name in ('bbox_head', 'panoptic_head') if hasattr(model, name)), model)
        _check_part(head, RetinaHead)
        check_nms(head, head.test_cfg)


def check_nms(head: Any, test_cfg: Mapping[str, Any]) -> None:
    """NMS is the plain one.

    Args:
        head: named in the error.
        test_cfg: its own.

    Raises:
        UserError: it is not.
    """
    nms = test_cfg.get('nms') or {}
    if nms.get('type', 'nms') != 'nms' or not {'iou_threshold'} <= set(nms) <= _NMS_OPTIONS:
        raise UserError(
            f'{type(head).__name__} with test_cfg.nms={dict(nms)} cannot be exported: graphs have plain NMS only, as '
            "dict(type='nms', iou_threshold=0.5) with, if wanted, class_agnostic."
        )


def _check_two_stages(model: Any) -> None:
    roi = model.roi_head
    _check_part(model.rpn_head, RPNHead)
    _check_part(roi, StandardRoIHead)
    _check_part(roi.bbox_head, BBoxHead)
    _check_extractor(roi.bbox_roi_extractor)
    check_nms(model.rpn_head, model.rpn_head.test_cfg)
    check_nms(roi.bbox_head, roi.test_cfg)
    if roi.bbox_head.custom_cls_channels or not (roi.bbox_head.with_cls and roi.bbox_head.with_reg):
        raise _refusal(roi.bbox_head, 'has scores or boxes of its own')
    if not roi.with_mask:
        return
    _check_part(roi.mask_head, FCNMaskHead)
    _check_extractor(roi.mask_roi_extractor)
    if roi.mask_head.upsample_method == 'carafe':
        raise _refusal(
            roi.mask_head, "upsamples by mmcv's own operator 'carafe'; with upsample_cfg=dict(type='deconv')"
        )
    if roi.test_cfg.mask_thr_binary < 0:
        raise UserError('test_cfg.rcnn.mask_thr_binary is negative, for masks that are not binary; 0.5 is usual.')


def _check_extractor(extractor: Any) -> None:
    _check_part(extractor, SingleRoIExtractor)
    for layer in extractor.roi_layers:
        if type(layer).__name__ != 'RoIAlign' or layer.pool_mode != 'avg':
            raise _refusal(layer, 'is no averaging RoIAlign, which is the one that graphs have')


def _check_part(part: Any, known: type) -> None:
    own = [name for name in _METHODS[known] if getattr(type(part), name, None) is not getattr(known, name)]
    if not isinstance(part, known):
        raise _refusal(part, f'is no {known.__name__}')
    if own:
        raise _refusal(part, f'predicts by a {own[0]}() of its own')


def _refusal(part: Any, reason: str) -> UserError:
    return UserError(f'{type(part).__name__} cannot be exported: it {reason}. {_WORKING}.')
