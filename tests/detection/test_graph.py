"""Detectors as graphs: mmdet's results to the bit, and from a file at sizes that it was not made at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from effformer_dense.detection.graph import DetectionGraph
from effformer_dense.errors import UserError
from effformer_dense.mmcv_ops import roi_align
from effformer_dense.tasks import task_named
from tests.helpers import plain_backbone, through_onnx

KINDS = ['mask', 'faster', 'retina']
#: (height, width): odd, portrait, landscape, a multiple of 32, and one cell of the coarsest maps.
SIZES = [(97, 131), (160, 75), (250, 333), (128, 96), (32, 32)]


@pytest.fixture(autouse=True)
def roi_align_of_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """What mmdet gets rounds as the operator that graphs have, where no compiled mmcv stands before it."""
    monkeypatch.setattr(roi_align, '_sums_are_faster', lambda features, cells: False)


def picture(height: int, width: int) -> Tensor:
    """Soft colours, (1, 3, H, W), RGB, 0 to 255."""
    coarse = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(height))
    return 255 * torch.nn.functional.interpolate(coarse, size=(height, width), mode='bicubic').clamp(0, 1)


@torch.no_grad()
def predicted(model: Any, image: Tensor) -> Any:
    """mmdet's instances in px of ``image``, which it takes as BGR."""
    size = tuple(image.shape[2:])
    sample = DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0)))
    return model.test_step(dict(inputs=[image[0].flip(0)], data_samples=[sample]))[0].pred_instances


def assert_equal_to_mmdet(model: Any, image: Tensor) -> int:
    """To the bit; how many detections there were."""
    expected = predicted(model, image)
    graph = DetectionGraph(model)
    with torch.no_grad():
        found = dict(zip(graph.outputs, graph(image), strict=True))
    for ours, theirs in (('boxes', 'bboxes'), ('scores', 'scores'), ('labels', 'labels')):
        assert torch.equal(found[ours], expected[theirs]), ours
    return len(expected)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kind', KINDS)
def test_mmdets_results_to_the_bit(kind: str, size: tuple[int, int], build_detector: Callable) -> None:
    assert assert_equal_to_mmdet(build_detector(kind), picture(*size)) > 5


def test_masks_before_they_are_pasted(build_detector: Callable) -> None:
    """mmdet keeps them to itself; pasted by its own function, ours give its masks."""
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    model, image = build_detector('mask'), picture(97, 131)
    with torch.no_grad():
        boxes, _, _, masks = DetectionGraph(model)(image)
    assert masks.shape == (len(boxes), 28, 28) and 0 < masks.std()
    pasted, _ = _do_paste_mask(masks[:, None], boxes, 97, 131, skip_empty=False)
    assert torch.equal(pasted >= 0.5, predicted(model, image).masks)


def _agnostic(config: dict) -> None:
    config['roi_head']['bbox_head']['reg_class_agnostic'] = True
    config['roi_head']['mask_head']['class_agnostic'] = True


def _other_numbers(config: dict) -> None:
    config['test_cfg']['rpn'].update(
        nms_pre=37, max_per_img=23, min_bbox_size=9, nms=dict(type='nms', iou_threshold=0.3)
    )
    config['test_cfg']['rcnn'].update(
        score_thr=0.21, max_per_img=7, nms=dict(type='nms', iou_threshold=0.7, class_agnostic=True)
    )


def _reads_bgr(config: dict) -> None:
    config['data_preprocessor'].update(mean=[103.5, 116.3, 123.7], std=[1.0, 2.0, 3.0], bgr_to_rgb=False)


def _pads_to_64(config: dict) -> None:
    config['data_preprocessor'].update(pad_size_divisor=64, pad_value=3)


@pytest.mark.parametrize('change', [_agnostic, _other_numbers, _reads_bgr, _pads_to_64])
def test_what_a_config_changes(change: Callable, build_detector: Callable) -> None:
    usual, other = build_detector('mask'), build_detector('mask', change)
    assert assert_equal_to_mmdet(other, picture(97, 131)) > 0
    pair = [predicted(model, picture(97, 131)).scores for model in (usual, other)]
    assert pair[0].shape != pair[1].shape or not torch.equal(*pair), 'the change makes a difference'


def _retinas_numbers(config: dict) -> None:
    config['test_cfg'].update(nms_pre=31, score_thr=0.3, max_per_img=9, min_bbox_size=12)


def test_numbers_of_retinanet(build_detector: Callable) -> None:
    assert assert_equal_to_mmdet(build_detector('retina', _retinas_numbers), picture(160, 75)) == 9


@pytest.mark.parametrize('kind', KINDS)
def test_picture_without_detections(kind: str, build_detector: Callable) -> None:
    model = build_detector(kind)
    (model.bbox_head if kind == 'retina' else model.roi_head).test_cfg.score_thr = 1.0
    assert assert_equal_to_mmdet(model, picture(97, 131)) == 0


def _soft_nms(config: dict) -> None:
    config['test_cfg']['rcnn']['nms'] = dict(type='soft_nms', iou_threshold=0.5)


def _old_nms(config: dict) -> None:
    config['test_cfg']['rpn']['nms'] = dict(type='nms', iou_threshold=0.7, offset=1)


def _all_levels(config: dict) -> None:
    config['roi_head']['bbox_roi_extractor'].update(type='GenericRoIExtractor', aggregation='sum')


def _grey_masks(config: dict) -> None:
    config['test_cfg']['rcnn']['mask_thr_binary'] = -1


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_soft_nms, r"Shared2FCBBoxHead with test_cfg.nms=.*soft_nms.* cannot be exported: .*plain NMS.*type='nms'"),
        (_old_nms, r"RPNHead with test_cfg.nms=.*'offset': 1"),
        (_all_levels, 'GenericRoIExtractor cannot be exported: it is no SingleRoIExtractor. Mask R-CNN'),
        (_grey_masks, 'mask_thr_binary is negative'),
    ],
)
def test_what_cannot_be_exported_is_refused(change: Callable, message: str, build_detector: Callable) -> None:
    with pytest.raises(UserError, match=message):
        DetectionGraph(build_detector('mask', change))


def test_what_is_no_object_is_not_left_out_without_a_word(build_detector: Callable) -> None:
    from mmdet.models.detectors import PanopticFPN

    model = build_detector('mask')
    model.__class__, model.semantic_head = PanopticFPN, torch.nn.Identity()
    with pytest.raises(UserError, match='PanopticFPN cannot be exported: it segments what is no object as well'):
        DetectionGraph(model)


def test_other_heads_are_refused_by_name(build_detector: Callable) -> None:
    from mmdet.models.dense_heads import ATSSHead, RetinaHead

    class OwnPost(RetinaHead):
        def _bbox_post_process(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    model = build_detector('retina')
    for head, message in (
        (OwnPost, r'OwnPost cannot be exported: it predicts by a _bbox_post_process\(\) of its own. .*RetinaNet can'),
        (ATSSHead, 'ATSSHead cannot be exported: it is no RetinaHead'),
    ):
        model.bbox_head.__class__ = head
        with pytest.raises(UserError, match=message):
            DetectionGraph(model)


def test_graph_of_the_task(build_detector: Callable) -> None:
    graph = task_named('detection').graph(build_detector('mask', _reads_bgr), any_size=True)
    assert graph.inputs == ('image',) and graph.outputs == ('boxes', 'labels', 'scores', 'masks')
    mean, std = (value.flatten().tolist() for value in (graph.normalise.mean, graph.normalise.std))
    assert mean == pytest.approx([123.7, 116.3, 103.5]) and std == [3.0, 2.0, 1.0], 'of R, G, B'
    assert graph.mask_threshold == 0.5
    assert task_named('detection').graph(build_detector('retina'), any_size=False).outputs == graph.outputs[:3]
    with pytest.raises(UserError, match="there is no 'logits'"):
        task_named('detection').graph(build_detector('faster'), any_size=True, output='logits')


def _matched(found: dict[str, np.ndarray], expected: dict[str, Tensor]) -> list[bool]:
    """Whether each detection above 0.3 is among the found ones, each of which answers for one."""
    free = list(range(len(found['scores'])))
    matched = []
    for box, label, score in zip(expected['boxes'], expected['labels'], expected['scores'], strict=True):
        if score <= 0.3:
            continue
        near = [
            index
            for index in free
            if found['labels'][index] == int(label)
            and np.abs(found['boxes'][index] - box.numpy()).max() < 0.01
            and abs(found['scores'][index] - float(score)) < 1e-3
        ]
        free = [index for index in free if index not in near[:1]]
        matched.append(bool(near))
    return matched


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('dynamic', [True, False], ids=['any_size', 'one_size'])
def test_from_a_file(kind: str, dynamic: bool, build_detector: Callable, tmp_path: Path) -> None:
    """On plain convolutions, for time's sake."""
    model = build_detector(kind)
    model.backbone = plain_backbone()
    graph = DetectionGraph(model)
    run = through_onnx(graph, dict(image=picture(96, 160)), graph.outputs, tmp_path / 'it.onnx', dynamic)
    matched = []
    for size in SIZES if dynamic else [(96, 160)]:
        image = picture(*size)
        with torch.no_grad():
            expected = dict(zip(graph.outputs, graph(image), strict=True))
        found = run(dict(image=image.numpy()))
        assert found['boxes'].dtype == np.float32 and found['labels'].dtype == np.int64
        assert abs(len(found['scores']) - len(expected['scores'])) <= 2
        matched += _matched(found, expected)
    assert len(matched) > 10 and np.mean(matched) >= 0.99


@pytest.mark.slow
def test_program_takes_pictures_without_detections_and_of_one_cell(build_detector: Callable) -> None:
    """What a recording took for granted, the program asserts."""
    from effformer_dense.deploy.record import record

    model = build_detector('mask')
    model.backbone = plain_backbone()
    program = record(DetectionGraph(model), dict(image=picture(96, 160))).module()
    for size in [(32, 32), (33, 64), (64, 300)]:
        for found, expected in zip(program(image=picture(*size)), DetectionGraph(model)(picture(*size)), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    model.roi_head.test_cfg.score_thr = 1.0
    program = record(DetectionGraph(model), dict(image=picture(96, 160))).module()
    shapes = [tuple(part.shape) for part in program(image=picture(70, 90))]
    assert shapes == [(0, 4), (0,), (0,), (0, 28, 28)]
