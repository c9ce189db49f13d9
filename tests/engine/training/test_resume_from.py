"""What a training cannot go on from gets one sentence, and nothing is written."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from effformer_dense.engine.training.continuation import ENTRY
from effformer_dense.engine.training.resume_from import checkpoint_to_resume
from effformer_dense.errors import UserError
from tests.checkpoint.test_hostile import CASES


@MODELS.register_module(force=True)
class ResumedLayer(nn.Linear):
    """A model of one layer."""


def _state() -> dict[str, Any]:
    model = ResumedLayer(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        'meta': {'epoch': 1, 'iter': 4, 'world_size': 1},
        'state_dict': model.state_dict(),
        'optimizer': optimizer.state_dict(),
        'message_hub': {},
    }


def _config(work_dir: Path) -> Config:
    return Config(
        dict(
            model=dict(type='ResumedLayer', in_features=3, out_features=2),
            work_dir=str(work_dir),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        )
    )


def _poison(state: dict[str, Any]) -> None:
    state['state_dict']['bias'][1] = float('nan')


def _poison_momentum(state: dict[str, Any]) -> None:
    state['optimizer']['state'][0]['momentum_buffer'][0] = float('inf')


def _widen(state: dict[str, Any]) -> None:
    state['state_dict']['weight'] = torch.ones(2, 5)


def _make_foreign(state: dict[str, Any]) -> None:
    state['state_dict'] = {'blocks.0.weight': torch.ones(2, 3)}


def _add_group(state: dict[str, Any]) -> None:
    state['optimizer']['param_groups'] *= 2


def _make_adamw(state: dict[str, Any]) -> None:
    """As a training with AdamW saves it."""
    model = ResumedLayer(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state['optimizer'] = optimizer.state_dict()


#: What is done to a checkpoint, and what is said of it.
CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    'poisoned': (_poison, r'not finite \(NaN or infinity\) in 1 of 4 entries, such as bias: .* --resume FILE'),
    'poisoned momentum': (_poison_momentum, r'in 1 of 4 entries, such as optimizer.state.0.momentum_buffer'),
    'another model': (_widen, r'does not fit the config: .*1 of another shape \(weight'),
    'foreign': (_make_foreign, 'does not fit the config: .*missing'),
    'weights alone': (lambda state: state.pop('optimizer'), 'holds weights only'),
    'no place': (lambda state: state['meta'].pop('iter'), 'holds weights only'),
    'a wrong place': (lambda state: state['meta'].update(iter='x'), 'holds weights only'),
    'of mmcv 1': (lambda state: state.pop('message_hub'), 'holds weights only'),
    'of averages': (
        lambda state: state.update(ema_state_dict={'module.bias': torch.ones(2)}),
        'averages its weights, and this one does not: go on with the same --ema',
    ),
    'two processes': (
        lambda state: state['meta'].update(world_size=2),
        'by a training of 2 processes, and this one has 1: .* Use 2, or start from its weights',
    ),
    'another optimizer': (_add_group, 'was saved with another optimizer than the config has'),
    'AdamW': (_make_adamw, r'another optimizer .*\(SGD now, and it has nothing of dampening, momentum, nesterov\)'),
    'RMSprop by its config': (
        lambda state: state['meta'].update(cfg="optim_wrapper = dict(optimizer=dict(type='RMSprop', lr=0.1))"),
        "another optimizer .*'RMSprop' before, 'SGD' now.*from its weights: --cfg-options load_from",
    ),
}


def test_a_good_one(tmp_path: Path) -> None:
    torch.save(_state(), tmp_path / 'epoch_1.pth')
    for resume in ('auto', str(tmp_path), str(tmp_path / 'epoch_1.pth')):
        assert checkpoint_to_resume(_config(tmp_path), resume, 1)[0] == tmp_path / 'epoch_1.pth'


def test_buffers_that_are_infinite_on_purpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = ResumedLayer.__init__

    def masked(layer: ResumedLayer, *sizes: int, **named_sizes: int) -> None:
        init(layer, *sizes, **named_sizes)
        layer.register_buffer('mask', torch.tensor([0.0, -torch.inf]))

    monkeypatch.setattr(ResumedLayer, '__init__', masked)
    state = _state()
    assert 'mask' in state['state_dict']
    torch.save(state, tmp_path / 'epoch_1.pth')
    assert checkpoint_to_resume(_config(tmp_path), 'auto', 1)[0] == tmp_path / 'epoch_1.pth'


def test_sgd_is_nothing_to_adamw(tmp_path: Path) -> None:
    torch.save(_state(), tmp_path / 'epoch_1.pth')
    cfg = _config(tmp_path)
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=0.1)
    with pytest.raises(UserError, match=r'\(AdamW now, and it has nothing of amsgrad, betas, eps\)'):
        checkpoint_to_resume(cfg, 'auto', 1)


def test_another_number_of_processes_with_as_many_samples(tmp_path: Path) -> None:
    state = _state()
    state['meta']['world_size'] = 2
    state[ENTRY] = dict(step=4)
    torch.save(state, tmp_path / 'epoch_1.pth')
    cfg = _config(tmp_path)
    for processes, batch_size, fits in ((1, 4, True), (4, 1, True), (2, 3, True), (1, 2, False), (4, 2, False)):
        cfg.train_dataloader = dict(batch_size=batch_size)
        if fits:
            assert checkpoint_to_resume(cfg, 'auto', processes)[1]['world_size'] == 2
            continue
        way_out = f'Use 2, or train_dataloader.batch_size={4 // processes}, or start from its weights'
        with pytest.raises(UserError, match=f'of 2 processes, and this one has {processes}: .*{way_out}'):
            checkpoint_to_resume(cfg, 'auto', processes)


@pytest.mark.parametrize('name', CHANGES)
def test_contents(name: str, tmp_path: Path) -> None:
    change, message = CHANGES[name]
    state = _state()
    change(state)
    torch.save(state, tmp_path / 'epoch_1.pth')
    before = (tmp_path / 'epoch_1.pth').read_bytes()
    with pytest.raises(UserError, match=f'epoch_1.pth .*{message}') as raised:
        checkpoint_to_resume(_config(tmp_path), 'auto', 1)
    assert '\n' not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before


def _newer(data: bytes) -> bytes:
    """As a later torch would write it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, 'w') as target:
        for record in source.infolist():
            target.writestr(record, b'999\n' if record.filename.endswith('/version') else source.read(record))
    return out.getvalue()


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda data: data[:700], r'\(700 bytes\) is no readable checkpoint'),
        (lambda data: b'', 'is empty'),
        (_newer, r'was written by a newer torch than .*Update torch'),
    ],
)
def test_files(spoil: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    file = tmp_path / 'file.pth'
    torch.save(_state(), file)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(UserError, match=f'file.pth .*{message}'):
        checkpoint_to_resume(_config(tmp_path), str(file), 1)


def test_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='holds no checkpoint'):
        checkpoint_to_resume(_config(tmp_path), 'auto', 1)
    with pytest.raises(UserError, match='gone does not exist'):
        checkpoint_to_resume(_config(tmp_path), str(tmp_path / 'gone'), 1)


@pytest.mark.parametrize('place', ['auto', 'file'])
def test_hostile_ones_run_nothing(place: str, tmp_path: Path) -> None:
    file = tmp_path / 'epoch_1.pth'
    for name in ('a command', 'an expression'):
        CASES[name].write({'x': torch.ones(1)}, file, tmp_path / 'canary')
        with pytest.raises(UserError, match='wants to use'):
            checkpoint_to_resume(_config(tmp_path), 'auto' if place == 'auto' else str(file), 1)
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']
