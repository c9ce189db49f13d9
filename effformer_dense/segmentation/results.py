"""Names and colours of what a segmentor predicts."""

from __future__ import annotations

from typing import Any

from ..drawing import distinct_colours
from ..errors import UserError


def drawable(dataset_meta: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """``dataset_meta`` with a name and a colour for every class that the model predicts.

    Args:
        dataset_meta: of a checkpoint or a config; without a palette, colours are made.
        num_classes: that the model predicts; 1 for object or not.

    Raises:
        UserError: fewer names or colours than classes.
    """
    needed = max(num_classes, 2)
    classes, palette = dataset_meta.get('classes') or (), dataset_meta.get('palette') or distinct_colours(needed)
    for what, there in (('classes', classes), ('palette', palette)):
        if len(there) < needed:
            raise UserError(
                f'{what} has {len(there)} entries, and the model predicts {needed} classes. Set metainfo.{what} of '
                'the test data set, or use the config that the checkpoint was trained with.'
            )
    return {**dataset_meta, 'classes': classes, 'palette': palette}
