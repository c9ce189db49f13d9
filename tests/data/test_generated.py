"""Generated data appear when they are read, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import DATASETS, init_default_scope

from effformer_dense.data.shapes import CLASSES


@pytest.mark.parametrize(
    ('scope', 'dataset'),
    [
        ('mmdet', dict(type='ShapesCocoDataset', ann_file='annotations/val.json', data_prefix=dict(img='val/'))),
        (
            'mmseg',
            dict(type='ShapesSegDataset', data_prefix=dict(img_path='images/val', seg_map_path='annotations/val')),
        ),
    ],
)
def test_building_lazily_writes_nothing(scope: str, dataset: dict, tmp_path: Path) -> None:
    import effformer_dense.data.shapes_mmdet
    import effformer_dense.data.shapes_mmseg  # noqa: F401

    init_default_scope(scope)
    shapes = dict(splits=dict(val=2), size_px=64)
    lazy = DATASETS.build(dict(dataset, data_root=str(tmp_path / 'shapes'), shapes=shapes, lazy_init=True))
    assert list(lazy.metainfo['classes'])[-len(CLASSES) :] == list(CLASSES) and list(tmp_path.iterdir()) == []
    lazy.full_init()
    assert len(lazy) == 2
