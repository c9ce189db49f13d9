"""The error of an op that only compiled mmcv has."""

from __future__ import annotations


class MissingOpError(NotImplementedError):
    """An op of mmcv that nothing here stands in for.

    Args:
        what: the op, and with which argument, if only some do not work.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f'{what} is an op that only a compiled mmcv has, and mmcv is not compiled here. Compile it: in a checkout '
            '`MMCV=compiled make setup`; in your own environment, with a C++ compiler (and, for a GPU, the CUDA '
            "toolkit of torch's version), `pip install --force-reinstall --no-deps --no-cache-dir "
            '--no-build-isolation onedl-mmcv`. See "mmcv" in docs/troubleshooting.md.'
        )
