"""Ops that only a compiled mmcv has, and what mmcv reports of itself."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import CARAFE
from mmcv.ops.info import get_compiler_version, get_compiling_cuda_version

from effformer_dense.mmcv_ops.missing import MissingOpError
from effformer_dense.mmcv_ops.precision import as_deterministic_as_mmcv

pytestmark = pytest.mark.usefixtures('with_stand_in')


def test_an_op_that_is_not_there_raises_when_it_is_called() -> None:
    upsample = CARAFE(3, 1, 2)
    with pytest.raises(MissingOpError, match=r'carafe_forward .* only a compiled mmcv has.*MMCV=compiled make setup'):
        upsample(torch.rand(1, 8, 4, 4), torch.rand(1, 9, 8, 8))


def test_mmcvs_report_of_its_environment_says_who_stands_in() -> None:
    assert get_compiler_version().startswith('none, torchvision')
    built_for = torch.ops.torchvision._cuda_version()
    expected = 'not available' if built_for < 0 else '.'.join(torch.version.cuda.split('.')[:2])
    assert get_compiling_cuda_version() == expected


@pytest.mark.parametrize('strict', [True, False])
def test_deterministic_algorithms_are_wanted_but_not_enforced(strict: bool) -> None:
    """On a GPU torchvision's backward passes refuse what mmcv's do without a word."""
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    try:
        with pytest.raises(ZeroDivisionError), as_deterministic_as_mmcv():
            assert torch.is_deterministic_algorithms_warn_only_enabled()
            raise ZeroDivisionError
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() is not strict
    finally:
        torch.use_deterministic_algorithms(False)
    with as_deterministic_as_mmcv():
        assert not torch.are_deterministic_algorithms_enabled()
