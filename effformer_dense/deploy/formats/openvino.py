"""OpenVINO: made of the ONNX file by OpenVINO's own reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.export import ExportedProgram

from ...errors import UserError
from ...runtime.metadata import KEY
from ...runtime.sessions import open_session
from ..precision import lacks_bf16
from .base import Format, Run
from .onnx import OnnxFormat


class OpenVinoFormat(Format):
    """A graph (``.xml``) and its weights (``.bin``) beside it, with the text in its ``rt_info``.

    fp16 halves the file: weights are stored so, and computed with in fp32 where the processor has no fp16. For bf16 it
    is the runtime that is asked, by whoever opens the file; the file is that of fp32.
    """

    name = 'openvino'
    suffix = '.xml'
    extra = 'onnx,openvino'
    packages = ('openvino', *OnnxFormat.packages)
    precisions = ('fp32', 'fp16', 'bf16')

    def check_precision(self, precision: str) -> None:
        """See :meth:`.base.Format.check_precision`; in bf16 where it can be proven so."""
        super().check_precision(precision)
        lack = lacks_bf16(torch.device('cpu')) if precision == 'bf16' else None
        if lack is not None:
            raise UserError(
                f'--precision bf16: OpenVINO would compute in float32 here, and prove the file so: {lack}. Export on a '
                'machine that has it, or in fp32.'
            )

    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """See :meth:`.base.Format.write`; by way of ONNX, for its reader of torch's programs knows no free sizes."""
        import openvino

        with TemporaryDirectory() as folder:
            onnx = Path(folder) / 'model.onnx'
            OnnxFormat().write(program, onnx, outputs)
            model = openvino.convert_model(onnx)
            for port, name in zip(model.outputs, outputs, strict=True):
                port.get_tensor().set_names({name})
            openvino.save_model(model, path, compress_to_fp16=precision == 'fp16')

    def describe(self, path: Path, text: str) -> None:
        """The graph is written anew, and its weights as they are."""
        import openvino

        model = openvino.Core().read_model(path)
        model.set_rt_info(text, [KEY])
        scratch = path.with_name(f'described_{path.name}')
        openvino.save_model(model, scratch, compress_to_fp16=False)
        del model  # it reads its weights from the file
        for source in (scratch, scratch.with_suffix('.bin')):
            source.replace(path.with_suffix(source.suffix))

    def open(self, path: Path, outputs: Sequence[str] = (), threads: int | None = None) -> Run:
        """Open a file that was described, as its users do; with that many threads, None: one per core."""
        return open_session(path, threads).run
