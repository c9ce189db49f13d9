"""What a layout declares: where the parts of a backbone are, what their entries are called, how values are kept.

A :class:`Naming` is data, and says everything for both ways; :mod:`.rename` goes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from torch import Tensor

from ...errors import UserError

#: {our name: their name} of what is in one place. A ``*`` at the end of both is any parameter or buffer (weight, bias,
#: running_mean, ...).
Parts = Mapping[str, str]


class Layout(str, Enum):
    """Where a file comes from."""

    NATIVE = 'effformer_dense'
    OFFICIAL = 'official'
    TIMM = 'timm'
    MMPRETRAIN = 'mmpretrain'
    HUGGING_FACE = 'Hugging Face'


@dataclass(frozen=True, eq=False)
class Place:
    """A part of a backbone: where we have it, where they have it, and what is in it.

    Numbers in a name are series in braces: ``{0,2,4,6}``, or ``{1..}`` for all from one. The series of both names run
    side by side, in order: the third number of one is the third of the other. In ``{maps..}``, ``maps`` is how many
    blocks V1's last stage has before its flattening. They work on maps, and those after it on tokens; which block is
    the first of them is another number in every variant.
    """

    ours: str
    theirs: str
    parts: Parts


@dataclass(frozen=True, eq=False)
class Form:
    """Values that a layout keeps in another shape.

    Attributes:
        part: what our names of these entries have in them.
        read: their value, and its key in their file, to ours.
        write: our value to theirs.
    """

    part: str
    read: Callable[[Tensor, str], Tensor]
    write: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Copy:
    """An entry that some files have under two names. Only the one called ``live`` counts where there are both."""

    name: str
    live: str
    reason: str


@dataclass(frozen=True, eq=False)
class Naming:
    """How a layout names the backbones of one family, or of several.

    Attributes:
        layout: whose names these are.
        families: of :class:`~effformer_dense.variants.Variant`.
        markers: keys that tell the layout. Only this layout has the first; others are looked for in files that have the
            first of no layout.
        sign: part of a name that tells this family from others with the same markers.
        places: the names, both ways. A name belongs to the first place that has it; one that no place has is kept as
            it is, so that whoever compares with a model can report it.
        forms: values of another shape.
        index: name of the index buffer that is saved beside each bias table; empty if none is.
        copy: the entry that may be there twice.
        ignored: {ending of their names: why such entries are not read}.
        no_place: {start of our names: why such entries are not written}.
        classifier: {timm's name: theirs} of what follows the backbone in a whole file.
        root: where a whole file has the backbone, with a dot at the end.
    """

    layout: Layout
    families: tuple[str, ...]
    markers: tuple[str, ...]
    sign: str = ''
    places: tuple[Place, ...] = ()
    forms: tuple[Form, ...] = ()
    index: str = ''
    copy: Copy | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)
    no_place: Mapping[str, str] = field(default_factory=dict)
    classifier: Parts = field(default_factory=dict)
    root: str = ''


def each(names: Iterable[str], parts: Parts) -> Parts:
    """``parts`` under each of ``names``, which are the same in both layouts."""
    return {f'{name}.{ours}': f'{name}.{theirs}' for name in names for ours, theirs in parts.items()}


def _square(table: Tensor, key: str) -> Tensor:
    """Flat bias table (heads, R * R) to (heads, R, R).

    Raises:
        UserError: the number of offsets is no square.
    """
    side = math.isqrt(table.shape[-1]) if table.dim() else 0
    if table.dim() != 2 or side == 0 or side * side != table.shape[-1]:
        raise UserError(f'{key}: a bias table must have shape (heads, R * R); got {tuple(table.shape)}.')
    return table.reshape(table.shape[0], side, side)


#: Bias tables of shape (heads, R * R); ours are (heads, R, R).
FLAT_TABLES = Form('.bias.table', read=_square, write=lambda table: table.flatten(1))
#: Layer scales of shape (C,), as ours; (C, 1, 1) is read as well.
FLAT_SCALES = Form('.layer_scale_', read=lambda scale, _: scale.reshape(-1), write=lambda scale: scale)
#: Layer scales of shape (C, 1, 1).
COLUMN_SCALES = Form('.layer_scale_', read=FLAT_SCALES.read, write=lambda scale: scale[:, None, None])

#: The index of a bias table: it follows from the table's size.
DERIVABLE_INDEX = {'.attention_bias_idxs': 'derivable index'}

#: V1's layers as the published code calls them, and with it timm and mmpretrain: the MLP of a block on maps, and all
#: layers of a block on tokens but its scales.
MAP_MLP = {
    'mlp.fc1.conv.*': 'mlp.fc1.*',
    'mlp.fc1.norm.*': 'mlp.norm1.*',
    'mlp.fc2.conv.*': 'mlp.fc2.*',
    'mlp.fc2.norm.*': 'mlp.norm2.*',
}
TOKEN_LAYERS = {
    **each(('norm1', 'norm2', 'token_mixer.qkv', 'token_mixer.proj', 'mlp.fc1', 'mlp.fc2'), {'*': '*'}),
    'token_mixer.bias.table': 'token_mixer.attention_biases',
}
