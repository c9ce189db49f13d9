"""``.pt2``: torch's own format of recorded programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from ...errors import UserError
from ...runtime.metadata import KEY
from .base import Arrays, Format, Run


class Pt2Format(Format):
    """An archive of ``torch.export.save``, with the text as one of its ``extra_files``."""

    name = 'pt2'
    suffix = '.pt2'
    extra = 'common'

    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """See :meth:`.base.Format.write`."""
        torch.export.save(program, path)

    def describe(self, path: Path, text: str) -> None:
        """Written anew: an archive cannot be added to."""
        torch.export.save(torch.export.load(path), path, extra_files={KEY: text})

    def open(self, path: Path, outputs: Sequence[str] = ()) -> Run:
        """Open a file; ``outputs`` are needed, for the format does not keep their names."""
        try:
            module = torch.export.load(path).module()
        except Exception as error:  # whatever an archive can hold
            raise UserError(f'{path} cannot be opened as a program of torch.export: {error}') from error

        @torch.no_grad()
        def run(arrays: Arrays) -> dict[str, np.ndarray]:
            found = module(**{name: torch.from_numpy(array) for name, array in arrays.items()})
            found = found if isinstance(found, tuple) else (found,)
            return {name: value.numpy() for name, value in zip(outputs, found, strict=True)}

        return run
