"""A segmentor learns what another says of pixels; its checkpoints are those of a plain training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS

from effformer_dense.config.load import enter_scope
from effformer_dense.distillation import LogitDistiller
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, EvaluationOptions
from tests.helpers import PROJECT_ROOT, few_shapes, randomise

UPERNET = PROJECT_ROOT / 'configs' / 'heads' / 'upernet_v2_s0_shapes.py'
SEMANTIC_FPN = PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py'
SMALL = f"""
_base_ = {{base!r}}
{few_shapes(training=4, validation=2)}
model = dict(data_preprocessor=dict(size=(64, 64)))
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = []
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""


def _model(path: Path) -> dict:
    cfg = Config.fromfile(path)
    enter_scope(cfg)
    cfg.model.data_preprocessor.size = (64, 64)
    return cfg.model


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Weights of the demo's Semantic FPN that tell classes apart."""
    torch.manual_seed(0)
    model = randomise(MODELS.build(_model(SEMANTIC_FPN)))
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
    path = tmp_path / 'teacher.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return path


def _batch() -> dict:
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=generator) for _ in range(2)]
    return dict(inputs=images, data_samples=[SegDataSample(metainfo=dict(img_shape=(64, 64))) for _ in images])


@pytest.mark.slow
@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_all_heads_come_nearer_to_the_teacher(teacher: Path, temperature: float) -> None:
    distiller = LogitDistiller(_model(UPERNET), _model(SEMANTIC_FPN), str(teacher), temperature)
    before = {key: value.clone() for key, value in distiller.teacher.state_dict().items()}
    trained = [p for p in distiller.parameters() if p.requires_grad]
    optimizer = OptimWrapper(torch.optim.AdamW(trained, lr=1e-3), clip_grad=dict(max_norm=1.0))
    distiller.train()
    losses = [distiller.train_step(_batch(), optimizer) for _ in range(10)]
    for name in ('decode.loss_soft', 'aux_0.loss_soft'):
        assert float(losses[-1][name]) < 0.8 * float(losses[0][name])
    assert all(torch.equal(value, before[key]) for key, value in distiller.teacher.state_dict().items())
    assert not any(module.training for module in distiller.teacher.modules())


def test_nothing_is_left_to_learn_from_itself(teacher: Path) -> None:
    model = _model(SEMANTIC_FPN)
    distiller = LogitDistiller(model, _model(SEMANTIC_FPN), str(teacher), 2.0)
    distiller.load_state_dict(torch.load(teacher)['state_dict'])
    losses = distiller.eval()(torch.randn(2, 3, 64, 64), mode='loss')
    assert {name: pytest.approx(float(loss), abs=1e-6) for name, loss in losses.items()} == {'decode.loss_soft': 0.0}


def test_one_logit_for_two_classes(tmp_path: Path) -> None:
    """The loss is that of both probabilities, and is learned from."""
    binary = _model(SEMANTIC_FPN)
    binary.decode_head.update(num_classes=2, out_channels=1, threshold=0.5)
    binary.decode_head.loss_decode = dict(type='CrossEntropyLoss', use_sigmoid=True)
    teacher = MODELS.build(binary)
    torch.nn.init.normal_(teacher.decode_head.conv_seg.weight, std=0.3)
    torch.save({'state_dict': teacher.state_dict()}, tmp_path / 'teacher.pth')
    distiller = LogitDistiller(binary, binary, str(tmp_path / 'teacher.pth')).eval()
    images = torch.randn(2, 3, 64, 64)
    ((_, loss),) = distiller(images, mode='loss').items()
    ours, theirs = (torch.sigmoid(model(images, mode='tensor')) for model in (distiller.student, teacher.eval()))
    pairs = ((theirs, ours), (1 - theirs, 1 - ours))
    torch.testing.assert_close(loss, sum(p * (p.log() - q.log()) for p, q in pairs).mean(), rtol=1e-4, atol=1e-6)
    loss.backward()
    assert distiller.student.decode_head.conv_seg.weight.grad.abs().sum() > 0


def test_the_teacher_keeps_its_weights_when_a_run_initialises_the_model(teacher: Path) -> None:
    model = LogitDistiller(_model(SEMANTIC_FPN), _model(SEMANTIC_FPN), str(teacher))
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    student = model.student.decode_head.conv_seg.weight.clone()
    model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.teacher.state_dict().items())
    assert not torch.equal(model.student.decode_head.conv_seg.weight, student)


def test_checkpoints_are_the_students(teacher: Path) -> None:
    distiller = LogitDistiller(_model(UPERNET), _model(SEMANTIC_FPN), str(teacher))
    plain = MODELS.build(_model(UPERNET))
    state = distiller.state_dict()
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)
    taught = {key: value.clone() for key, value in distiller.teacher.state_dict().items()}
    distiller.load_state_dict(randomise(plain).state_dict())
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in distiller.state_dict().items())
    assert all(torch.equal(value, taught[key]) for key, value in distiller.teacher.state_dict().items())


def test_mistakes(teacher: Path) -> None:
    fewer, other = _model(UPERNET), _model(UPERNET)
    fewer.decode_head.num_classes = fewer.auxiliary_head.num_classes = 4
    other.data_preprocessor.mean = [0.0, 0.0, 0.0]
    for student, message in (
        (fewer, 'The teacher tells 6 classes apart, the student 4'),
        (other, r'data_preprocessor\.mean is \[0\.0, 0\.0, 0\.0\] in the config and \[123'),
    ):
        with pytest.raises(UserError, match=message):
            LogitDistiller(student, _model(SEMANTIC_FPN), str(teacher))
    with pytest.raises(UserError, match=r'temperature must be above 0; got 0\.0'):
        LogitDistiller(_model(UPERNET), _model(SEMANTIC_FPN), str(teacher), 0.0)


@pytest.mark.slow
def test_training_by_the_command(teacher: Path, tmp_path: Path) -> None:
    config = tmp_path / 'small.py'
    config.write_text(SMALL.format(base=str(UPERNET), root=f'{tmp_path / "shapes"}/'))
    # The teacher's classes follow its data set, as the student's do: a config on a base of 150 classes that names none.
    base, own = tmp_path / 'base.py', tmp_path / 'teacher.py'
    base.write_text(f'_base_ = {str(SEMANTIC_FPN)!r}\nmodel = dict(decode_head=dict(num_classes=150))\n')
    own.write_text(f'_base_ = {str(base)!r}\n')
    at = 'distill.segmentor'
    options = ConfigOptions(
        config,
        cfg_options=(f'{at}.config={own}', f'{at}.checkpoint={teacher}', 'distill.temperature=2.0'),
        work_dir=tmp_path / 'work',
        from_scratch=True,
    )
    train(options)
    plain = ConfigOptions(config, work_dir=tmp_path / 'test', from_scratch=True)
    assert 'mIoU' in evaluate(plain, EvaluationOptions(tmp_path / 'work'))
