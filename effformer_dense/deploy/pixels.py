"""From the pixels of a picture to what a network was trained on: the first part of an exported graph."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from ..errors import UserError
from .features import Normalise


def normalise_of(preprocessor: nn.Module) -> Normalise:
    """What a data preprocessor of OpenMMLab does to the pixels of a picture, without the batches around it.

    Args:
        preprocessor: of a model whose pictures are read as BGR, which is what mmcv's ``LoadImageFromFile`` does.

    Raises:
        UserError: it prepares pictures in a way of its own.
    """
    if not isinstance(preprocessor, ImgDataPreprocessor):
        raise UserError(
            f'data_preprocessor {type(preprocessor).__name__} cannot be exported: only those that build on '
            "MMEngine's ImgDataPreprocessor say how they normalise. DetDataPreprocessor and SegDataPreProcessor do."
        )
    mean, std = [0.0] * 3, [1.0] * 3
    if preprocessor._enable_normalize:
        mean, std = (getattr(preprocessor, name).expand(3, 1, 1).flatten().tolist() for name in ('mean', 'std'))
    if preprocessor._channel_conversion:  # of BGR, by either of two flags
        return Normalise(mean, std)
    return Normalise(mean[::-1], std[::-1], to_bgr=True)


def up_to_multiple(size: Sequence[int], multiple: int) -> tuple[int, int]:
    """The next (height, width) that are multiples; sides may be free."""
    height, width = ((side + multiple - 1) // multiple * multiple for side in size)
    return height, width


def padded(images: Tensor, size: tuple[int, int], value: float) -> Tensor:
    """Pictures (B, C, h, w) with a constant to the right and below, (B, C, *size)."""
    return nn.functional.pad(images, _padding(images, size), value=value)


def continued(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (B, C, h, w) continued to the right and below by their edge pixels, (B, C, *size)."""
    return nn.functional.pad(images, _padding(images, size), mode='replicate')


def _padding(images: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int]:
    below, right = (want - have for want, have in zip(size, images.shape[2:], strict=True))
    return 0, right, 0, below
