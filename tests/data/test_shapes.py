"""The generator: deterministic, whole, and never in the way of somebody's files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from effformer_dense.data.ade_layout import ensure_ade_shapes
from effformer_dense.data.coco_layout import ensure_coco_shapes, run_lengths, scene_to_annotations
from effformer_dense.data.generated import ShapesSpec
from effformer_dense.data.shapes import CLASSES, _draw_mask, _find_place, _visible_parts, make_scene
from effformer_dense.errors import UserError

SPEC = ShapesSpec(splits={'train': 6, 'val': 3}, size_px=96, seed=1)


def _digest(root: Path) -> str:
    files = sorted(p for p in root.rglob('*') if p.is_file())
    return hashlib.sha256(b''.join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def test_same_seed_same_files_other_seed_other_files(tmp_path: Path) -> None:
    first = _digest(ensure_coco_shapes(tmp_path / 'a', SPEC))
    assert first == _digest(ensure_coco_shapes(tmp_path / 'b', SPEC))
    other = ShapesSpec(SPEC.splits, SPEC.size_px, seed=2)
    assert first != _digest(ensure_coco_shapes(tmp_path / 'c', other))


def test_splits_share_no_scene() -> None:
    assert not np.array_equal(make_scene(0, 'train', 0, 96).image, make_scene(0, 'val', 0, 96).image)


def test_scenes_have_disjoint_masks_of_every_class_and_occlusion() -> None:
    scenes = [make_scene(0, 'train', index, 128) for index in range(60)]
    assert {int(label) for scene in scenes for label in scene.labels} == set(range(len(CLASSES)))
    assert all(scene.masks.sum(0).max() <= 1 for scene in scenes)
    assert all(1 <= len(scene.labels) <= 6 and scene.image.dtype == np.uint8 for scene in scenes)
    rectangularity = [m.sum() / (np.ptp(np.nonzero(m), axis=1) + 1).prod() for s in scenes for m in s.masks]
    assert min(rectangularity) < 0.35 < 0.9 < max(rectangularity), 'shapes differ in how they fill their boxes'


def test_later_shapes_leave_half_of_earlier_ones() -> None:
    rng = np.random.default_rng(0)
    whole = [_draw_mask(rng, 1, 64)]
    while len(whole) < 4:
        mask = _find_place(rng, len(whole), 64, whole)
        whole += [] if mask is None else [mask]
    parts = _visible_parts(whole)
    assert np.array_equal(parts[-1], whole[-1]), 'the last one is whole'
    assert any(part.sum() < shape.sum() for part, shape in zip(parts, whole, strict=True)), 'some occlusion'
    assert all(part.sum() >= 0.5 * shape.sum() for part, shape in zip(parts, whole, strict=True))
    assert sum(part.astype(int) for part in parts).max() == 1


def test_annotations_are_what_pycocotools_reads(tmp_path: Path) -> None:
    root = ensure_coco_shapes(tmp_path / 'shapes', SPEC)
    coco = COCO(str(root / 'annotations' / 'train.json'))
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    for index, image_id in enumerate(coco.getImgIds()):
        scene = make_scene(SPEC.seed, 'train', index, SPEC.size_px)
        image = np.asarray(Image.open(root / 'train' / coco.loadImgs(image_id)[0]['file_name']))
        assert np.array_equal(image, scene.image)
        annotations = coco.loadAnns(coco.getAnnIds(image_id))
        assert len(annotations) == len(scene.labels)
        for annotation, mask in zip(annotations, scene.masks, strict=True):
            assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
            assert annotation['area'] == mask.sum()
            encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            assert annotation['bbox'] == coco_mask.toBbox(encoded).tolist()
    assert len({a['id'] for a in coco.loadAnns(coco.getAnnIds())}) == len(coco.getAnnIds())


@pytest.mark.parametrize('first', [0, 1])
def test_run_lengths_start_with_zeros(first: int) -> None:
    mask = np.zeros((3, 2), bool)
    mask[0, 0] = first
    mask[1:, 1] = True
    counts = run_lengths(mask)
    assert counts == ([0, 1, 3, 2] if first else [4, 2])


def test_whole_scene_box_is_tight() -> None:
    scene = make_scene(3, 'x', 0, 64)
    for annotation, mask in zip(scene_to_annotations(scene, 7, 10), scene.masks, strict=True):
        x, y, width, height = annotation['bbox']
        assert mask[y : y + height, x : x + width].sum() == mask.sum()


def test_made_once(tmp_path: Path) -> None:
    root = ensure_coco_shapes(tmp_path / 'shapes', SPEC)
    stamp = (root / 'train' / '000000.png').stat().st_mtime_ns
    ensure_coco_shapes(root, SPEC)
    assert (root / 'train' / '000000.png').stat().st_mtime_ns == stamp
    assert [p.name for p in tmp_path.iterdir()] == ['shapes'], 'nothing half-written is left beside it'


def test_shapes_of_another_config_stay_and_those_of_an_older_version_do_not(tmp_path: Path) -> None:
    root = ensure_coco_shapes(tmp_path / 'shapes', SPEC)
    other = ShapesSpec({'train': 2}, 64, 1)
    with pytest.raises(UserError, match=r'holds the shapes of another config \(layout coco, splits .*seed 1\).*rm -r'):
        ensure_coco_shapes(root, other)
    with pytest.raises(UserError, match=r'layout coco.*layout ade20k'):
        ensure_ade_shapes(root, SPEC)
    manifest = json.loads((root / 'shapes.json').read_text())
    (root / 'shapes.json').write_text(json.dumps({**manifest, 'version': -1}))
    (root / 'train' / '000000.png').unlink()
    ensure_coco_shapes(root, SPEC)
    assert json.loads((root / 'shapes.json').read_text()) == manifest and (root / 'train' / '000000.png').is_file()


def test_what_a_killed_generation_left_goes_with_the_next(tmp_path: Path) -> None:
    left, others = '.shapes.generating-abc_1234', ['.shapes-original', '.shapes2.generating-abcd1234']
    for name in (left, *others):
        (tmp_path / name / 'shapes').mkdir(parents=True)
    ensure_coco_shapes(tmp_path / 'shapes', SPEC)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, 'shapes'])


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / 'mine.txt').write_text('precious')
    with pytest.raises(ValueError, match='holds no generated shapes'):
        ensure_coco_shapes(tmp_path, SPEC)
    assert (tmp_path / 'mine.txt').read_text() == 'precious'
