"""``--precision`` of the commands: known to be possible before anything else is done, and then what computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from effformer_dense.deploy import precision
from effformer_dense.engine.export import export
from effformer_dense.engine.infer import infer
from effformer_dense.engine.runner import evaluate
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, EvaluationOptions, ExportOptions, InferOptions

CONFIG = ConfigOptions(Path('no_such_config.py'))


def test_refused_before_anything_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, '_cpu_flags', set)
    monkeypatch.setattr(precision, 'onednn_takes_bf16', lambda: True)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    for call in (
        lambda: infer(CONFIG, InferOptions(tmp_path, str(tmp_path), tmp_path / 'out', precision='bf16')),
        lambda: evaluate(CONFIG, EvaluationOptions(tmp_path, precision='bf16')),
    ):
        with pytest.raises(UserError, match='the processor has none of amx_bf16, avx512_bf16, bf16'):
            call()
    assert not list(tmp_path.iterdir())


def test_a_file_is_not_proven_in_another_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('openvino')
    monkeypatch.setattr(precision, '_cpu_flags', set)
    monkeypatch.setattr(precision, 'onednn_takes_bf16', lambda: True)
    with pytest.raises(UserError, match='OpenVINO would compute in float32 here, and prove the file so: the processor'):
        export(CONFIG, ExportOptions(tmp_path, format='openvino', precision='bf16'))


def test_two_ways_to_half_precision_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    with pytest.raises(UserError, match='--amp and --precision bf16 are two ways'):
        evaluate(ConfigOptions(CONFIG.config, amp=True), EvaluationOptions(tmp_path, precision='bf16'))
