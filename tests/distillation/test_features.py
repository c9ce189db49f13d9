"""A student learns its teacher's maps; the teacher stays as it is, and out of checkpoints."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import OptimWrapper

from effformer_dense.distillation import FeatureDistiller
from effformer_dense.distillation.features import LOSSES
from effformer_dense.errors import UserError
from tests.helpers import randomise

STUDENT = dict(type='EfficientFormerV2', arch='s0', init_cfg=dict(type='Constant', layer='LayerScale', val=1.0))
RGB = dict(type='ImgDataPreprocessor', mean=[120.0, 110.0, 100.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True)


def _distiller(student: dict = STUDENT, teacher: str | dict = 'test_resnet', **options) -> FeatureDistiller:
    torch.manual_seed(0)
    config = dict(type='TimmFeatures', model_name=teacher) if isinstance(teacher, str) else teacher
    return FeatureDistiller(student, config, RGB, **options)


def _batch(size: tuple[int, int] = (64, 96)) -> dict:
    generator = torch.Generator().manual_seed(0)
    return dict(inputs=[torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for _ in range(2)])


@pytest.mark.parametrize('loss', list(LOSSES))
@pytest.mark.parametrize('teacher', ['test_resnet', dict(type='EfficientFormerV1', arch='l1')])
def test_the_loss_falls_and_the_teacher_stays(teacher: str | dict, loss: str) -> None:
    distiller = _distiller(teacher=teacher, loss=loss)
    distiller.init_weights()
    randomise(distiller.teacher)
    before = {key: value.clone() for key, value in distiller.teacher.state_dict().items()}
    trained = [p for p in distiller.parameters() if p.requires_grad]
    optimizer = OptimWrapper(torch.optim.AdamW(trained, lr=1e-3), clip_grad=dict(max_norm=1.0))
    distiller.train()
    losses = [float(distiller.train_step(_batch(), optimizer)['loss']) for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(value, before[key]) for key, value in distiller.teacher.state_dict().items())
    assert not any(module.training for module in distiller.teacher.modules())
    assert {id(p) for p in trained} == {
        id(p) for part in (distiller.backbone, distiller.projectors) for p in part.parameters()
    }
    sum(distiller(torch.randn(2, 3, 64, 64), mode='loss').values()).backward()
    assert all(p.grad is not None for p in trained)


def test_checkpoints_hold_no_teacher_and_load_strictly() -> None:
    distiller, other = _distiller(), _distiller()
    randomise(distiller)
    state = distiller.state_dict()
    assert state and not any('teacher' in key for key in state)
    teachers = {key: value.clone() for key, value in other.teacher.state_dict().items()}
    other.load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in state.items())
    assert all(torch.equal(value, teachers[key]) for key, value in other.teacher.state_dict().items())


def test_maps_of_learned_layers_teach_nothing() -> None:
    vit = _distiller(teacher='test_vit')
    assert [vit.backbone.out_strides[own] for own, _ in vit.pairs] == [16, 32], '4 and 8 are made of it'
    assert set(vit.train()(torch.randn(2, 3, 64, 64), mode='loss')) == {'loss_stride_16', 'loss_stride_32'}
    with pytest.raises(UserError, match=r"student's maps have strides 4, 8, the teacher's own 16, 32: nothing can"):
        _distiller({**STUDENT, 'out_indices': (0, 1)}, 'test_vit')


def test_a_teacher_sees_the_range_that_it_was_trained_with() -> None:
    distiller = _distiller(teacher='test_vit')
    asked = distiller.teacher.model.pretrained_cfg
    seen: list[torch.Tensor] = []
    distiller.teacher.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    pictures = _batch()
    distiller.train_step(pictures, OptimWrapper(torch.optim.SGD(distiller.projectors.parameters(), lr=0.0)))
    rgb = pictures['inputs'][0].flip(0).float() / 255
    wanted = (rgb - torch.tensor(asked['mean'])[:, None, None]) / torch.tensor(asked['std'])[:, None, None]
    torch.testing.assert_close(seen[0][0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('given', 'mean', 'std'),
    [
        (None, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]), (1, 2, 3), (4, 5, 6)),
    ],
)
def test_teachers_of_ours_see_theirs_too(given: dict | None, mean: tuple, std: tuple) -> None:
    student = dict(type='TimmFeatures', model_name='test_resnet')
    half = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)
    distiller = FeatureDistiller(student, STUDENT, half, teacher_preprocessor=given)
    pixels = torch.rand(3, 8, 8) * 255
    wanted = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(
        (pixels - 127.5) / 127.5 * distiller.factor + distiller.shift, wanted, rtol=1e-4, atol=1e-4
    )


def test_odd_sizes_and_both_ways_to_call_it() -> None:
    distiller = _distiller().eval()
    maps = distiller(torch.randn(1, 3, 45, 67))
    assert [tuple(m.shape[2:]) for m in maps] == [(12, 17), (6, 9), (3, 5), (2, 3)]
    assert len(distiller(torch.randn(1, 3, 45, 67), mode='loss')) == 4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(loss='cosin'), "distill.loss must be one of cosine, smooth_l1; got 'cosin'"),
        (dict(student=dict(type='FPN', in_channels=[1], out_channels=1, num_outs=1)), 'The student of .* is FPN'),
        (dict(teacher_preprocessor=dict(mean=[1, 2, 3])), 'distill.teacher_preprocessor is .*; mean and std are'),
        (dict(teacher='test_resnet', preprocessor={**RGB, 'bgr_to_rgb': False}), 'Teachers want RGB'),
    ],
)
def test_mistakes(change: dict, message: str) -> None:
    from mmdet.models.necks import FPN  # noqa: F401  # is registered

    arguments = dict(
        backbone=change.get('student', STUDENT), teacher=dict(type='TimmFeatures', model_name='test_resnet')
    )
    if arguments['backbone']['type'] == 'FPN':
        arguments['backbone'] = {**arguments['backbone'], '_scope_': 'mmdet'}
    with pytest.raises(UserError, match=message):
        FeatureDistiller(
            **arguments,
            data_preprocessor=change.get('preprocessor', RGB),
            loss=change.get('loss', 'cosine'),
            teacher_preprocessor=change.get('teacher_preprocessor'),
        )
