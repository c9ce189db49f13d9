"""Segmentor and detector, of which two processes have a part each, through the command's own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from effformer_dense.checkpoint.whole_model import load_weights
from effformer_dense.engine.open import open_config
from effformer_dense.engine.training.resume_from import checkpoint_to_resume
from effformer_dense.options import ConfigOptions, TrainOptions
from tests.engine.conftest import write_scenes, write_tiny_config, write_tiny_segmentor

from .ranks import Outcome, Training, farthest, run_all
from .test_processes import FROZEN, QUIET

pytestmark = pytest.mark.minutes

SHARDED = TrainOptions(fsdp=True)
DETECTOR = (
    'train_cfg.max_epochs=3',
    'train_dataloader.batch_size=1',
    'default_hooks.logger.interval=1',
    'model.backbone.norm_eval=True',
    'optim_wrapper.clip_grad.max_norm=1.0',
)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('sharded')


@pytest.fixture(scope='module')
def outcomes(root: Path) -> dict[str, list[Outcome]]:
    """What became of each training, in the first process and in the second."""
    detector, segmentor = write_tiny_config(root), write_tiny_segmentor(root, write_scenes(root / 'ade'))
    small = (*QUIET, 'train_dataloader.batch_size=1')
    everything = (*small, 'model.backbone.with_cp=True')

    def options(name: str, config: Path, overrides: tuple[str, ...], amp: bool = False) -> ConfigOptions:
        return ConfigOptions(config, overrides, root / name, from_scratch=True, amp=amp)

    trainings: dict[str, Training] = {
        'segmentor': (options('segmentor', segmentor, small), TrainOptions()),
        'sharded segmentor': (options('sharded segmentor', segmentor, small), SHARDED),
        'frozen': (options('frozen', segmentor, (*small, *FROZEN)), TrainOptions()),
        'sharded frozen': (options('sharded frozen', segmentor, (*small, *FROZEN)), SHARDED),
        'sharded everything': (
            options('sharded everything', segmentor, everything, amp=True),
            replace(SHARDED, accumulate=2, ema=0.9, skip_bad_steps=1),
        ),
        'detector': (options('detector', detector, DETECTOR), TrainOptions(ema=0.5)),
        'sharded detector': (options('sharded detector', detector, DETECTOR), replace(SHARDED, ema=0.5)),
    }
    return dict(zip(trainings, run_all(list(trainings.values()), 2), strict=True))


def test_weights_are_those_of_whole_models(outcomes: dict[str, list[Outcome]]) -> None:
    whole, sharded = outcomes['frozen'][0], outcomes['sharded frozen'][0]
    print(f'{farthest(whole.state, sharded.state):.1e} after {len(whole.losses)} iterations')
    assert (whole.wrapper, sharded.wrapper) == ('MMDistributedDataParallel', 'ShardedModel')
    # Processors round convolutions of one picture and of two differently: 4e-6 and 2e-5 were seen.
    assert farthest(whole.state, sharded.state) < 1e-4
    assert sharded.losses == pytest.approx(whole.losses, abs=1e-4)


@pytest.mark.parametrize('name', ['frozen', 'segmentor', 'detector'])
def test_processes_end_with_the_same_weights(outcomes: dict[str, list[Outcome]], name: str) -> None:
    first, second = outcomes[f'sharded {name}']
    assert farthest(first.state, second.state) == 0


def test_losses_of_a_detector_are_those_of_a_whole_one(outcomes: dict[str, list[Outcome]]) -> None:
    """The first but for rounding; then that changes which of two equal proposals is drawn, and with it the training."""
    whole, sharded = outcomes['detector'][0].losses, outcomes['sharded detector'][0].losses
    assert sharded[0] == pytest.approx(whole[0], abs=1e-5) and sharded[1] == pytest.approx(whole[1], abs=1e-3)
    assert sharded == pytest.approx(whole, abs=0.1)


def test_losses_are_those_of_whole_models(outcomes: dict[str, list[Outcome]]) -> None:
    """With batch norm over maps of a few cells, which makes of one rounding after the other another training."""
    whole, sharded = outcomes['segmentor'][0].losses, outcomes['sharded segmentor'][0].losses
    print(f'loss {whole[0]:.3f} to {whole[-1]:.3f}, {sharded[-1]:.3f} in parts')
    assert sharded[:5] == pytest.approx(whole[:5], abs=1e-3)
    assert sharded[-1] == pytest.approx(whole[-1], abs=0.1) and whole[-1] < whole[0] - 1


@pytest.mark.parametrize('name', ['segmentor', 'detector'])
def test_each_process_keeps_half(outcomes: dict[str, list[Outcome]], name: str) -> None:
    whole = outcomes[name][0].held
    held = [outcome.held for outcome in outcomes[f'sharded {name}']]
    print(f'{name}: {[f"{share / whole:.3f}" for share in held]} of {whole / 1e6:.1f} MB')
    assert all(0.45 < share / whole < 0.55 for share in held) and sum(held) < 1.01 * whole


def test_everything_at_once(outcomes: dict[str, list[Outcome]], root: Path) -> None:
    """bf16, a moving average, accumulated gradients, and recomputed activations."""
    first, second = outcomes['sharded everything']
    assert farthest(first.state, second.state) == 0
    print(f'loss {sum(first.losses[:2]):.3f} to {sum(first.losses[-2:]):.3f}')
    assert sum(first.losses[-2:]) < sum(first.losses[:2])
    saved = torch.load(root / 'sharded everything' / 'iter_20.pth', weights_only=False)
    trained = {name.removeprefix('module.'): value for name, value in saved['ema_state_dict'].items()}
    trained.pop('steps')
    assert farthest(trained, first.state) == 0  # what was trained goes on; the average is what is tested
    assert 0 < farthest(dict(saved['state_dict']), first.state) < 1


@pytest.mark.parametrize('name', ['frozen', 'detector'])
def test_one_process_goes_on_with_the_file(outcomes: dict[str, list[Outcome]], root: Path, name: str) -> None:
    config, batch = root / {'frozen': 'semfpn_tiny.py', 'detector': 'tiny.py'}[name], 'train_dataloader.batch_size=2'
    overrides = (batch, *FROZEN) if name == 'frozen' else (batch,)
    cfg = open_config(ConfigOptions(config, overrides, root / f'sharded {name}', from_scratch=True))
    cfg.custom_hooks = [dict(type='EMAHook')]
    path, meta = checkpoint_to_resume(cfg, 'auto', 1)
    assert meta['world_size'] == 2 and meta['iter'] == len(outcomes[name][0].losses)
    one, other = MODELS.build(cfg.model), MODELS.build(cfg.model)
    load_weights(one, path)
    load_weights(other, root / name / path.name)
    if name == 'frozen':  # a detector's weights follow roundings, see above
        assert farthest(one.state_dict(), other.state_dict()) < 1e-4
