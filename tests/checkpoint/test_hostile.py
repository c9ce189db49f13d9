"""Files that are broken, odd or made to do harm: each loads correctly or is refused clearly, and none runs anything."""

from __future__ import annotations

import argparse
import gzip
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file
from torch import Tensor, nn

from effformer_dense.checkpoint import Layout, convert_file, from_native, read_file, unwrap
from effformer_dense.variants import V2_VARIANTS
from tests.helpers import build, randomise

S0 = V2_VARIANTS['s0']
CONV = 'stages.0.blocks.0.mlp.fc1.conv.weight'
TABLE = 'stages.3.blocks.3.token_mixer.bias.table'


@pytest.fixture(scope='module')
def weights() -> dict[str, Tensor]:
    return randomise(build(S0)).state_dict()


class Command:
    """Runs a shell command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        import os

        return os.system, (f'touch {self.canary}',)


class Evaluation(Command):
    """Evaluates an expression when it is unpickled."""

    def __reduce__(self) -> tuple:
        return eval, (f'open({str(self.canary)!r}, "w")',)


class Attribute:
    """Reaches for the globals of a function that may be made."""

    def __reduce__(self) -> tuple:
        return getattr, (HistoryBuffer.mean, '__globals__')


def _truncate(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])


def _safetensors(state: dict[str, Tensor], path: Path) -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, path)


def _old_torch(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _under_names_of_numpy_1(content: object, path: Path) -> None:
    """As numpy 1 named its functions."""
    torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            archive.writestr(name, data.replace(b'numpy._core.multiarray', b'numpy.core.multiarray'))


def _compressed(state: dict[str, Tensor], path: Path) -> None:
    """A torch file packed again with compression: some bytes that would become kilobytes, or gigabytes."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + b'N0' * 100_000 + b'}.')
        archive.writestr('archive/version', b'3\n')


def _logs() -> dict[str, Any]:
    return {
        'loss': HistoryBuffer([1.0, 2.0], [1, 1]),
        'lr': np.float64(0.1),
        'best': np.float32(0.5),
        'iter': np.int64(3),
    }


@dataclass
class Case:
    """A file, and what is to come of it.

    Attributes:
        write: writes the file, given correct weights and a path that must not come to be.
        error: pattern of the refusal; None: loads as the correct weights.
        converts: the converter takes it though this backbone does not.
        dtype: what its numbers are rounded to.
    """

    write: Callable[[dict[str, Tensor], Path, Path], object]
    error: str | None = None
    converts: bool = False
    dtype: torch.dtype = torch.float32


def _save(make: Callable[[dict[str, Tensor]], object]) -> Callable[[dict[str, Tensor], Path, Path], object]:
    return lambda w, path, _: torch.save(make(w), path)


def _without(w: dict[str, Tensor], *keys: str) -> dict[str, Tensor]:
    return {key: value for key, value in w.items() if key not in keys}


def _prefixed(w: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in w.items()}


def _half_prefixed(w: dict[str, Tensor]) -> dict[str, Tensor]:
    return {('module.' if number % 2 else '') + key: value for number, (key, value) in enumerate(w.items())}


CASES: dict[str, Case] = {
    # Broken files
    'empty': Case(lambda w, path, _: path.write_bytes(b''), 'is empty'),
    'truncated': Case(lambda w, path, _: (torch.save(w, path), _truncate(path, 0.6)), 'no readable checkpoint'),
    'truncated, old format': Case(lambda w, path, _: (_old_torch(w, path), _truncate(path, 0.6)), 'no readable'),
    'truncated safetensors': Case(lambda w, path, _: (_safetensors(w, path), _truncate(path, 0.6)), 'no readable'),
    'safetensors that claims a huge header': Case(
        lambda w, path, _: path.write_bytes((2**60).to_bytes(8, 'little') + b'{"a": 1}'), 'no readable checkpoint'
    ),
    'noise': Case(lambda w, path, _: path.write_bytes(bytes(range(256)) * 40), 'no readable checkpoint'),
    'web page': Case(lambda w, path, _: path.write_text('\n<!DOCTYPE html><html>Sign in</html>'), 'a web page'),
    'pointer of Git LFS': Case(
        lambda w, path, _: path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), 'git lfs pull'
    ),
    'JSON': Case(lambda w, path, _: path.write_text(json.dumps(dict(a=1))), 'is no checkpoint but JSON'),
    'gzip': Case(lambda w, path, _: path.write_bytes(gzip.compress(b'weights')), 'compressed by gzip'),
    'text': Case(lambda w, path, _: path.write_text('weights'), 'no readable checkpoint'),
    # Files that hold something else
    'a list': Case(_save(lambda w: list(w.values())), 'list|No state_dict'),
    'nothing': Case(_save(lambda w: {}), 'holds nothing'),
    'another network': Case(
        _save(lambda w: {'layer1.0.conv1.weight': torch.ones(1)}),
        'None of these 1 entries|no EfficientFormer or EdgeViT among its 1 entries',
    ),
    'wrong variant': Case(
        _save(lambda w: build(V2_VARIANTS['s1']).state_dict()),
        'These weights are of EfficientFormerV2 s1',
        converts=True,
    ),
    'no published size': Case(
        _save(lambda w: {key: value for key, value in w.items() if not key.startswith('stages.0.blocks.1.')}),
        r'missing \(stages\.0\.blocks\.1|no published size',
    ),
    # Weights that are damaged
    'an entry missing': Case(_save(lambda w: _without(w, CONV)), f'1 missing .*{CONV}'),
    'the stem missing': Case(
        _save(lambda w: {key: value for key, value in w.items() if not key.startswith('stem.')}), 'missing|no Effic'
    ),
    'an entry too many': Case(
        _save(lambda w: w | {'aux_head.weight': torch.ones(2)}), r'1 unexpected \(aux_head.weight'
    ),
    'NaN': Case(_save(lambda w: w | {CONV: w[CONV] * float('nan')}), f'{CONV} holds 4096 values that are NaN'),
    'quantised': Case(_save(lambda w: w | {CONV: w[CONV].to(torch.int8)}), f'{CONV} holds torch.int8'),
    'complex': Case(_save(lambda w: w | {CONV: w[CONV].to(torch.complex64)}), f'{CONV} is no dense tensor'),
    'sparse': Case(_save(lambda w: w | {CONV: w[CONV].to_sparse()}), f'{CONV} is no dense tensor'),
    'a number for a tensor': Case(_save(lambda w: w | {CONV: 1.0}), f'{CONV} is a float'),
    'a name that is no text': Case(_save(lambda w: w | {3: torch.ones(1)}), 'names an entry 3, which is no text'),
    'a scalar for a kernel': Case(_save(lambda w: w | {CONV: torch.tensor(1.0)}), rf'{CONV} \(\), not \(128'),
    'a table of no grid': Case(
        _save(
            lambda w: (
                from_native(w, S0, Layout.TIMM) | {'stages.3.blocks.3.token_mixer.attention_biases': torch.ones(8, 50)}
            )
        ),
        r'\(heads, R \* R\); got \(8, 50\)',
    ),
    'an empty table': Case(_save(lambda w: w | {TABLE: torch.ones(8, 0, 0)}), TABLE),
    'two names for one entry': Case(
        _save(lambda w: from_native(w, S0, Layout.OFFICIAL) | {CONV: w[CONV]}), f'{CONV} comes a second time'
    ),
    'two layouts at once': Case(
        _save(lambda w: w | from_native(w, S0, Layout.OFFICIAL)),
        'a mixture of the layouts effformer_dense and official',
    ),
    'the same entry twice': Case(
        _save(lambda w: {'model': w | {f'module.{CONV}': w[CONV]}}), f'module.{CONV} is there twice'
    ),
    'two backbones': Case(
        _save(lambda w: _prefixed(w, 'a.') | _prefixed(w, 'b.')), r"There are 2 backbones, under 'a\.', 'b\.'"
    ),
    # Files made to do harm
    'a command': Case(
        lambda w, path, canary: torch.save(w | {'x': Command(canary)}, path), r'wants to use \w+\.system'
    ),
    'a command, old format': Case(lambda w, path, canary: _old_torch(w | {'x': Command(canary)}, path), r'\w+\.system'),
    'a command, bare pickle': Case(
        lambda w, path, canary: path.write_bytes(pickle.dumps({'x': Command(canary)}, protocol=2)), r'\w+\.system'
    ),
    'an expression': Case(
        lambda w, path, canary: torch.save({'x': Evaluation(canary)}, path), 'wants to use eval while'
    ),
    'a command in an array': Case(
        lambda w, path, canary: torch.save({'x': np.array([Command(canary)], dtype=object)}, path), r'\w+\.system|numpy'
    ),
    'a command in the logs': Case(
        lambda w, path, canary: torch.save({'state_dict': w, 'message_hub': {'a': Command(canary)}}, path), r'\.system'
    ),
    'attributes of functions': Case(lambda w, path, _: torch.save(w | {'x': Attribute()}, path), 'getattr|readable'),
    'a whole pickled network': Case(
        lambda w, path, _: torch.save(build(S0), path), r'wants to use .*EfficientFormerV2'
    ),
    'a compressed archive': Case(lambda w, path, _: _compressed(w, path), 'is a compressed archive'),
    'a bomb of names': Case(
        lambda w, path, _: torch.save({str(number): 0 for number in range(unwrap.MAX_ENTRIES + 1)} | w, path),
        r'There are 2,\d+ entries',
    ),
    # Files that are odd and good
    'half precision': Case(_save(lambda w: {key: value.half() for key, value in w.items()}), dtype=torch.float16),
    'bfloat16': Case(_save(lambda w: {key: value.bfloat16() for key, value in w.items()}), dtype=torch.bfloat16),
    'double precision': Case(_save(lambda w: {key: value.double() for key, value in w.items()})),
    'old format': Case(lambda w, path, _: _old_torch(w, path)),
    'safetensors under another name': Case(lambda w, path, _: _safetensors(w, path)),
    'DataParallel': Case(_save(lambda w: _prefixed(w, 'module.'))),
    'DataParallel around torch.compile': Case(_save(lambda w: {'state_dict': _prefixed(w, 'module._orig_mod.')})),
    'DataParallel on half of the names': Case(_save(_half_prefixed)),
    'a whole detector': Case(_save(lambda w: _prefixed(w, 'backbone.') | {'neck.weight': torch.ones(2)})),
    'a whole detector in a wrapper': Case(_save(lambda w: {'state_dict': _prefixed(w, 'module.backbone.')})),
    'heads of a classifier': Case(
        _save(
            lambda w: (
                from_native(w, S0, Layout.OFFICIAL) | {'head.weight': torch.ones(2), 'dist_head.bias': torch.ones(2)}
            )
        )
    ),
    'an average beside the weights': Case(
        _save(lambda w: {'model': from_native(w, S0, Layout.OFFICIAL), 'model_ema': {'x': torch.ones(1)}, 'epoch': 3})
    ),
    'averages among the weights': Case(_save(lambda w: w | {'ema_stem_conv1_conv_weight': torch.ones(1)})),
    'a teacher beside the student': Case(
        _save(lambda w: _prefixed({key: value + 1 for key, value in w.items()}, 'teacher.') | _prefixed(w, 'student.'))
    ),
    'counters missing, as before torch 0.4.1': Case(
        _save(lambda w: {key: value for key, value in w.items() if not key.endswith('num_batches_tracked')})
    ),
    'logs of MMEngine': Case(_save(lambda w: {'state_dict': w, 'message_hub': {'log_scalars': _logs()}, 'meta': {}})),
    'logs under the names of numpy 1': Case(
        lambda w, path, _: _under_names_of_numpy_1({'state_dict': w, 'message_hub': _logs()}, path)
    ),
    'arguments of the published training': Case(
        _save(lambda w: {'model': from_native(w, S0, Layout.OFFICIAL), 'args': argparse.Namespace(lr=1e-3, name='x')})
    ),
}


@pytest.fixture(scope='module', autouse=True)
def _few_entries() -> Iterator[None]:
    """A bomb need not be large to be recognised."""
    with mock.patch.object(unwrap, 'MAX_ENTRIES', 2_000):
        yield


@pytest.fixture(scope='module', params=CASES, ids=lambda name: name.replace(' ', '_'))
def case(
    request: pytest.FixtureRequest, weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, Path, Path]:
    """A case, its file, and the path that would show that something ran."""
    folder = tmp_path_factory.mktemp('case')
    chosen, path, canary = CASES[request.param], folder / 'file.pth', folder / 'ran'
    chosen.write(weights, path, canary)
    return chosen, path, canary


@pytest.fixture(scope='module')
def network() -> nn.Module:
    """One for all cases: each starts it from zeros."""
    return build(S0)


def _is_same(loaded: dict[str, Tensor], weights: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> bool:
    """Equal to the last bit that ``dtype`` keeps; counters may be missing."""
    return all(
        torch.equal(loaded[key].float(), value.to(dtype).float())
        for key, value in weights.items()
        if not key.endswith('num_batches_tracked')
    )


def _empty(net: nn.Module) -> nn.Module:
    """As it was built: not initialised, and nothing left of the weights of another case."""
    net._is_init = False
    for value in net.state_dict().values():
        value.zero_()
    return net


def test_as_pretrained_weights(case: tuple[Case, Path, Path], weights: dict[str, Tensor], network: nn.Module) -> None:
    """Through MMEngine, as a config names the file."""
    expected, path, canary = case
    net = _empty(network)
    net.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    if expected.error is None:
        net.init_weights()
        assert _is_same(net.state_dict(), weights, expected.dtype)
    else:
        with pytest.raises((ValueError, RuntimeError, TypeError), match=expected.error):
            net.init_weights()
    assert not canary.exists()


def test_through_the_converter(case: tuple[Case, Path, Path], weights: dict[str, Tensor], tmp_path: Path) -> None:
    expected, path, canary = case
    out = tmp_path / 'out.safetensors'
    if expected.error is None or expected.converts:
        convert_file(path, out)
        if not expected.converts:
            assert _is_same(
                {key.removeprefix('backbone.').removeprefix('student.'): v for key, v in read_file(out).items()},
                weights,
                expected.dtype,
            )
    else:
        with pytest.raises(ValueError, match=expected.error):
            convert_file(path, out)
        assert not out.exists()
    assert not canary.exists()


def test_trusted_files_may_do_what_they_want(weights: dict[str, Tensor], tmp_path: Path) -> None:
    """And the converted copy needs no trust any more."""
    path, canary = tmp_path / 'file.pth', tmp_path / 'ran'
    torch.save({'state_dict': weights, 'x': Command(canary)}, path)
    convert_file(path, tmp_path / 'clean.pth', trust=True)
    assert canary.exists()
    assert _is_same(read_file(tmp_path / 'clean.pth'), weights)


def test_a_checkpoint_of_mmengine_resumes_its_logs(tmp_path: Path) -> None:
    torch.save({'message_hub': _logs()}, tmp_path / 'logs.pth')
    logs = read_file(tmp_path / 'logs.pth')['message_hub']
    assert logs['loss'].mean() == 1.5 and logs['lr'] == 0.1
