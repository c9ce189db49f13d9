"""Building what a case measures: one step as a function without arguments."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..config.registry import find_component
from ..deploy import fuse
from ..deploy.features import FeatureGraph, Normalise
from ..deploy.formats import format_named
from ..deploy.formats.base import Format
from ..deploy.record import RECORDED_PX, record
from ..deploy.speed import speed_up
from ..errors import UserError
from ..invocation import command
from ..runtime.metadata import Metadata
from ..runtime.sessions import open_session
from ..variants import V1
from .cases import EXPORTED, PRECISIONS, PUBLISHED, TIMM, Case, exported_format
from .models import TIMM_PREFIX, is_config, is_timm, variant_names
from .published import published_backbone
from .yardstick import synchronize


@dataclass
class Subject:
    """A model ready to be measured.

    Attributes:
        step: computes one batch; with training, forward and backward pass.
        parameters: how many, before fusing.
        parts_ms: filled by each step of a whole detector or segmentor.
    """

    step: Callable[[], object]
    parameters: int
    parts_ms: dict[str, float] = field(default_factory=dict)


def build_subject(case: Case) -> Subject:
    """Model of a case, with random weights and a random image.

    Raises:
        UserError: a config whose model is no detector or segmentor with this project's backbone.
    """
    torch.manual_seed(0)
    whole = case.is_whole
    model = MODELS.build(_model_config(case.model)) if whole else _backbone(case)
    model = model.to(case.device)
    model.train(case.train)  # the published code's returns nothing
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if case.mode in EXPORTED:
        return Subject(_exported_step(model, case), parameters)
    if 'fused' in case.mode:
        model = fuse(model, 'bf16' if case.precision == 'bf16' else 'fp32')
    if 'compiled' in case.mode:
        _compile(model, case)
    if whole:
        subject = Subject(lambda: None, parameters)
        _time_parts(model, subject.parts_ms, case.device)
        subject.step = _in_precision(case, _predict_step(model, case, subject.parts_ms))
        return subject
    images = torch.randn(case.batch, 3, case.height, case.width, device=case.device)
    step = _train_step(model, images) if case.train else torch.inference_mode()(lambda: model(images))
    return Subject(_in_precision(case, step), parameters)


def _compile(model: nn.Module, case: Case) -> None:
    """Ours as ``--compile`` of the commands does, once for all sizes; timm's for its size, as its own benchmark does.

    The commands compile nothing for training: there a backbone is one graph, for any size.
    """
    if case.mode in TIMM or case.train:
        model.compile(dynamic=case.mode not in TIMM)
    else:
        speed_up(model, fused=False, compiled=True)


def _backbone(case: Case) -> nn.Module:
    if is_timm(case.model):
        return TimmFeatures(case.model.removeprefix(TIMM_PREFIX), with_cp=case.with_cp)
    if is_config(case.model):
        recompute = dict(with_cp=True) if case.with_cp else {}
        return MODELS.build({**_model_config(case.model)['backbone'], 'init_cfg': None, **recompute})
    row = variant_names()[case.model]
    if case.mode in TIMM:
        import timm  # only who compares needs it

        # Its V2 can be told another size, its V1 has one.
        size: dict[str, Any] = {} if row.family == V1 else dict(img_size=(case.height, case.width))
        assert row.timm_name is not None, 'make_groups leaves out what timm has not'
        return timm.create_model(row.timm_name.split('.')[0], num_classes=0, **size)
    if case.mode == PUBLISHED:
        assert case.published is not None, 'make_groups has asked for it'
        return published_backbone(case.published, row)
    return MODELS.build(dict(type=row.family, arch=row.arch, with_cp=case.with_cp))


def _model_config(config: str) -> dict[str, Any]:
    from ..engine.open import open_config
    from ..options import ConfigOptions  # needs mmdet or mmseg, backbones do not

    cfg = open_config(ConfigOptions(Path(config), from_scratch=True))
    if not (cfg.get('model') or {}).get('backbone'):
        raise UserError(
            f'{config} has no model.backbone: {command("benchmark")} measures detectors, segmentors, backbones.'
        )
    return cfg.model


def has_own_backbone(config: str) -> bool:
    """Whether the backbone of a config is one of this package, which can be fused, compiled and exported."""
    kind = find_component(MODELS, _model_config(config)['backbone'].get('type'))
    return kind is not None and issubclass(kind, DenseBackbone | TimmFeatures)


def _exported_step(backbone: nn.Module, case: Case) -> Callable[[], object]:
    """Running an exported file on one image after the other."""
    assert isinstance(backbone, DenseBackbone | TimmFeatures), 'make_groups lets no others pass'
    with ExitStack() as stack:  # where nobody keeps the file, it is gone once it is open
        folder = case.files or Path(stack.enter_context(TemporaryDirectory()))
        size = (case.height, case.width) if case.mode.endswith('-fixed') else None
        kind = format_named(exported_format(case.mode))
        name = '-'.join([case.model, case.mode, case.precision, *map(str, size or ())])
        path = (folder / name.replace('/', '-').replace('.', '-')).with_suffix(kind.suffix)
        if not path.exists():
            _write_file(backbone, path, kind, case.precision, size)
        run = open_session(path, case.threads).run
    image = torch.randn(1, 3, case.height, case.width).numpy()
    return lambda: [run({'image': image}) for _ in range(case.batch)]


def _write_file(
    backbone: DenseBackbone | TimmFeatures, path: Path, kind: Format, precision: str, size: tuple[int, int] | None
) -> None:
    """Export a backbone for one size, or for any."""
    graph = FeatureGraph(backbone.eval(), Normalise([0.0] * 3, [1.0] * 3))
    program = record(graph, {'image': torch.randn(1, 3, *(size or RECORDED_PX))}, dynamic=size is None)
    kind.write(program, path, graph.outputs, precision)
    kind.describe(path, Metadata('features', graph.outputs, precision=precision).to_json())


def _train_step(model: nn.Module, images: Tensor) -> Callable[[], None]:
    def step() -> None:
        outputs = model(images)
        sum(
            output.float().mean() for output in (outputs if isinstance(outputs, tuple | list) else (outputs,))
        ).backward()
        model.zero_grad()

    return step


def _predict_step(model: nn.Module, case: Case, parts_ms: dict[str, float]) -> Callable[[], object]:
    """From a uint8 picture to detections or labels, the way MMEngine's test loop calls a model."""
    size = (case.height, case.width)
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
    from ..tasks import task_of  # needs MMEngine's registries, backbones do not

    task = task_of(type(model))
    assert task is not None, 'open_config lets only detectors and segmentors pass'
    test_step: Callable[[dict[str, Any]], object] = model.test_step  # type: ignore[assignment]
    picture = torch.randint(0, 256, (3, *size), dtype=torch.uint8)

    def step() -> Any:
        parts_ms.clear()
        samples = [task.empty_sample(meta) for _ in range(case.batch)]
        return test_step(dict(inputs=[picture] * case.batch, data_samples=samples))

    return torch.inference_mode()(step)


def _in_precision(case: Case, step: Callable[[], object]) -> Callable[[], object]:
    if case.precision == 'fp32' or (case.precision == 'bf16' and 'fused' in case.mode):  # fuse's own
        return step
    device_type = torch.device(case.device).type

    def autocast_step() -> object:
        with torch.autocast(device_type, dtype=PRECISIONS[case.precision]):
            return step()

    return autocast_step


def _time_parts(model: nn.Module, parts_ms: dict[str, float], device: str) -> None:
    """Let each part of a detector or segmentor note how long its calls took in the last step, which are all it does.

    Heads are called by ``predict``, which calls ``forward``, or by ``forward`` alone.
    """
    running: set[str] = set()

    def timed(name: str, call: Callable) -> Callable:
        def wrapper(*args: object, **kwargs: object) -> object:
            if name in running:
                return call(*args, **kwargs)
            synchronize(device)
            start = time.perf_counter()
            running.add(name)
            try:
                result = call(*args, **kwargs)
            finally:
                running.remove(name)
            synchronize(device)
            parts_ms[name] = parts_ms.get(name, 0.0) + 1e3 * (time.perf_counter() - start)
            return result

        return wrapper

    for name, part in model.named_children():
        for entry in ('predict', 'forward'):
            if hasattr(part, entry):
                setattr(part, entry, timed(name, getattr(part, entry)))
