"""The published ADE20K config on real pictures, against scores computed from the saved segmentation maps alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from PIL import Image

from effformer_dense.config.load import enter_scope, load_config
from effformer_dense.engine.runner import evaluate
from effformer_dense.options import ConfigOptions, EvaluationOptions
from tests.helpers import PROJECT_ROOT, SHARED, randomise

pytestmark = pytest.mark.slow

ROOT = SHARED / 'data' / 'ade'


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[ConfigOptions, Path]:
    """S0 at full size with random weights that tell classes apart."""
    if not ROOT.is_dir():
        pytest.skip(f'needs the ADE20K pictures in {ROOT}')
    config = PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_ade20k.py'
    here = ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    options = ConfigOptions(config, here, tmp_path / 'work', ROOT, from_scratch=True)
    cfg = load_config(options)
    enter_scope(cfg)
    torch.manual_seed(0)
    model = randomise(MODELS.build(cfg.model))
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
    path = tmp_path / 'random.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return options, path


def test_printed_score_is_that_of_the_saved_labels(checkpoint: tuple[ConfigOptions, Path], tmp_path: Path) -> None:
    options, path = checkpoint
    metrics = evaluate(options, EvaluationOptions(path, save_segmentation_maps=tmp_path / 'segmentation_maps'))
    pairs = []
    for annotation_file in (ROOT / 'annotations' / 'validation').glob('*.png'):
        files = (annotation_file, tmp_path / 'segmentation_maps' / annotation_file.name)
        annotation, prediction = (np.asarray(Image.open(file)) for file in files)
        assert annotation.shape == prediction.shape
        labelled = annotation > 0
        pairs.append((annotation[labelled], prediction[labelled]))
    annotation, prediction = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    ious = {}
    for label in range(1, 151):
        union = ((annotation == label) | (prediction == label)).sum()
        if union:
            ious[label] = ((annotation == label) & (prediction == label)).sum() / union
    only_predicted = set(prediction.tolist()) - set(annotation.tolist())
    assert only_predicted and all(ious[label] == 0 for label in only_predicted), 'classes that no annotation has'
    assert metrics['mIoU'] == pytest.approx(np.mean(list(ious.values())), abs=1e-6)
    assert metrics['aAcc'] == pytest.approx((annotation == prediction).mean(), abs=1e-6)


def test_window_of_the_pictures_size_changes_nothing(checkpoint: tuple[ConfigOptions, Path]) -> None:
    options, path = checkpoint
    whole = evaluate(options, EvaluationOptions(path))
    one_window = ConfigOptions(**{**vars(options), 'window_px': 768})
    assert evaluate(one_window, EvaluationOptions(path)) == whole
