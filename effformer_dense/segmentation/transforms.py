"""Loading annotations with their mistakes found."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ..data.segmentation_maps import class_numbers, first_label_of, read_segmentation_map_of


@TRANSFORMS.register_module()
class LoadSegmentationMap(BaseTransform):
    """Load a segmentation map like mmseg's ``LoadAnnotations``, and refuse one that would train or score wrongly.

    mmseg casts whatever it finds to 8 bits: 16-bit labels wrap around, and labels past the last class stop a GPU with
    an assertion that names no file.

    Args:
        num_classes: number of classes that the files can name: 150 for ADE20K.

    Adds ``gt_seg_map``, (H, W) uint8: classes from 0, unlabelled pixels 255.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the annotation of one picture; a picture without one, as mmseg's inference has it, passes.

        Raises:
            UserError: see :func:`.data.segmentation_maps.read_segmentation_map_of`.
        """
        if results.get('seg_map_path') is None:
            return results
        picture, path = results['img_path'], results['seg_map_path']
        seg_map = read_segmentation_map_of(
            picture, results.get('ori_shape'), path, self.num_classes, first_label_of(results)
        )
        results['gt_seg_map'] = class_numbers(results)[seg_map]
        results['seg_fields'].append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'
