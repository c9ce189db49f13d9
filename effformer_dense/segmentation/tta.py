"""Test-time augmentation: class probabilities averaged over scales and flips."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..errors import UserError
from .segmentor import TiledEncoderDecoder, flip_axes, unpadded


@MODELS.register_module()
class MultiScaleFlipModel(BaseTTAModel):
    """Average the class probabilities of a :class:`.TiledEncoderDecoder` over what ``TestTimeAug`` made of a picture.

    What mmseg's ``SegTTAModel`` computes, with one array of probabilities at the picture's own size instead of one for
    every augmentation.

    Args:
        module: the segmentor, or its config.
        data_preprocessor: as for MMEngine's ``BaseTTAModel``.

    Raises:
        UserError: another kind of segmentor.
    """

    def __init__(self, module: Any, data_preprocessor: Any = None) -> None:
        super().__init__(module, data_preprocessor)
        if not isinstance(self.module, TiledEncoderDecoder):
            raise UserError(
                f'MultiScaleFlipModel needs a TiledEncoderDecoder; got {type(self.module).__name__}. Set model.type, '
                'or use mmseg\'s tta_model=dict(type="SegTTAModel").'
            )

    @torch.no_grad()
    def test_step(self, data: dict[str, list]) -> list[SegDataSample]:
        """Segmentation map of a batch of one picture.

        Args:
            data: of every key a list over augmentations of lists over pictures.

        Raises:
            UserError: a batch of several pictures.
        """
        total: Tensor | None = None
        first: SegDataSample | None = None
        for augmented in (dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)):
            batch = self.module.data_preprocessor(augmented, False)
            count = len(batch['data_samples'])
            if count != 1:
                raise UserError(f'Test-time augmentation takes one picture at a time; got {count}: batch_size=1.')
            sample = batch['data_samples'][0]
            first = first or sample
            total = self._add_probabilities(total, batch['inputs'], sample)
        assert first is not None and total is not None, 'the pipeline makes at least one of each picture'
        first.pred_sem_seg = PixelData(data=self._classify(total.div_(len(data['inputs'])))[None])
        return [first]

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """Not used: predictions are merged as they arise."""
        raise NotImplementedError('MultiScaleFlipModel merges in test_step.')

    def _add_probabilities(self, total: Tensor | None, inputs: Tensor, sample: SegDataSample) -> Tensor:
        """``total`` (C, H, W) plus the probabilities of one augmented picture (1, 3, h, w)."""
        size = inputs.shape[2:]
        tiles = [unpadded(tile[0], top, size, sample) for top, tile in self.module.logit_tiles(inputs)]
        logits = torch.cat(tiles, dim=1).flip(flip_axes(sample))
        resizer = self.module.row_resizer(sample, size)
        if total is None:
            total = logits.new_zeros((len(logits), *resizer.target), dtype=torch.float32)
        for start, tile in resizer.add(logits):
            probabilities = tile.softmax(dim=0) if len(tile) > 1 else tile.sigmoid()
            total[:, start : start + tile.shape[1]] += probabilities
        return total

    def _classify(self, probabilities: Tensor) -> Tensor:
        """(C, H, W) to (H, W)."""
        if len(probabilities) == 1:
            return (probabilities[0] > self.module.decode_head.threshold).long()
        return probabilities.argmax(dim=0)
