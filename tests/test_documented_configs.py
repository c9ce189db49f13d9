"""Configs that documents show are configs: their backbones can be built, and what follows takes their channels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('timm')

from mmengine.registry import MODELS

from effformer_dense.config.load import enter_scope, load_config
from effformer_dense.options import ConfigOptions
from effformer_dense.preflight.widths import expected_widths
from tests.helpers import DOCUMENTS

_BLOCK = re.compile(r'^```python\n(.*?)^```', re.MULTILINE | re.DOTALL)
SHOWN = {
    f'{path.name}-{number}': block
    for path in DOCUMENTS
    for number, block in enumerate(_BLOCK.findall(path.read_text()))
    if re.search(r'^model = dict\(\n', block, re.MULTILINE)
}


def test_there_are_some() -> None:
    assert len(SHOWN) >= 3 and 'README.md-0' in SHOWN


@pytest.mark.parametrize('name', SHOWN)
def test_backbone_and_what_follows(name: str, tmp_path: Path) -> None:
    path = tmp_path / 'shown.py'
    path.write_text(SHOWN[name])
    cfg = load_config(ConfigOptions(path, from_scratch=True))
    enter_scope(cfg)
    if not SHOWN[name].startswith('_base_'):
        cfg.model.backbone.pop('_delete_', None)  # of the base that the reader has
    cfg.model.backbone.pop('pretrained', None)
    backbone = MODELS.build(cfg.model.backbone)
    entries = list(expected_widths(cfg.model, tuple(backbone.out_channels)))
    assert entries
    for key, found, wanted in entries:
        assert found == wanted, key
