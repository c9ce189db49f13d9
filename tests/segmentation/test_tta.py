"""Averaging over scales and flips: what mmseg's SegTTAModel computes."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS


def _augmented(make_batch, flips: list[bool], sizes: list[tuple[int, int]], ori_shape: tuple[int, int]) -> dict:
    """As TestTimeAug and pseudo_collate hand it over: for every key a list over augmentations of lists."""
    batches = []
    for size in sizes:
        for flip in flips:
            batch = make_batch(*size, ori_shape, flip=flip, flip_direction='horizontal' if flip else None)
            if flip:
                batch['inputs'] = [image.flip(-1) for image in batch['inputs']]
            batches.append(batch)
    return {key: [batch[key] for batch in batches] for key in ('inputs', 'data_samples')}


SIZES, ORI_SHAPE = [(64, 80), (97, 120)], (90, 113)


def test_same_segmentation_map_as_mmseg(build_segmentor, make_batch) -> None:
    ours = MODELS.build(dict(type='MultiScaleFlipModel', module=build_segmentor(continue_edges=False)))
    theirs = MODELS.build(dict(type='SegTTAModel', module=build_segmentor('EncoderDecoder')))
    with torch.no_grad():
        expected = theirs.test_step(_augmented(make_batch, [False, True], SIZES, ORI_SHAPE))[0]
        sample = ours.test_step(_augmented(make_batch, [False, True], SIZES, ORI_SHAPE))[0]
    seg_map = sample.pred_sem_seg.data
    assert seg_map.shape == (1, *ORI_SHAPE) and seg_map.unique().numel() > 2
    assert (seg_map[0] == expected.pred_sem_seg.data).float().mean() > 0.999
    assert sample.img_path == 'p.jpg' and 'gt_sem_seg' in sample


def test_one_augmentation_is_the_plain_prediction(build_segmentor, make_batch) -> None:
    segmentor = build_segmentor()
    model = MODELS.build(dict(type='MultiScaleFlipModel', module=segmentor))
    with torch.no_grad():
        plain = segmentor.test_step(make_batch(64, 80, ORI_SHAPE))[0].pred_sem_seg.data
        merged = model.test_step(_augmented(make_batch, [False], [(64, 80)], ORI_SHAPE))[0].pred_sem_seg.data
    assert (plain == merged).float().mean() > 0.999


def test_mirrored_picture_gives_the_mirrored_map(build_segmentor, make_batch) -> None:
    """With both flips of one size the average is symmetric."""
    model = MODELS.build(dict(type='MultiScaleFlipModel', module=build_segmentor()))
    batch = _augmented(make_batch, [False, True], [(64, 80)], ORI_SHAPE)
    mirrored = _augmented(make_batch, [False, True], [(64, 80)], ORI_SHAPE)
    mirrored['inputs'] = [[image.flip(-1) for image in images] for images in mirrored['inputs']]
    with torch.no_grad():
        seg_map, mirror = (model.test_step(data)[0].pred_sem_seg.data for data in (batch, mirrored))
    assert (seg_map == mirror.flip(-1)).float().mean() > 0.999


def test_other_segmentors_and_larger_batches_are_refused(build_segmentor, make_batch) -> None:
    with pytest.raises(ValueError, match='needs a TiledEncoderDecoder; got EncoderDecoder'):
        MODELS.build(dict(type='MultiScaleFlipModel', module=build_segmentor('EncoderDecoder')))
    model = MODELS.build(dict(type='MultiScaleFlipModel', module=build_segmentor()))
    two = {key: value * 2 for key, value in make_batch(64, 64).items()}
    with pytest.raises(ValueError, match='one picture at a time; got 2'):
        model.test_step({key: [value] for key, value in two.items()})
