"""``distill`` of a config, from pictures of a folder to a backbone that a detector starts from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from PIL import Image

from effformer_dense.engine.runner import evaluate, train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, EvaluationOptions
from tests.engine.conftest import write_tiny_config
from tests.helpers import randomise


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / 'pictures' / 'below'
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, size in enumerate([(64, 80), (70, 50), (64, 64), (96, 64)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f'{number}.png')
    return folder.parent


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Weights of a detector with S1, as training leaves them."""
    backbone = randomise(MODELS.build(dict(type='EfficientFormerV2', arch='s1')))
    path = tmp_path / 'teacher.pth'
    torch.save({'state_dict': {f'backbone.{key}': value for key, value in backbone.state_dict().items()}}, path)
    return path


def _options(folder: Path, *more: str) -> ConfigOptions:
    return ConfigOptions(write_tiny_config(folder), cfg_options=more, work_dir=folder / 'work')


def _teacher(path: Path) -> tuple[str, ...]:
    at = 'distill.teacher'
    return (
        f'{at}.type=EfficientFormerV2', f'{at}.arch=s1', f'{at}.init_cfg.type=Pretrained',
        f'{at}.init_cfg.checkpoint={path}',
    )  # fmt: skip


@pytest.mark.slow
def test_from_pictures_to_a_detector(tmp_path: Path, pictures: Path, teacher: Path) -> None:
    (tmp_path / 'one').mkdir()
    options = _options(tmp_path / 'one', *_teacher(teacher), f'distill.pictures={pictures}', 'train_cfg.max_epochs=2')
    work_dir = train(options)
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    losses = [line for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]
    assert losses and {f'loss_stride_{stride}' for stride in (4, 8, 16, 32)} <= set(losses[0])
    state = torch.load(work_dir / 'epoch_2.pth', weights_only=False)['state_dict']
    assert {key.partition('.')[0] for key in state} == {'backbone', 'projectors', 'norms'}

    assert train(options, resume='auto') == work_dir, 'goes on where it was'

    (tmp_path / 'two').mkdir()
    at, checkpoint = 'model.backbone.init_cfg', work_dir / 'epoch_2.pth'
    start = (f'{at}._delete_=True', f'{at}.type=Pretrained', f'{at}.checkpoint={checkpoint}')
    fine = _options(tmp_path / 'two', *start, 'optim_wrapper.optimizer.lr=1e-12')
    train(fine)
    tuned = torch.load(tmp_path / 'two' / 'work' / 'epoch_1.pth', weights_only=False)['state_dict']
    key = 'backbone.stem.conv1.conv.weight'
    torch.testing.assert_close(tuned[key], state[key])
    assert 'coco/bbox_mAP' in evaluate(fine, EvaluationOptions(fine.work_dir))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (['distill.loss=cosine'], 'distill names no teacher; one is expected'),
        (['distill.teacher.arch=s1'], 'has no type. For example'),
        (['distill.teacher.type=TimmFeatures', 'distill.segmentor.config=x'], 'names teacher and segmentor; one is'),
        (['distill.segmentor.config=x'], r'distill\.segmentor has no checkpoint'),
        (['distill.segmentor.config=x.py', 'distill.segmentor.checkpoint=x.pth'], r'Config x\.py does not exist'),
        (['distill.teacher.type=TimmFeatures', 'distill.teacher.model_name=test_resnet'], 'would have random weights'),
        (
            ['distill.teacher.type=EfficientFormerV2', 'distill.picture=x'],
            "Key of distill with a teacher .*'picture'.*'pictures'",
        ),
    ],
)
def test_mistakes_are_found_before_anything_is_done(tmp_path: Path, settings: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(_options(tmp_path, *settings))
    assert not (tmp_path / 'work').exists()


def test_weights_and_pictures_that_do_not_fit(tmp_path: Path, pictures: Path, teacher: Path) -> None:
    with pytest.raises(UserError, match=r'nothing\.pth do not exist.*distill\.teacher\.init_cfg\.checkpoint=FILE'):
        train(_options(tmp_path, *_teacher(tmp_path / 'nothing.pth')))
    with pytest.raises(UserError, match='arch'):
        train(_options(tmp_path, *_teacher(teacher)[:1], 'distill.teacher.arch=s3', *_teacher(teacher)[2:]))
    with pytest.raises(UserError, match='does not exist'):
        train(_options(tmp_path, *_teacher(teacher), f'distill.pictures={tmp_path / "nowhere"}'))
    (pictures / 'torn.png').write_bytes((pictures / 'below' / '0.png').read_bytes()[:90])
    with pytest.raises(UserError, match=r'torn.png: .*Replace or remove it'):
        train(_options(tmp_path, *_teacher(teacher), f'distill.pictures={pictures}'))
