"""Pictures without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ..data.finding import check_sides, find_pictures
from ..data.headers import BrokenPictureError, read_header
from ..errors import UserError


@DATASETS.register_module()
class UnlabelledPictures(BaseDataset):
    """All pictures of a folder, searched to the bottom.

    Args:
        data_root: the folder.
        max_pixels: limit of height times width of a picture, by its header.
        others: of MMEngine's ``BaseDataset``.

    Raises:
        UserError: no pictures, or one that is broken, too large or too small.
    """

    def __init__(self, data_root: str, max_pixels: int, **others: Any) -> None:
        self.max_pixels = max_pixels
        super().__init__(data_root=data_root, **others)

    def load_data_list(self) -> list[dict]:
        """Path, number and size of each picture."""
        pictures = enumerate(find_pictures(str(self.data_root)))
        return [dict(img_path=str(path), img_id=number, **self._size(path)) for number, path in pictures]

    def _size(self, path: Path) -> dict[str, int]:
        try:
            header = read_header(path, self.max_pixels)
        except BrokenPictureError as error:
            raise UserError(f'{path}: {error}. Replace or remove it.') from error
        check_sides(path, header.width, header.height)
        return dict(height=header.height, width=header.width)
