"""The command ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def convert(
    source: Path,
    destination: Path,
    to: Literal['effformer_dense', 'timm', 'official'] = 'effformer_dense',
    prefix: str | None = None,
    trust: bool = False,
) -> None:
    """Convert a checkpoint between layouts: this project's, timm's, the published code's.

    mmpretrain's and Hugging Face's are read too.

        COMMAND eformer_s0_450.pth s0.safetensors
        COMMAND work_dirs/mine/epoch_12.pth backbone.safetensors --to timm
        COMMAND published_mask_rcnn.pth clean.pth

    The file is read without running what may be in it; a pickle that wants to run something is refused, unless --trust.

    Args:
        source: .pth, .pt, .bin or .safetensors, of any layout; or the work dir of a training
        destination: .pth or .safetensors
        to: layout of what is written; official is that of the published ImageNet checkpoints
        prefix: where the backbone is in the source, if it holds several, e.g. student.backbone.
        trust: let the source run code while it is read: only if you trust who made it
    """
    from ..checkpoint import Layout, convert_file

    print(convert_file(source, destination, Layout(to), prefix, trust).summary())
    print(f'Written: {destination}')
