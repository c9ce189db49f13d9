"""ONNX: written by torch's exporter, run by ONNX Runtime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from ...errors import UserError
from ...runtime.metadata import KEY
from ...runtime.sessions import open_session
from ..record import IMAGE, SIDES
from .base import Format, Run

#: The oldest set of operators with GELU as one of them. With its parts, ONNX Runtime took 1.3 times as long (V2 S0, 512
#: px, one thread): it turns maps round between convolutions that have anything else between them.
OPSET = 20


class OnnxFormat(Format):
    """One file, weights inside, with the text as an entry of its ``metadata_props``."""

    name = 'onnx'
    suffix = '.onnx'
    extra = 'onnx'
    packages = ('onnx', 'onnxscript', 'onnxruntime')

    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """See :meth:`.base.Format.write`; what is free in the program stays free."""
        try:
            with _quiet():
                exported = torch.onnx.export(
                    program, dynamo=True, output_names=list(outputs), opset_version=OPSET, verbose=False
                )
        except torch.onnx.OnnxExporterError as error:
            raise UserError(f'The model has an operator that ONNX does not have: {_root(error)}') from error
        assert exported is not None
        exported.rename_axes(_free_sides(exported.model.graph.inputs))
        exported.save(path, external_data=False)

    def describe(self, path: Path, text: str) -> None:
        """Over a text that is there."""
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, {**{entry.key: entry.value for entry in model.metadata_props}, KEY: text})
        onnx.save(model, path)

    def open(self, path: Path, outputs: Sequence[str] = (), threads: int | None = None) -> Run:
        """Open a file that was described, as its users do; with that many threads, None: one per core."""
        return open_session(path, threads).run


def _free_sides(inputs: Sequence[Any]) -> dict[str | Any, str]:
    """What the exporter calls the sides of the picture that are free, and what users should."""
    shapes = [value.shape for value in inputs if value.name == IMAGE]
    return {str(shape[axis]): name for shape in shapes for axis, name in SIDES.items() if not shape.is_static(axis)}


def _root(error: BaseException) -> str:
    """First line of what an exporter's error was caused by."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition('\n')[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on itself."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
