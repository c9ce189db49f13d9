"""Which configs one for own data can build on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.load import load_config
from ..config.nodes import walk
from ..data.border.recipe import BOXES, MAPS, MASKS
from ..data.resizing import kind_of
from ..errors import UserError
from ..options import ConfigOptions

#: Steps whose sizes are set: place in a pipeline -> type.
_OBJECTS = {'train_pipeline': {2: 'Resize'}, 'test_pipeline': {1: 'Resize'}}
_MAPS = {'train_pipeline': {2: 'RandomResize', 3: 'RandomCrop'}, 'test_pipeline': {1: 'Resize'}}


def check_base(name: str, maps: bool) -> str:
    """A config that own data can build on.

    Args:
        name: one of ours, or a file.
        maps: whether the data are segmentation maps, and not objects.

    Returns:
        The name as a config can have it in ``_base_``: that of one of ours, or the absolute path of a file.

    Raises:
        UserError: there is none, or not one whose pictures can be brought to another size.
    """
    cfg = load_config(ConfigOptions(Path(name)))
    usual = (MAPS,) if maps else (MASKS, BOXES)
    what = 'segmentation maps' if maps else 'objects'
    way_out = (
        f'For {what}, build on {" or ".join(usual)}, on another variant of it, or on a config of your own like it.'
    )
    for pipeline, places in (_MAPS if maps else _OBJECTS).items():
        steps = [kind_of(step) for step in cfg.get(pipeline) or ()]
        for place, kind in places.items():
            if steps[place : place + 1] != [kind]:
                raise UserError(
                    f'--base {name} has no {kind} as step {place} of {pipeline}: {", ".join(steps) or "no steps"}. '
                    f'{way_out}'
                )
    makes_data = any('shapes' in node for _, node in walk(cfg.get('train_dataloader')))
    if makes_data:
        raise UserError(f'--base {name} makes its own data. {way_out}')
    file: Any = cfg.filename
    return str(Path(file).resolve()) if Path(name).is_file() else Path(name).name.removesuffix('.py').split('::')[-1]
