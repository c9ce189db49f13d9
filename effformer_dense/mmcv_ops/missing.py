"""The error of an op that only compiled mmcv has."""

from __future__ import annotations

from ..errors import UserError
from .installation import SEE, compile_command


class MissingOpError(NotImplementedError, UserError):
    """An op of mmcv that nothing here stands in for.

    Args:
        what: the op, and with which argument, if only some do not work.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f'{what} is an op that only a compiled mmcv has, and mmcv is not compiled here. Compile it, which takes a '
            f"C++ compiler and, for a GPU, the CUDA toolkit of torch's version: {compile_command()}. {SEE}"
        )
