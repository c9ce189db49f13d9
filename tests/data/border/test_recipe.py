"""What a config for few pictures or many, small objects or large, decides."""

from __future__ import annotations

from typing import Any

import pytest

from effformer_dense.data.border.recipe import Facts, detection_recipe, input_size, median_size, objects_px

FACTS: dict[str, Any] = dict(
    name='own', classes=['nut', 'bolt'], palette=[(1, 2, 3), (4, 5, 6)], counts={'train': 100, 'val': 20},
    size=(480, 640), root='/out/', pictures='../own/', with_objects=90,
)  # fmt: skip


def _lines(**changes: Any) -> list[str]:
    return detection_recipe(Facts(**{**FACTS, **changes}), 'maskrcnn_v2_s1_coco', False).splitlines()


def test_pictures_count_by_their_short_side_whichever_way_they_lie() -> None:
    assert median_size([(480, 640), (640, 480), (640, 480), (480, 640)]) == (480, 640)
    assert input_size((480, 640)) == (1333, 800), "COCO's"


def test_objects_are_measured_in_the_picture_that_the_network_gets() -> None:
    images = [dict(id=1, height=480, width=640), dict(id=2, height=480, width=640), dict(id=3, height=4800, width=6400)]
    rows = [dict(image_id=number, bbox=[0, 0, 100, 100]) for number in (1, 2, 3)]
    small, large = objects_px(images, rows)
    assert small == pytest.approx(16.7 + 0.1 * (166.7 - 16.7), abs=0.1), 'a tenth of the size in the third picture'
    assert large == pytest.approx(166.7, abs=0.1)


@pytest.mark.parametrize(
    ('objects', 'scales'),
    [((20, 550), [8]), ((12, 550), [4, 8]), ((12, 200), [4]), ((5, 600), [2, 4, 8]), ((5, 30), [2]), ((40, 60), [8])],
)
def test_anchors_reach_from_the_small_objects_to_the_large(objects: tuple[float, float], scales: list[int]) -> None:
    assert f'    rpn_head=dict(anchor_generator=dict(scales={scales})),' in _lines(objects_px=objects)


def test_the_schedule_counts_pictures_that_are_learned_from() -> None:
    lines = _lines()
    assert 'train_cfg = dict(max_epochs=200, val_interval=16)' in lines, '18,000 / 90'
    assert any("type='LinearLR'" in line and 'end=500' in line for line in lines)
    few = _lines(with_objects=10)
    assert any("type='LinearLR'" in line and 'end=150' in line for line in few), 'a tenth of 300 epochs of 5 steps'


def test_without_pretrained_weights_heads_get_norm_layers() -> None:
    texts = {base: detection_recipe(Facts(**FACTS), f'{base}_v2_s1_coco', True) for base in ('maskrcnn', 'fasterrcnn')}
    norm = "norm_cfg=dict(type='GN', num_groups=32)"
    assert [text.count(norm) for text in texts.values()] == [2, 1]
    assert norm not in '\n'.join(_lines())


def test_a_base_is_one_of_ours_or_a_file() -> None:
    assert "_base_ = 'effformer_dense::maskrcnn_v2_s1_coco.py'" in _lines()
    own = detection_recipe(Facts(**FACTS), '/my/maskrcnn_tuned.py', True)
    assert "_base_ = '/my/maskrcnn_tuned.py'" in own and own.count("type='GN'") == 2
