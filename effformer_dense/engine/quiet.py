"""A terminal that shows what matters; the log file has everything."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from typing import Any, TextIO

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..config.nodes import walk

#: How MMEngine's Runner begins what goes to the log file alone: 500 lines at the start of every run.
_FILE_ONLY = ('System environment:', 'Config:\n', 'Hooks will be executed in the following order:')

#: What mmdet and mmsegmentation print when they are imported without a data service that nothing here uses.
_IMPORT_NOTICE = 'Could not import OneDL'


class QuietRunner(Runner):
    """MMEngine's Runner, whose description of environment, config and hooks goes to the log file alone."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """MMEngine's logger with a filter on what it shows on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_shown)
        logger.info(f'Environment, config and order of hooks are in {logger.log_file}')
        return logger


def _is_shown(record: logging.LogRecord) -> bool:
    return not record.getMessage().lstrip('-\n').startswith(_FILE_ONLY)


def import_frameworks(cfg: Config) -> None:
    """Import what the config takes from mmdet and mmsegmentation, which would happen later and one by one."""
    names = {str(cfg.get('default_scope'))}
    names |= {str(node.get('type')).partition('.')[0] for _, node in walk(cfg._cfg_dict)}
    for package in names & {'mmdet', 'mmseg'}:
        with suppress(ImportError):  # who needs it says what is missing
            import_module(f'{package}.datasets')


@contextmanager
def without_import_notice() -> Iterator[None]:
    """Let through what is printed meanwhile, but for the notice, which comes by ``print`` and passes no logger."""
    with redirect_stdout(_WithoutNotice(sys.stdout)):
        yield


class _WithoutNotice(io.TextIOBase):
    """Passes text on to ``stream``, but for lines that begin with the notice."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._in_notice = False

    def write(self, text: str) -> int:
        """Pass on one piece of text; ``print`` hands over the line and its end in two."""
        if text.startswith(_IMPORT_NOTICE):
            self._in_notice = not text.endswith('\n')
        elif self._in_notice:
            self._in_notice = not text.endswith('\n')
        else:
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what text is passed on to."""
        self.stream.flush()
