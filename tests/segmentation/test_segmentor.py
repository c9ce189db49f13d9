"""The segmentor against mmseg's, and its windows against the whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tests.helpers import PROJECT_ROOT

SIZES = [((96, 128), None), ((97, 131), (150, 203)), ((131, 97), (60, 44)), ((64, 64), (64, 64))]


def _seg_map(model, batch: dict) -> torch.Tensor:
    with torch.inference_mode():
        return model.test_step(batch)[0].pred_sem_seg.data


def _assert_same_but_for_ties(seg_map: torch.Tensor, expected_sample) -> None:
    """Equal wherever the two best classes are further apart than rounding."""
    logits = expected_sample.seg_logits.data
    best = logits.topk(2, dim=0).values
    clear = (best[0] - best[1]) > 1e-3
    assert clear.float().mean() > 0.95 and expected_sample.pred_sem_seg.data.unique().numel() > 2
    assert torch.equal(seg_map[0][clear], expected_sample.pred_sem_seg.data[0][clear])


@pytest.mark.parametrize(('size', 'ori_shape'), SIZES)
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_same_segmentation_map_as_mmseg(size, ori_shape, mode: str, build_segmentor, make_batch) -> None:
    test_cfg = dict(mode='whole') if mode == 'whole' else dict(mode='slide', crop_size=(64, 48), stride=(43, 32))
    ours, theirs = (build_segmentor(kind, False, **test_cfg) for kind in ('TiledEncoderDecoder', 'EncoderDecoder'))
    with torch.inference_mode():
        expected = theirs.test_step(make_batch(*size, ori_shape))[0]
    seg_map = _seg_map(ours, make_batch(*size, ori_shape))
    assert seg_map.shape == (1, *(ori_shape or size)) and seg_map.dtype == torch.int64
    _assert_same_but_for_ties(seg_map, expected)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_flipped_input_and_padding_are_undone_as_mmseg_does(direction: str, build_segmentor, make_batch) -> None:
    ours, theirs = (build_segmentor(kind, False) for kind in ('TiledEncoderDecoder', 'EncoderDecoder'))
    for model in (ours, theirs):
        model.data_preprocessor.test_cfg = dict(size_divisor=32)
    meta = dict(flip=True, flip_direction=direction)
    with torch.inference_mode():
        expected = theirs.test_step(make_batch(75, 110, (130, 141), **meta))[0]
    _assert_same_but_for_ties(_seg_map(ours, make_batch(75, 110, (130, 141), **meta)), expected)


@pytest.mark.parametrize('window', [(96, 128), (97, 200), (512, 512)])
def test_window_that_holds_the_picture_equals_the_whole_exactly(window, build_segmentor, make_batch) -> None:
    whole = build_segmentor(mode='whole')
    slide = build_segmentor(mode='slide', crop_size=window, stride=(60, 70))
    for ori_shape in ((96, 128), (211, 305)):
        expected = _seg_map(whole, make_batch(96, 128, ori_shape))
        assert expected.unique().numel() > 2
        assert torch.equal(_seg_map(slide, make_batch(96, 128, ori_shape)), expected)


def _continue(image: torch.Tensor, multiple: int = 32) -> torch.Tensor:
    """By hand: the last row and column again and again."""
    while image.shape[-2] % multiple:
        image = torch.cat([image, image[..., -1:, :]], dim=-2)
    while image.shape[-1] % multiple:
        image = torch.cat([image, image[..., :, -1:]], dim=-1)
    return image


def test_odd_sides_are_continued_by_their_edge_and_cut_off_again(build_segmentor) -> None:
    images = torch.randn(2, 3, 75, 110)
    continued, as_is = build_segmentor(), build_segmentor(continue_edges=False)
    expected = [sample.pred_sem_seg.data[:, :75, :110] for sample in as_is.predict(_continue(images))]
    seg_map = [sample.pred_sem_seg.data for sample in continued.predict(images)]
    assert all(torch.equal(*pair) for pair in zip(seg_map, expected, strict=True))
    assert not torch.equal(seg_map[0], as_is.predict(images)[0].pred_sem_seg.data), 'it makes a difference'
    whole_cells = torch.randn(1, 3, 64, 96)
    pair = [model.predict(whole_cells)[0].pred_sem_seg.data for model in (continued, as_is)]
    assert torch.equal(*pair), 'and none where sides are multiples of 32'


def test_loss_on_odd_sides_ignores_what_was_added(build_segmentor) -> None:
    def samples(seg_map: torch.Tensor) -> list[SegDataSample]:
        return [SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in seg_map]

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 75, 110, generator=generator)
    seg_map = torch.randint(0, 7, (2, 75, 110), generator=generator)
    continued = torch.full((2, 96, 128), 255)
    continued[:, :75, :110] = seg_map
    expected = build_segmentor(continue_edges=False).loss(_continue(images), samples(continued))
    loss = build_segmentor().loss(images, samples(seg_map))
    torch.testing.assert_close(loss, expected)


def test_predicts_without_data_samples(build_segmentor) -> None:
    (sample,) = build_segmentor().predict(torch.randn(1, 3, 70, 90))
    assert sample.pred_sem_seg.data.shape == (1, 70, 90)


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(mode='slid'), r"test_cfg.mode must be one of whole, slide; got 'slid'. Did you mean 'slide'"),
        (dict(mode='slide'), r'test_cfg.crop_size of mode .slide. must be \(height, width\) in px; got None'),
        (dict(mode='slide', crop_size=(512, 512)), 'test_cfg.stride of mode'),
        (dict(mode='slide', crop_size=512, stride=341), 'got 512'),
        (dict(mode='slide', crop_size=(16, 64), stride=(8, 8)), r'at least 32 px on both sides; got \(16, 64\)'),
        (dict(mode='slide', crop_size=(64, 64), stride=(65, 8)), r'stride \(65, 8\) is larger .* leave gaps'),
        (dict(mode='slide', crop_size=(64, 64), stride=(0, 8)), r'test_cfg.stride .* got \(0, 8\)'),
    ],
)
def test_windows_that_cannot_be_are_refused(test_cfg: dict, message: str, build_segmentor) -> None:
    with pytest.raises(ValueError, match=message):
        build_segmentor(**test_cfg)


MEMORY_SCRIPT = """
import resource, sys, torch
from effformer_dense.segmentation.tiles import RowResizer, sliding_window_tiles

torch.set_num_threads(1)
images = torch.rand(1, 3, 1024, 2048)
predict = lambda part: part[:, :1].expand(-1, 150, -1, -1)
seg_map = torch.empty(2048, 4096, dtype=torch.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resizer = RowResizer((1024, 2048), (2048, 4096))
for tile in sliding_window_tiles(images, predict, (128, 256), (128, 256)):
    for top, resized in resizer.add(tile[0]):
        seg_map[top : top + resized.shape[1]] = resized.argmax(0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_hold_all_logits() -> None:
    """150 classes at 2048 x 4096 px are 4800 MiB of logits, and 1200 MiB before they are enlarged."""
    done = subprocess.run(
        [sys.executable, '-c', MEMORY_SCRIPT], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1000, f'{done.stdout} MiB'
