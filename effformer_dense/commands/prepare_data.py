"""The command ``prepare-data``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro

from ..errors import UserError
from ..options import OwnDataOptions


def prepare_data(
    name: Literal['coco', 'ade20k', 'own'],
    own: OwnDataOptions,
    folder: tyro.conf.Positional[Path | None] = None,
    partial: bool = False,
    no_link: bool = False,
) -> None:
    """Check a folder of COCO or ADE20K and link it to where the configs look; or learn how to download it.

    Or make a data set of your own trainable: what an annotation tool exported in COCO, YOLO, Pascal VOC and more, or
    segmentation maps, becomes one form, with a report and a config (docs/own_data.md).

        COMMAND ade20k                        # is it there? if not, how to get it
        COMMAND ade20k /disk/ADEChallengeData2016
        COMMAND coco /disk/coco --no-link
        COMMAND own my_export                 # writes my_export_prepared/my_export.py

    Args:
        name: data set
        folder: where it is (without it: where the configs look)
        partial: accept one split, or fewer pictures with annotations of their own
        no_link: check only
    """
    if name == 'own':
        if folder is None:
            raise UserError('prepare-data own takes the folder that the annotation tool exported.')
        from ..engine.own_data import prepare_own_data

        print('\n'.join(prepare_own_data(folder, own)))
        return
    from ..engine.prepare import prepare_data as run

    print('\n'.join(run(name, folder, partial, link=not no_link)))
