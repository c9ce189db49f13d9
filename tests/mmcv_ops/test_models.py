"""Whole detectors of mmdet's own configs on the stand-in and, where they are compiled, on mmcv's ops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mmdet
import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor

from effformer_dense.variants import V2_VARIANTS

from .conftest import Use

MMDET_CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
DETECTORS = {
    'Mask R-CNN': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'RetinaNet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'Cascade': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'RTMDet-Ins': 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'VFNet': 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'Mask2Former': 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'DINO': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
}
_ROI_ALIGN = {'roi_align_forward', 'roi_align_backward'}
_DEFORM_CONV = {'deform_conv_forward', 'deform_conv_backward_input', 'deform_conv_backward_parameters'}
#: What they call on a CPU. Deformable attention and focal loss are mmcv's and mmdet's own PyTorch code there.
OPS = {
    'Mask R-CNN': {'nms', *_ROI_ALIGN},
    'RetinaNet': {'nms'},
    'Cascade': {'nms', *_ROI_ALIGN},
    'RTMDet-Ins': {'nms'},
    'VFNet': {'nms', *_DEFORM_CONV},
    'Mask2Former': set(),
    'DINO': set(),
}
SIZE = 3, 128, 160
CLASSES = 80

pytestmark = pytest.mark.slow


@pytest.fixture(params=DETECTORS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def detector(name: str) -> BaseModel:
    """With EfficientFormerV2 S0 in the place of the config's backbone."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(MMDET_CONFIGS / DETECTORS[name]).model
    indices = cfg.backbone.get('out_indices', (2, 3, 4))
    indices = [index - (cfg.backbone.type == 'CSPNeXt') for index in indices]  # which counts its stem
    widths = [V2_VARIANTS['s0'].widths[index] for index in indices]
    cfg.backbone = dict(type='EfficientFormerV2', arch='s0', out_indices=indices)
    (cfg.neck if 'neck' in cfg else cfg.panoptic_head).in_channels = widths
    cfg.data_preprocessor.batch_augments = None
    _shrink(cfg)
    torch.manual_seed(0)
    return MODELS.build(cfg)


def _shrink(cfg: Config) -> None:
    """Fewer candidates; and a network that knows nothing predicts something too."""
    tests, trains = cfg.test_cfg or {}, cfg.train_cfg or {}
    for proposals in filter(None, (tests.get('rpn'), trains.get('rpn_proposal'))):
        proposals.update(nms_pre=200, max_per_img=100)
    for place in filter(None, (tests, tests.get('rcnn'))):
        place.update(score_thr=0.0, max_per_img=20)
    if 'num_queries' in cfg:
        cfg.num_queries = 50


def _recorded(ops: ModuleType, calls: set[str]) -> ModuleType:
    """``ops`` that note which of them is called."""

    def record(name: str) -> Callable[..., Any]:
        def op(*args: object, **kwargs: object) -> Any:
            calls.add(name)
            return getattr(ops, name)(*args, **kwargs)

        return op

    module = ModuleType('recorded')
    module.__getattr__ = record
    return module


def _results(detector: BaseModel) -> dict[str, Tensor]:
    """Predictions, losses and gradients."""
    inputs = demo_mm_inputs(2, [SIZE, SIZE], num_classes=CLASSES, with_mask=True)
    torch.manual_seed(1)
    results = {}
    detector.eval()
    with torch.no_grad():
        for index, sample in enumerate(detector.test_step(inputs)):
            for name, value in sample.pred_instances.items():
                results[f'prediction {index} {name}'] = torch.as_tensor(getattr(value, 'tensor', value))
    detector.train().zero_grad()
    total, losses = detector.parse_losses(detector(**detector.data_preprocessor(inputs, True), mode='loss'))
    total.backward()
    results.update({f'loss {name}': value.detach() for name, value in losses.items()})
    gradients = {f'gradient {name}': value.grad for name, value in detector.named_parameters()}
    return {**results, **{name: gradient for name, gradient in gradients.items() if gradient is not None}}


def test_predicts_and_learns(name: str, detector: BaseModel, stand_in: ModuleType, use: Use) -> None:
    calls: set[str] = set()
    use(_recorded(stand_in, calls))
    results = _results(detector)
    assert calls == OPS[name]
    boxes = results['prediction 0 bboxes']
    assert len(boxes) > 10 and torch.isfinite(boxes).all()
    assert all(torch.isfinite(value).all() for value in results.values() if value.is_floating_point())
    assert results['gradient backbone.stem.conv1.conv.weight'].abs().max() > 0


def test_equals_compiled_ops(
    name: str, detector: BaseModel, compiled: ModuleType, stand_in: ModuleType, use: Use
) -> None:
    state = {name: value.clone() for name, value in detector.state_dict().items()}  # batch norms count their steps
    results = []
    for ops in (compiled, stand_in):
        use(ops)
        detector.load_state_dict(state)
        results.append(_results(detector))
    theirs, ours = results
    assert theirs.keys() == ours.keys()
    tolerance = 5e-6 if OPS[name] & _DEFORM_CONV else 0  # whose products are added up in another order
    for key, expected in theirs.items():
        assert expected.shape == ours[key].shape, key
        if expected.numel():
            deviation = (ours[key].double() - expected.double()).abs().max()
            assert deviation <= tolerance * max(1.0, float(expected.double().abs().max())), f'{key}: {deviation}'
