"""Writing generated scenes as a COCO instance data set, once."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from .shapes import CLASSES, GENERATOR_VERSION, Scene, make_scene

_MANIFEST = 'shapes.json'


@dataclass(frozen=True)
class ShapesSpec:
    """What a generated data set consists of.

    Attributes:
        splits: pictures per split.
        size_px: side of the square pictures.
        seed: of everything random.
    """

    splits: dict[str, int] = field(default_factory=lambda: {'train': 720, 'val': 120})
    size_px: int = 192
    seed: int = 0


def ensure_shapes(root: str | Path, spec: ShapesSpec) -> Path:
    """Make the data set of ``spec`` under ``root`` unless it is there already.

    Layout: ``root/SPLIT/000000.png`` and ``root/annotations/SPLIT.json``. It is written beside ``root`` and renamed
    when complete; a generated data set of another spec is replaced, anything else in the way is an error.

    Returns:
        ``root``.

    Raises:
        ValueError: ``root`` holds something that was not generated here.
    """
    root = Path(root)
    wanted = {'version': GENERATOR_VERSION, **asdict(spec)}
    if _manifest(root) == wanted:
        return root
    if root.exists() and _manifest(root) is None and any(root.iterdir()):
        raise ValueError(f'{root} is not empty and holds no generated shapes. Name another data_root or move it away.')
    print_log(f'Generating shapes in {root}: {spec.splits}, {spec.size_px} px, seed {spec.seed}', 'current')
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f'.{root.name}-') as scratch:
        fresh = Path(scratch) / root.name
        for split, count in spec.splits.items():
            _write_split(fresh, split, count, spec)
        (fresh / _MANIFEST).write_text(json.dumps(wanted, indent=2))
        _put_in_place(fresh, root, wanted)
    return root


def scene_to_annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    """COCO annotations of a scene: tight box, visible area, mask as uncompressed run lengths."""
    annotations = []
    for offset, (mask, label) in enumerate(zip(scene.masks, scene.labels, strict=True)):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y = int(columns[0]), int(rows[0])
        annotations.append(
            {
                'id': first_id + offset,
                'image_id': image_id,
                'category_id': int(label) + 1,
                'bbox': [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                'area': int(mask.sum()),
                'iscrowd': 0,
                'segmentation': {'size': list(mask.shape), 'counts': run_lengths(mask)},
            }
        )
    return annotations


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths: column by column, starting with a run of zeros."""
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(bounds).tolist()
    return [0, *counts] if flat[0] else counts


def _write_split(root: Path, split: str, count: int, spec: ShapesSpec) -> None:
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        scene = make_scene(spec.seed, split, index, spec.size_px)
        name = f'{index:06d}.png'
        Image.fromarray(scene.image).save(root / split / name, compress_level=1)
        images.append({'id': index, 'file_name': name, 'height': spec.size_px, 'width': spec.size_px})
        annotations += scene_to_annotations(scene, image_id=index, first_id=len(annotations) + 1)
    categories = [{'id': number, 'name': name} for number, name in enumerate(CLASSES, start=1)]
    table = {'info': {'description': 'synthetic shapes'}, 'images': images, 'annotations': annotations}
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**table, 'categories': categories}))


def _manifest(root: Path) -> dict | None:
    try:
        return json.loads((root / _MANIFEST).read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _put_in_place(fresh: Path, root: Path, wanted: dict) -> None:
    if _manifest(root) == wanted:
        return  # another process of the same run was first, and may be reading already
    if root.exists():
        shutil.rmtree(root)
    try:
        fresh.rename(root)
    except OSError:
        if _manifest(root) != wanted:  # unless another process of the same run was first
            raise
