"""mmsegmentation's segmentor, predicting in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional as F

from ..data.segmentation_maps import UNLABELLED
from ..errors import UserError
from .enlarging import Line, enlarged_labels, interpolation
from .tiles import RowResizer, check_test_cfg, sliding_window_tiles


@MODELS.register_module()
class TiledEncoderDecoder(EncoderDecoder):
    """``EncoderDecoder`` for pictures of any size.

    Logits are enlarged to the original picture's size, and those of a sliding window are computed, in tiles of
    whole rows (:mod:`.tiles`), so that they never exist all at once at that size. Data samples get ``pred_sem_seg``
    and no ``seg_logits``. ``test_cfg`` is mmseg's: ``dict(mode='whole')`` or ``dict(mode='slide', crop_size=(height,
    width), stride=(height, width))``.

    Pictures whose sides are no multiple of the backbone's largest stride (32) are continued to one by edge pixels,
    and the logits are cropped. The backbone takes them as they are, but cells that lie partly outside the picture see
    zeros where weights trained on whole cells never did, and mmseg's necks and heads resize one map to the size of the
    next even where that is not by a power of two.

    Args:
        *args, **kwargs: as for mmseg's ``EncoderDecoder``.
        continue_edges: False takes pictures as they are, for parity with mmseg.

    Raises:
        UserError: a window or stride that is missing, too small, or leaves gaps; or more than 255 classes.
    """

    test_cfg: ConfigDict  # how to predict: whole, or in windows

    def __init__(self, *args: Any, continue_edges: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.test_cfg = self.test_cfg or ConfigDict(mode='whole')
        check_test_cfg(self.test_cfg)
        if self.out_channels > UNLABELLED:
            raise UserError(f'Labels are 8 bits and {UNLABELLED} means unlabelled: got {self.out_channels} classes.')
        strides = getattr(self.backbone, 'out_strides', (1,))  # other backbones do not tell
        self.side_multiple = strides[-1] if continue_edges else 1

    def loss(self, inputs: Tensor, data_samples: Sequence[SegDataSample]) -> dict[str, Tensor]:
        """Losses of a batch; where pictures are continued, annotations are too, as unlabelled."""
        size = self._continued_size(inputs.shape[2:])
        for sample in data_samples:
            seg_map = sample.gt_sem_seg.data  # (1, H, W)
            below, right = (want - have for want, have in zip(size, seg_map.shape[1:], strict=True))
            if below or right:
                sample.gt_sem_seg = PixelData(data=F.pad(seg_map, (0, right, 0, below), value=UNLABELLED))
        return super().loss(self._continued(inputs), list(data_samples))

    def predict(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> list[SegDataSample]:
        """Segmentation maps at the size of the original pictures.

        Args:
            inputs: (B, 3, H, W), normalised, possibly padded.
            data_samples: with ``ori_shape``, padding and flip in their metainfo; None: the size of ``inputs``.
        """
        samples = data_samples or [SegDataSample() for _ in inputs]
        if self._enlarges_at_the_end:
            seg_maps = self._enlarged(inputs, samples)
        else:
            seg_maps = self._resized(inputs, samples)
        for sample, target in zip(samples, seg_maps, strict=True):
            axes = flip_axes(sample)
            target = target.flip(axes) if axes else target
            sample.pred_sem_seg = PixelData(data=target[None].long())
        return list(samples)

    @property
    def _enlarges_at_the_end(self) -> bool:
        """Whether all that follows the head's logits is enlarging them."""
        head = type(self.decode_head)
        return (
            self.test_cfg.get('mode', 'whole') == 'whole'
            and self.out_channels > 1
            and head.predict is BaseDecodeHead.predict
            and head.predict_by_feat is BaseDecodeHead.predict_by_feat
        )

    def _enlarged(self, inputs: Tensor, samples: Sequence[SegDataSample]) -> list[Tensor]:
        """Labels (H, W), from the head's logits in one step: from them to the input, from there to the picture."""
        continued = self._continued(inputs)
        logits = self.decode_head(self.extract_feat(continued))  # (B, C, h, w)
        seg_maps = []
        for of_one, sample in zip(logits, samples, strict=True):
            left, right, top, bottom = padding(sample)
            target = self.row_resizer(sample, inputs.shape[2:]).target
            lines = []
            for axis, (before, after) in enumerate(((top, bottom), (left, right))):
                inner = slice(before, inputs.shape[2 + axis] - after)
                to_input = interpolation(of_one.shape[1 + axis], continued.shape[2 + axis], self.align_corners)[inner]
                to_picture = interpolation(len(to_input), target[axis], self.align_corners)
                lines.append(Line.of(to_picture @ to_input))
            seg_maps.append(enlarged_labels(of_one, *lines))
        return seg_maps

    def _resized(self, inputs: Tensor, samples: Sequence[SegDataSample]) -> list[Tensor]:
        """Labels (H, W), from logits at the input's size, tile by tile."""
        resizers = [self.row_resizer(sample, inputs.shape[2:]) for sample in samples]
        seg_maps = [inputs.new_empty(resizer.target, dtype=torch.uint8) for resizer in resizers]
        for top, tile in self.logit_tiles(inputs):
            for rows, sample, resizer, target in zip(tile, samples, resizers, seg_maps, strict=True):
                for start, resized in resizer.add(unpadded(rows, top, inputs.shape[2:], sample)):
                    target[start : start + resized.shape[1]] = self.classify(resized)
        return seg_maps

    def logit_tiles(self, inputs: Tensor) -> Iterator[tuple[int, Tensor]]:
        """First row and logits (B, C, n, W) of tiles from the top of ``inputs`` to its bottom."""
        if self.test_cfg.get('mode', 'whole') == 'whole':
            yield 0, self._whole_logits(inputs)
            return
        top = 0
        window, stride = (tuple(self.test_cfg[key]) for key in ('crop_size', 'stride'))
        for tile in sliding_window_tiles(inputs, self._whole_logits, window, stride):
            yield top, tile
            top += tile.shape[2]

    def classify(self, logits: Tensor) -> Tensor:
        """Labels (n, W) of logits (C, n, W); one channel means object or not, by the head's threshold."""
        if logits.shape[0] == 1:
            return (logits[0].sigmoid() > self.decode_head.threshold).to(torch.uint8)
        return logits.argmax(dim=0).to(torch.uint8)

    def row_resizer(self, sample: SegDataSample, size: Sequence[int]) -> RowResizer:
        """From the part of the network's input that is no padding to the original picture."""
        left, right, top, bottom = padding(sample)
        inner = (size[0] - top - bottom, size[1] - left - right)
        return RowResizer(inner, tuple(sample.metainfo.get('ori_shape', inner))[:2], self.align_corners)

    def _whole_logits(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, C, h, w)."""
        height, width = images.shape[2:]
        metas = [dict(img_shape=self._continued_size((height, width)))] * len(images)  # what mmseg's heads resize to
        return self.encode_decode(self._continued(images), metas)[:, :, :height, :width]

    def _continued_size(self, size: Sequence[int]) -> torch.Size:
        return torch.Size((side + self.side_multiple - 1) // self.side_multiple * self.side_multiple for side in size)

    def _continued(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) continued to the right and below by their edge pixels."""
        size = self._continued_size(images.shape[2:])
        below, right = (want - have for want, have in zip(size, images.shape[2:], strict=True))
        return F.pad(images, (0, right, 0, below), mode='replicate') if below or right else images


def padding(sample: SegDataSample) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) that preprocessing added in testing."""
    meta = sample.metainfo
    return tuple(meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0))))


def unpadded(rows: Tensor, top: int, size: Sequence[int], sample: SegDataSample) -> Tensor:
    """Those of the rows (C, n, W), the first of which is row ``top`` of the input, that are no padding."""
    left, right, above, below = padding(sample)
    first, last = max(above - top, 0), min(size[0] - below - top, rows.shape[1])
    return rows[:, first : max(last, first), left : size[1] - right]


def flip_axes(sample: SegDataSample) -> list[int]:
    """Axes of (..., H, W) along which test-time augmentation flipped the input."""
    if not sample.metainfo.get('flip'):
        return []
    return {'horizontal': [-1], 'vertical': [-2], 'diagonal': [-2, -1]}[sample.metainfo['flip_direction']]
