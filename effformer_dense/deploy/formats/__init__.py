"""File formats: a recorded program to a file, and a file to a function on arrays, run by the format's own runtime."""

from __future__ import annotations

from ...errors import choice_error
from .base import Format
from .coreml import CoreMlFormat
from .executorch import ExecuTorchFormat
from .onnx import OnnxFormat
from .openvino import OpenVinoFormat
from .pt2 import Pt2Format

__all__ = ['Format', 'format_named']

#: A new format goes in here, and in ``options.ExportOptions``. None imports its maker's package before it is used.
FORMATS: tuple[type[Format], ...] = (OnnxFormat, OpenVinoFormat, CoreMlFormat, Pt2Format, ExecuTorchFormat)


def format_named(name: str) -> Format:
    """Format of that name.

    Raises:
        UserError: there is none.
    """
    formats = {kind.name: kind for kind in FORMATS}
    if name not in formats:
        raise choice_error('format', name, formats)
    return formats[name]()
