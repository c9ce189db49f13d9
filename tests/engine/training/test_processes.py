"""Two processes without a GPU train the same model, and the one that a single process trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from effformer_dense.options import ConfigOptions, TrainOptions

from .ranks import farthest, run

pytestmark = pytest.mark.slow

#: A network that draws nothing, whose rate does not change.
QUIET = (
    'train_cfg.max_iters=20',
    'train_cfg.val_interval=20',
    'default_hooks.checkpoint.interval=20',
    'model.backbone.drop_path_rate=0.0',
    'model.decode_head.dropout_ratio=0.0',
    'model.backbone.norm_cfg.type=BN',
    'train_dataloader.dataset.pipeline.2.scale=(256,96)',
    'val_dataloader.dataset.pipeline.1.scale=(256,96)',
    'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    'optim_wrapper.optimizer.lr=1e-3',
    'default_hooks.logger.interval=1',
)

#: No norm that learns from a batch.
FROZEN = (
    'model.backbone.norm_eval=True',
    'model.decode_head.norm_cfg.type=GN',
    'model.decode_head.norm_cfg.num_groups=1',
)


def _options(config: Path, work_dir: Path, *overrides: str) -> ConfigOptions:
    return ConfigOptions(config, (*QUIET, *overrides), work_dir, from_scratch=True)


def test_weights_and_statistics_are_the_same_in_both(tiny_segmentor: Path, tmp_path: Path) -> None:
    first, second = run(_options(tiny_segmentor, tmp_path / 'work', 'train_dataloader.batch_size=1'), 2)
    assert first.wrapper == 'MMDistributedDataParallel'
    assert any(name.endswith('running_var') for name in first.state)
    assert len(first.losses) == 20 and first.losses != second.losses
    assert farthest(first.state, second.state) == 0


def test_two_train_as_one_with_both_batches(tiny_segmentor: Path, tmp_path: Path) -> None:
    first, second = run(_options(tiny_segmentor, tmp_path / 'two', 'train_dataloader.batch_size=1', *FROZEN), 2)
    (alone,) = run(_options(tiny_segmentor, tmp_path / 'one', 'train_dataloader.batch_size=2', *FROZEN), 1)
    both = [(one + other) / 2 for one, other in zip(first.losses, second.losses, strict=True)]
    gap = max(abs(one - other) for one, other in zip(both, alone.losses, strict=True))
    print(f'loss {alone.losses[0]:.3f} to {alone.losses[-1]:.3f}; two processes differ by at most {gap:.2e}')
    assert alone.losses[-1] < alone.losses[0]
    assert gap < 1e-4


def test_accumulated_gradients_are_those_of_a_larger_batch(tiny_segmentor: Path, tmp_path: Path) -> None:
    small = _options(tiny_segmentor, tmp_path / 'small', 'train_dataloader.batch_size=1', *FROZEN)
    large = _options(tiny_segmentor, tmp_path / 'large', 'train_cfg.max_iters=10', *FROZEN)
    (accumulated,), (whole,) = run(small, 1, TrainOptions(accumulate=2)), run(large, 1)
    pairs = zip(accumulated.losses[::2], accumulated.losses[1::2], strict=True)
    gap = max(abs((one + other) / 2 - both) for (one, other), both in zip(pairs, whole.losses, strict=True))
    print(f'a loss of two halves differs by at most {gap:.2e}')
    assert gap < 1e-4


@pytest.mark.parametrize('generation', [1, 2])
def test_everything_at_once(tiny_segmentor: Path, tmp_path: Path, generation: int) -> None:
    """bf16, a moving average, accumulated gradients, recomputed activations and SyncBN, in two processes."""
    overrides = ['model.backbone.with_cp=True', 'model.backbone.norm_cfg.type=SyncBN']
    if generation == 1:
        overrides += ['model.backbone.type=EfficientFormerV1', 'model.backbone.arch=l1']
        overrides += ['model.backbone.talking_bias=sum', 'model.neck.in_channels=[48,96,224,448]']
    options = replace(_options(tiny_segmentor, tmp_path / 'work', *overrides), amp=True)
    first, second = run(options, 2, TrainOptions(accumulate=2, ema=0.9))
    assert farthest(first.state, second.state) == 0
    start, end = first.losses[:2], first.losses[-2:]
    print(f'V{generation} in bf16: loss {sum(start):.3f} to {sum(end):.3f}')
    assert sum(end) < sum(start)
    saved = torch.load(tmp_path / 'work' / 'iter_20.pth', weights_only=False)
    trained = {name.removeprefix('module.'): value for name, value in saved['ema_state_dict'].items()}
    trained.pop('steps')
    assert farthest(trained, dict(first.state)) == 0  # what was trained goes on; the average is what is tested
    assert 0 < farthest(dict(saved['state_dict']), dict(first.state)) < 1
    assert all(value.dtype != torch.bfloat16 for value in first.state.values())
