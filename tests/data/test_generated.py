"""Generated data appear when they are read, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import DATASETS, init_default_scope

from effformer_dense.data.coco_layout import ensure_coco_shapes
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.data.shapes import CLASSES
from effformer_dense.errors import UserError


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


@pytest.mark.parametrize(
    ('shapes', 'message'),
    [
        (dict(size_px='abc'), "shapes.size_px must be a whole number of 32 or more; got 'abc'"),
        (dict(size_px=-1), 'shapes.size_px must be a whole number of 32 or more; got -1'),
        (dict(seed=1.5), 'shapes.seed must be a whole number of 0 or more; got 1.5'),
        (dict(splits=dict(train=0)), 'shapes.splits.train must be a whole number of 1 or more; got 0'),
        (dict(splits=3), 'shapes.splits must be a dict'),
    ],
)
def test_wrong_values_of_shapes(shapes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ShapesSpec.from_config(shapes)


def test_a_file_in_the_place_of_the_data_set(tmp_path: Path) -> None:
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(UserError, match='file cannot be a folder'):
        ensure_coco_shapes(file, ShapesSpec({'val': 1}, 64, 0))
