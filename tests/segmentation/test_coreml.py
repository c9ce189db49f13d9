"""A segmentor as a Core ML file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip('coremltools', reason='the extra coreml is not installed')

from effformer_dense.deploy.formats.coreml import CoreMlFormat
from effformer_dense.segmentation.graph import SegmentationGraph
from tests.deploy.formats.cases import deviations, fixed, picture
from tests.deploy.formats.mil import evaluate


@pytest.mark.minutes
@pytest.mark.parametrize('size', [(96, 128), (77, 131)])
@torch.no_grad()
def test_semantic_fpn(size: tuple[int, int], build_segmentor, tmp_path: Path) -> None:
    logits, labels = (SegmentationGraph(build_segmentor('TiledEncoderDecoder'), kind) for kind in ('logits', 'labels'))
    CoreMlFormat().write(fixed(logits, *size), tmp_path / 'logits.mlpackage', ['logits'])
    found = evaluate(tmp_path / 'logits.mlpackage', picture(*size))
    assert deviations(logits, picture(*size), found)['logits'] < 2e-6
    CoreMlFormat().write(fixed(labels, *size), tmp_path / 'labels.mlpackage', ['labels'])
    found = evaluate(tmp_path / 'labels.mlpackage', picture(*size))
    assert (found['labels'] != labels(picture(*size))).sum() <= 1, 'but for a tie'
