"""Segmentors as graphs: what the model predicts, and from a file at sizes that it was not made at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from effformer_dense.deploy.free_sizes import FreePoolings, maxima
from effformer_dense.errors import UserError
from effformer_dense.segmentation.free_sizes import free_sizes
from effformer_dense.segmentation.graph import SegmentationGraph
from effformer_dense.tasks import task_named
from tests.helpers import plain_backbone, through_onnx
from tests.segmentation import conftest

#: (height, width) of the network's input, and of what is predicted.
SIZES = [((96, 128), (96, 128)), ((97, 131), (150, 203)), ((131, 97), (60, 44)), ((32, 33), (300, 200))]
KINDS = ['TiledEncoderDecoder', 'EncoderDecoder']

_HEAD = dict(
    channels=16, num_classes=7, norm_cfg=dict(type='BN'), loss_decode=dict(type='CrossEntropyLoss'), align_corners=False
)
HEADS = dict(
    UPerHead=dict(type='UPerHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], **_HEAD),
    PSPHead=dict(type='PSPHead', in_channels=16, in_index=3, **_HEAD),
    ASPPHead=dict(type='ASPPHead', in_channels=16, in_index=3, **_HEAD),
    SegformerHead=dict(type='SegformerHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], **_HEAD),
)


@torch.no_grad()
def _run(graph: nn.Module, batch: dict, size: tuple[int, int] | None) -> torch.Tensor:
    """The graph on a batch's picture, which is BGR."""
    image = batch['inputs'][0].flip(0)[None]
    return graph(image) if size is None else graph(image, torch.tensor(size))


@torch.no_grad()
def _predicted(model: Any, batch: dict) -> Any:
    return model.test_step(batch)[0]


@pytest.mark.parametrize(('size', 'target'), SIZES)
@pytest.mark.parametrize('kind', KINDS)
def test_labels_of_the_model(kind: str, size, target, build_segmentor, make_batch) -> None:
    model = build_segmentor(kind)
    expected = _predicted(model, make_batch(*size, target)).pred_sem_seg.data
    labels = _run(SegmentationGraph(model), make_batch(*size), target)
    assert labels.dtype == torch.uint8 and labels.shape == (1, *target)
    assert (labels != expected).sum() <= 1 and expected.unique().numel() > 2, 'but for a tie'


@pytest.mark.parametrize('divisor', [None, 64])
def test_logits_of_mmseg_to_the_bit(divisor: int | None, build_segmentor, make_batch) -> None:
    model = build_segmentor('EncoderDecoder')
    model.data_preprocessor.test_cfg = dict(size_divisor=divisor) if divisor else None
    expected = _predicted(model, make_batch(97, 131, (150, 203))).seg_logits.data
    assert torch.equal(_run(SegmentationGraph(model, 'logits'), make_batch(97, 131), (150, 203))[0], expected)


def test_without_a_size_labels_are_of_the_pictures(build_segmentor, make_batch) -> None:
    model = build_segmentor()
    labels = _run(SegmentationGraph(model), make_batch(75, 110), None)
    assert torch.equal(labels, _run(SegmentationGraph(model), make_batch(75, 110), (75, 110)))
    assert torch.equal(labels[0], _predicted(model, make_batch(75, 110)).pred_sem_seg.data[0])


def test_one_channel_is_compared_with_the_threshold(build_segmentor, make_batch, monkeypatch) -> None:
    head = dict(
        conftest.MODEL['decode_head'],
        num_classes=2,
        out_channels=1,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
    monkeypatch.setitem(conftest.MODEL, 'decode_head', head)
    model = build_segmentor()
    logits = _run(SegmentationGraph(model, 'logits'), make_batch(97, 131), (60, 44))
    model.decode_head.threshold = threshold = float(logits.sigmoid().quantile(0.7))
    labels = _run(SegmentationGraph(model), make_batch(97, 131), (60, 44))
    assert torch.equal(labels[0], _predicted(model, make_batch(97, 131, (60, 44))).pred_sem_seg.data[0])
    assert labels.unique().tolist() == [0, 1]
    assert task_named('segmentation').graph(model, any_size=True).mask_threshold == threshold


@pytest.mark.parametrize(('side', 'cells'), [(5, 2), (7, 6), (6, 6), (3, 6), (1, 3), (12, 3)])
def test_grid_means_are_those_of_torch(side: int, cells: int) -> None:
    x = torch.randn(2, 3, side, side + 4)
    with FreePoolings():
        means = F.adaptive_avg_pool2d(x, (cells, 2)), nn.AdaptiveAvgPool2d(cells)(x)
    expected = F.adaptive_avg_pool2d(x, (cells, 2)), nn.AdaptiveAvgPool2d(cells)(x)
    for found, wanted in zip(means, expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    'options',
    [
        dict(kernel_size=2, ceil_mode=True),
        dict(kernel_size=3, stride=2, padding=1),
        dict(kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)),
        dict(kernel_size=3, stride=2, ceil_mode=True),
    ],
)
@pytest.mark.parametrize('size', [(7, 8), (8, 5), (3, 3)])
def test_maxima_are_those_of_torch(size: tuple[int, int], options: dict) -> None:
    x = torch.randn(2, 3, *size)
    assert torch.equal(maxima(x, **options), F.max_pool2d(x, **options))


def test_other_poolings_stay_as_they_are() -> None:
    x = torch.randn(1, 2, 7, 8)
    pools = [nn.MaxPool2d(1, 2), nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), lambda x: F.max_pool2d(x, 1, stride=3)]
    for pool in pools:
        with FreePoolings():
            found = pool(x)
        assert torch.equal(found, pool(x))


def test_enlarging_asks_for_no_size_and_is_put_back() -> None:
    from mmseg.models.utils import Upsample, resize

    x = torch.randn(1, 2, 7, 8)
    before = Upsample.forward, resize.__defaults__
    modules = [Upsample(scale_factor=2, mode='bilinear'), Upsample(scale_factor=1.5), Upsample(size=(3, 4))]
    for module in modules:
        with free_sizes():
            found = module(x)
        assert torch.equal(found, module(x))
    with pytest.raises(ZeroDivisionError), free_sizes():
        raise ZeroDivisionError
    assert (Upsample.forward, resize.__defaults__) == before


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda model: model.test_cfg.update(mode='slide'), r"mode='slide' cannot be exported.* set mode='whole'"),
        (
            lambda model: setattr(model.data_preprocessor, 'test_cfg', dict(size=(512, 512))),
            r'test_cfg.size=\(512, 512\) pads every picture .* needs size_divisor',
        ),
        (lambda model: setattr(model, 'data_preprocessor', nn.Identity()), 'data_preprocessor Identity cannot'),
        (lambda model: setattr(model, 'out_channels', 300), '300 classes cannot be exported: labels are 8 bits'),
    ],
)
def test_what_cannot_be_exported_is_refused(change: Callable, message: str, build_segmentor) -> None:
    model = build_segmentor()
    change(model)
    with pytest.raises(UserError, match=message):
        SegmentationGraph(model)


def test_outputs_and_models_that_are_none(build_segmentor) -> None:
    with pytest.raises(UserError, match=r"must be one of labels, logits; got 'label'. Did you mean 'labels'"):
        SegmentationGraph(build_segmentor(), 'label')
    with pytest.raises(UserError, match=r'Linear cannot be exported: it is no EncoderDecoder'):
        SegmentationGraph(nn.Linear(1, 1))


def test_graph_of_the_task(build_segmentor) -> None:
    graph = task_named('segmentation').graph(build_segmentor(), any_size=True)
    assert graph.inputs == ('image', 'size') and graph.outputs == ('labels',) and not graph.module.training
    assert graph.normalise.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    fixed = task_named('segmentation').graph(build_segmentor(), any_size=False, output='logits')
    assert fixed.inputs == ('image',) and fixed.outputs == ('logits',)


def _write(graph: SegmentationGraph, path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """As a file for any size, made at one that no test asks for."""
    example = dict(image=torch.rand(1, 3, 96, 160) * 255, size=torch.tensor([70, 90]))
    return through_onnx(graph, example, (graph.output,), path)


@torch.no_grad()
def _worst(graph: nn.Module, run: Callable, make_batch: Callable) -> float:
    """Largest deviation of the file's logits over sizes, in their standard deviation."""
    worst = 0.0
    for size, target in SIZES:
        image = make_batch(*size)['inputs'][0][None]
        expected = graph(image, torch.tensor(target)).numpy()
        found = run(dict(image=image.numpy(), size=np.array(target)))['logits']
        worst = max(worst, float(np.abs(found - expected).max() / expected.std()))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize('head', ['FPNHead', *HEADS])
def test_logits_from_a_file(head: str, build_segmentor, make_batch, monkeypatch, tmp_path: Path) -> None:
    """Semantic FPN on our network; others on plain convolutions, for time's sake."""
    if head in HEADS:
        monkeypatch.setitem(conftest.MODEL, 'decode_head', HEADS[head])
    model = build_segmentor()
    if head in HEADS:
        model.backbone = plain_backbone()
    graph = SegmentationGraph(model, 'logits')
    assert _worst(graph, _write(graph, tmp_path / 'it.onnx'), make_batch) < 1e-4


@pytest.mark.slow
def test_labels_from_a_file(build_segmentor, make_batch, tmp_path: Path) -> None:
    model = build_segmentor()
    run = _write(SegmentationGraph(model), tmp_path / 'it.onnx')
    for size, target in SIZES:
        batch = make_batch(*size, target)
        image = batch['inputs'][0].flip(0)[None]
        expected = _predicted(model, batch).pred_sem_seg.data.numpy()
        labels = run(dict(image=image.numpy(), size=np.array(target)))['labels']
        assert labels.dtype == np.uint8 and (labels != expected).sum() <= 1 + 1e-5 * labels.size


@pytest.mark.slow
def test_without_free_sizes_the_file_would_be_wrong(build_segmentor, make_batch, monkeypatch, tmp_path: Path) -> None:
    """mmseg's own ``Upsample`` writes the example's size into the graph, and nothing warns."""
    from effformer_dense.segmentation import graph as module

    monkeypatch.setattr(module, 'free_sizes', contextlib.nullcontext)
    model = build_segmentor()
    model.backbone = plain_backbone()
    graph = SegmentationGraph(model, 'logits')
    assert _worst(graph, _write(graph, tmp_path / 'it.onnx'), make_batch) > 1e-3
