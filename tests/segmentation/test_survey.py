"""A data set of segmentation maps, looked through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effformer_dense.config.datasets import view
from effformer_dense.segmentation.survey import survey_maps
from tests.data.border.folders import write_map, write_picture


def test_a_class_is_shown_by_pictures_in_which_it_can_be_seen(tmp_path: Path) -> None:
    slivers = {'a': (1, 0), 'b': (30, 1), 'c': (1, 1)}  # rows of classes 1 and 2, of 60
    for seed, (name, (of_one, of_two)) in enumerate(slivers.items()):
        seg_map = np.zeros((60, 100), np.uint8)
        seg_map[:of_one] = 1
        seg_map[60 - of_two :] = 2
        write_picture(tmp_path / 'img' / f'{name}.jpg', seed=seed)
        write_map(tmp_path / 'ann' / f'{name}.png', seg_map)
    node = dict(
        type='mmseg.BaseSegDataset', data_root=str(tmp_path), img_suffix='.jpg', pipeline=[],
        data_prefix=dict(img_path='img', seg_map_path='ann'), metainfo=dict(classes=['ground', 'road', 'kerb']),
    )  # fmt: skip
    survey = survey_maps(view(node))
    assert survey.counts.tolist() == [3, 3, 2], 'all are counted'
    names = [[survey.name(index) for index in pictures] for pictures in survey.shown_in]
    assert names == [['a.jpg', 'b.jpg', 'c.jpg'], ['b.jpg'], ['b.jpg', 'c.jpg']]
