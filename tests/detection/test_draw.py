"""What is read out of mmdet's samples to be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

pytest.importorskip('mmdet')

from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks

from effformer_dense.detection.draw import draw_comparison
from effformer_dense.detection.results import detections_of, instances_of
from effformer_dense.results import Classes

META = {'classes': ('cat', 'dog'), 'palette': [(255, 0, 0), (0, 0, 255)]}


def draw_prediction(image: np.ndarray, sample: DetDataSample, meta: dict, score_threshold: float) -> np.ndarray:
    classes = Classes.of_detection(meta['classes'], meta['palette'])
    return detections_of(image, sample, classes).draw(score_threshold)


def _sample() -> DetDataSample:
    mask = torch.zeros(1, 480, 640, dtype=torch.bool)
    mask[0, 120:180, 120:180] = True
    predicted = InstanceData(
        bboxes=torch.tensor([[100.0, 100, 200, 200]]), labels=torch.tensor([1]), scores=torch.tensor([0.7]), masks=mask
    )
    truth = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor([[300.0, 100, 400, 200]])),
        labels=torch.tensor([0]),
        masks=BitmapMasks(mask.numpy().astype(np.uint8), 480, 640),
    )
    return DetDataSample(pred_instances=predicted, gt_instances=truth)


def test_fields_of_both_kinds() -> None:
    truth, found = (instances_of(_sample(), kind, 2) for kind in ('gt', 'pred'))
    assert truth.boxes.tolist() == [[300, 100, 400, 200]] and truth.scores is None
    assert found.labels.tolist() == [1] and found.scores is not None and found.scores[0] == pytest.approx(0.7)
    assert truth.masks is not None and found.masks is not None and np.array_equal(truth.masks, found.masks)


def test_polygons_become_masks() -> None:
    sample = _sample()
    sample.gt_instances.masks = PolygonMasks([[np.array([10.0, 10, 30, 10, 30, 30, 10, 30])]], 480, 640)
    masks = instances_of(sample, 'gt', 2).masks
    assert masks is not None and masks[0, 20, 20] and not masks[0, 40, 40]


def test_small_pictures_are_enlarged() -> None:
    assert draw_prediction(np.zeros((60, 60, 3), np.uint8), DetDataSample(), META, 0.5).shape == (480, 480, 3)


def test_threshold_and_colours() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert draw_prediction(image, _sample(), META, 0.5)[150, 100].tolist() == [0, 0, 255]
    assert not draw_prediction(image, _sample(), META, 0.8).any()


@pytest.mark.parametrize('palette', ['random', None, [(1, 2, 3)]])
def test_colours_are_made_where_the_palette_has_none(palette: object) -> None:
    drawn = draw_prediction(np.zeros((480, 640, 3), np.uint8), _sample(), {**META, 'palette': palette}, 0.5)
    assert drawn[150, 100].any()


def test_truth_is_left_and_prediction_right() -> None:
    drawn = draw_comparison(np.zeros((480, 640, 3), np.uint8), _sample(), META, 0.5)[-480:]
    left, right = drawn[:, :640], drawn[:, -640:]
    assert left[150, 300].tolist() == [255, 0, 0] and not left[150, 100].any()
    assert right[150, 100].tolist() == [0, 0, 255] and not right[150, 300].any()


def test_panoptic_segments_have_masks_and_no_boxes() -> None:
    seg_map = torch.full((1, 480, 640), 2)  # no class
    seg_map[0, 100:200, 100:200] = 1001
    sample = DetDataSample(pred_panoptic_seg=PixelData(sem_seg=seg_map))
    found = instances_of(sample, 'pred', 2)
    assert found.labels.tolist() == [1] and not found.framed and found.boxes.tolist() == [[100, 100, 200, 200]]
    drawn = draw_prediction(np.zeros((480, 640, 3), np.uint8), sample, META, 0.5)
    assert drawn[150, 150, 2] > 100 and not drawn[300, 300].any()


def test_a_sample_with_nothing_is_the_picture() -> None:
    image = np.full((480, 640, 3), 5, np.uint8)
    assert np.array_equal(draw_prediction(image, DetDataSample(), META, 0.5), image)
