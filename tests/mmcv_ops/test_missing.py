"""Ops that only a compiled mmcv has, and what mmcv reports of itself."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import CARAFE
from mmcv.ops.info import get_compiler_version, get_compiling_cuda_version

from effformer_dense.mmcv_ops.missing import MissingOpError

pytestmark = pytest.mark.usefixtures('with_stand_in')


def test_an_op_that_is_not_there_raises_when_it_is_called() -> None:
    upsample = CARAFE(3, 1, 2)
    with pytest.raises(MissingOpError, match=r'carafe_forward .* only a compiled mmcv has.*MMCV=compiled make setup'):
        upsample(torch.rand(1, 8, 4, 4), torch.rand(1, 9, 8, 8))


def test_mmcvs_report_of_its_environment_says_who_stands_in() -> None:
    assert get_compiler_version().startswith('none, torchvision')
    assert get_compiling_cuda_version() in (torch.version.cuda, 'not available')
