"""The command ``prepare-data``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro


def prepare_data(
    name: Literal['coco', 'ade20k'],
    folder: tyro.conf.Positional[Path | None] = None,
    partial: bool = False,
    no_link: bool = False,
) -> None:
    """Check a folder of COCO or ADE20K and link it to where the configs look; or learn how to download it.

        COMMAND ade20k                        is it there? if not, how to get it
        COMMAND ade20k /disk/ADEChallengeData2016
        COMMAND coco /disk/coco --no-link

    Args:
        name: data set
        folder: where it is (without it: where the configs look)
        partial: accept one split, or fewer pictures with annotations of their own
        no_link: check only
    """
    from ..engine.prepare import prepare_data as run

    print('\n'.join(run(name, folder, partial, link=not no_link)))
