"""The command ``export``."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from ..options import ExportOptions
from ._prediction import PredictionOptions


@dataclass(frozen=True)
class _Options(PredictionOptions):
    __doc__ = PredictionOptions.__doc__

    window_px: tyro.conf.Fixed[int | None] = None  # a graph predicts whole pictures
    stride_px: tyro.conf.Fixed[int | None] = None


def export(config: _Options, export: ExportOptions) -> None:
    """Write a trained model as a file that runs without this package, for pictures of any size.

        COMMAND CONFIG CHECKPOINT
        COMMAND CONFIG CHECKPOINT --format openvino --precision bf16
        COMMAND CONFIG CHECKPOINT --part backbone --format coreml --size 512 512

    Normalisation and the order of colours are inside the file. It is run again, on pictures of three sizes that were
    not seen while it was made, and compared with PyTorch; a file that does not agree is not written.
    """
    from ..engine.export import export as run
    from ._process import prepare_cpu

    prepare_cpu()
    print(f'Written: {run(config, export)}')
