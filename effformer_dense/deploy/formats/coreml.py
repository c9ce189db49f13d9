"""Core ML: written by coremltools, run by Apple's machines alone."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from ...errors import UserError
from ...files import write_together
from ...runtime.metadata import KEY
from .base import Format, Run


class CoreMlFormat(Format):
    """An ML program (``.mlpackage``, a folder) for iOS 16, macOS 13 and later, with the text as user-defined metadata.

    For one size: coremltools 9 has no counterpart of the arithmetic with free sides in a program (``sym_max``, floor
    division of sides), and Apple's Neural Engine wants sizes that are known. Everything that depends on the weights
    and the size alone, such as the bias of attention, is computed while the file is written. Labels come as int32, for
    Core ML returns no uint8.
    """

    name = 'coreml'
    suffix = '.mlpackage'
    extra = 'coreml'
    packages = ('coremltools',)
    precisions = ('fp32', 'fp16')
    any_size = False
    runs_here = sys.platform == 'darwin'
    unverified = (
        'Numbers unverified without a Mac: Core ML files run on Apple machines alone. '
        'Compare a few pictures there with PyTorch before you rely on the file.'
    )

    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """See :meth:`.base.Format.write`; inputs and outputs are fp32 in fp16 as well."""
        with _quiet():
            import coremltools

            core = program.run_decompositions({})
            for node in core.graph.find_nodes(op='call_function', target=torch.ops.aten.alias.default):
                node.target = torch.ops.aten.clone.default  # another name of the same; coremltools knows this one alone
            _check_operators(core)
            precisions = {'fp32': coremltools.precision.FLOAT32, 'fp16': coremltools.precision.FLOAT16}
            model = coremltools.convert(
                core,
                outputs=[
                    coremltools.TensorType(name=name, dtype=dtype)
                    for name, dtype in zip(outputs, _output_types(program), strict=True)
                ],
                compute_precision=precisions[precision],
                minimum_deployment_target=coremltools.target.iOS16,
                skip_model_load=True,
            )
            model.save(str(path))

    def describe(self, path: Path, text: str) -> None:
        """Over a text that is there."""
        with _quiet():
            import coremltools

            model = coremltools.models.MLModel(str(path), skip_model_load=True)
            model.user_defined_metadata[KEY] = text
            write_together(path, lambda scratch: model.save(str(scratch)))

    def open(self, path: Path, outputs: Sequence[str] = ()) -> Run:
        """See :meth:`.base.Format.open`; on a Mac."""
        if not self.runs_here:
            raise UserError(f'{path}: Core ML files run on Apple machines alone.')
        import coremltools

        model = coremltools.models.MLModel(str(path))
        return lambda arrays: dict(model.predict(dict(arrays)))

    def structure(self, path: Path) -> dict[str, int]:
        """Operators of the ML program, without its constants."""
        with _quiet():
            import coremltools

            program = coremltools.utils.load_spec(str(path)).mlProgram
        blocks = (block for function in program.functions.values() for block in function.block_specializations.values())
        counts = Counter(operation.type for block in blocks for operation in block.operations)
        del counts['const']
        return dict(counts)


def _check_operators(program: ExportedProgram) -> None:
    """Every operator has a counterpart; raises ``UserError`` that names those that have none."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import is_torch_fx_node_supported

    nodes = [node for node in program.graph.nodes if node.op == 'call_function']
    missing = sorted({str(node.target) for node in nodes if not is_torch_fx_node_supported(node)})
    if missing:
        raise UserError(
            f'Core ML has no counterpart of {", ".join(missing)}: the model cannot be exported to it. '
            'The backbone alone can (--part backbone), or take --format onnx.'
        )


def _output_types(program: ExportedProgram) -> list[Any]:
    """Core ML returns floats, or int32."""
    (output,) = program.graph.find_nodes(op='output')
    return [np.float32 if value.meta['val'].is_floating_point() else np.int32 for value in output.args[0]]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without remarks on versions of torch, on what only a Mac has, and bars of progress."""
    logger = logging.getLogger('coremltools')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
